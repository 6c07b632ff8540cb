"""The load generator and the mail server behind the proxies notice what a broken proxy would do."""

import json
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perf.suite.servers import Backend
from perf.suite.servers import Direct
from perf.suite.servers import make_certificate
from tests.support.peers import StartPeer
from tests.support.ports import LOOPBACK

pytestmark = pytest.mark.usefixtures("tools")

LINE = b"the quick brown fox jumps over the lazy dog 0123456789 ABCDEFG\r\n"
BODY = LINE * 16  # a KiB


def run(tools: Path, mode: str, port: int, *options: str) -> tuple[dict[str, float], str]:
    """The load generator's result, and what it said."""
    command = [str(tools / "mailload"), mode, f"{LOOPBACK}:{port}", "-T", "5", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    return json.loads(done.stdout), done.stderr


@contextmanager
def imap_server(body: bytes, *, bye: bytes = b"* BYE\r\nz OK\r\n") -> Iterator[int]:
    """A plain mail server that answers each FETCH with `body`, and a LOGOUT with `bye`; its port."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            for line in self.rfile:
                tag, verb = line.split()[:2]
                if verb == b"FETCH":
                    self.wfile.write(b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(body), body))
                if verb == b"LOGOUT":
                    self.wfile.write(bye)
                    return
                self.wfile.write(tag + b" OK done\r\n")

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Session) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_load_accepts_the_right_body(tools: Path) -> None:
    with imap_server(BODY) as port:
        result, complaint = run(tools, "bulk", port, "-x", "-V", "-c", "1", "-k", "1", "-n", "3")
    assert (result["completed"], result["bytes"], result["errors"], complaint) == (3, 3072, 0, "")


@pytest.mark.parametrize(
    "body",
    [BODY[:500] + b"!" + BODY[501:], LINE[1:] + BODY[: 1 - len(LINE)] + b"\n", BODY[:-64]],
    ids=["an octet changed", "shifted by one", "too short"],
)
def test_load_notices_a_wrong_body(tools: Path, body: bytes) -> None:
    with imap_server(body) as port:
        result, complaint = run(tools, "bulk", port, "-x", "-V", "-c", "1", "-k", "1", "-n", "1")
    assert (result["completed"], result["errors"]) == (0, 1)
    assert "data" in complaint


@pytest.mark.parametrize(
    "bye", [b"", b"* BYE\r\n", b"z NO\r\n", b"z OK\r\nx"], ids=["nothing", "no answer", "a refusal", "more than asked"]
)
def test_load_counts_a_session_only_with_its_whole_end(tools: Path, bye: bytes) -> None:
    with imap_server(BODY, bye=bye) as port:
        result, _ = run(tools, "login", port, "-x", "-c", "1", "-n", "2")
    assert (result["logins"], result["completed"], result["errors"]) == (2, 0, 2)


def test_load_gives_up_on_a_server_that_is_silent(tools: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        result, complaint = run(tools, "login", silent.getsockname()[1], "-c", "2", "-n", "2", "-T", "0.3")
    assert (result["logins"], result["error_timeout"]) == (0, 2)
    assert "timeout" in complaint


@pytest.mark.parametrize("client", [(), ("-O",), ("-O", "-v", "1.2")], ids=["its own", "OpenSSL's", "TLS 1.2"])
@pytest.mark.parametrize("resume", [(), ("-r",)], ids=["full", "resumed"])
def test_tls_clients_do_the_same_logins(
    tools: Path, start_peer: StartPeer, tmp_path: Path, client: tuple[str, ...], resume: tuple[str, ...]
) -> None:
    server = start_peer(Direct(make_certificate(tmp_path)))
    gate = ("-g", "0") if resume else ()
    command = [str(tools / "mailload"), "login", f"{LOOPBACK}:{server.ports['imap']}", "-c", "2", "-n", "6"]
    done = subprocess.run(
        [*command, *client, *resume, *gate],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert (result["completed"], result["errors"], result["resumed"]) == (6, 0, 6 if resume else 0)


def test_mail_server_counts_what_it_is_asked(start_peer: StartPeer) -> None:
    backend = start_peer(Backend())
    before = backend.counts()
    with socket.create_connection((LOOPBACK, backend.ports["imap"]), timeout=5) as client:
        client.sendall(b"a LOGIN u p\r\nb NOOP\r\nc FETCH 2 BODY[]\r\nd LOGOUT\r\n")
        answer = client.makefile("rb").read()
    after = backend.counts()
    assert answer.count(b" OK ") == 5  # the greeting too
    assert LINE * 32 in answer
    assert {name: after[name] - before[name] for name in ("sessions", "logins", "noops", "out", "in")} == {
        "sessions": 2,  # and the one that asked
        "logins": 1,
        "noops": 1,
        "out": 2048,
        "in": 0,
    }


@pytest.mark.parametrize(("body", "answer"), [(BODY, b"a OK"), (b"!" + BODY[1:], b"a NO")], ids=["right", "wrong"])
def test_mail_server_that_verifies_refuses_a_wrong_upload(start_peer: StartPeer, body: bytes, answer: bytes) -> None:
    backend = start_peer(Backend(verify=True))
    with socket.create_connection((LOOPBACK, backend.ports["imap"]), timeout=5) as client:
        client.sendall(b"a APPEND INBOX {%d+}\r\n%b\r\nb LOGOUT\r\n" % (len(body), body))
        lines = client.makefile("rb").read().splitlines()
    assert lines[1].startswith(answer)
