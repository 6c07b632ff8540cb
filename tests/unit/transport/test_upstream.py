"""Connections to mail servers, over real sockets."""

import errno
import os
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from typing import Any

import gevent
import pytest

from gateway.errors import SessionEnded
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason
from gateway.transport.stream import INPUT_OCTETS
from gateway.transport.tls import CertificateFiles
from gateway.transport.tls import ServerTls
from gateway.transport.tls import client_context
from gateway.transport.upstream import GeventConnector
from gateway.transport.upstream import GeventUpstreamConnection
from tests.support.tls import CertificateAuthority
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import cooperative
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import reset

pytestmark = pytest.mark.usefixtures("open_descriptors")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def connected(listener: socket.socket) -> Iterator[tuple[GeventUpstreamConnection, Any]]:
    """Our connection, and the mail server's end of it."""
    upstream = GeventConnector().connect(listener.getsockname(), after(1))
    far = cooperative(listener.accept()[0])
    yield upstream, far
    upstream.close()
    far.close()


def lost(action: Callable[[], object]) -> str:
    with pytest.raises(UpstreamLost) as raised:
        action()
    return str(raised.value)


def full_backlog(listener: socket.socket) -> list[socket.socket]:
    """From now on the listener answers no SYN: the kernel drops them while the backlog is full."""
    listener.listen(0)
    waiting = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        waiting.append(one)
    return waiting


# ---- connecting


def test_connect_gives_numeric_addresses_and_tcp_options(listener: socket.socket) -> None:
    upstream = GeventConnector().connect(listener.getsockname(), after(1))
    assert upstream.peer == listener.getsockname()
    assert upstream.local[0] == "127.0.0.1"
    connection = socket.socket(fileno=os.dup(upstream._channel.descriptor))
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) > 0
    connection.close()
    upstream.close()


def test_connect_over_ipv6() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listening:
        upstream = GeventConnector().connect(("::1", listening.getsockname()[1]), after(1))
        assert upstream.peer == ("::1", listening.getsockname()[1])
        upstream.close()


def test_connect_refused_is_told_by_the_system(listener: socket.socket) -> None:
    address = listener.getsockname()
    listener.close()
    assert lost(lambda: GeventConnector().connect(address, after(1))) == "Connection refused"


def test_connect_to_silence_ends_at_the_deadline(listener: socket.socket) -> None:
    waiting = full_backlog(listener)
    started = time.monotonic()
    assert lost(lambda: GeventConnector().connect(listener.getsockname(), after(0.1))) == "no answer in time"
    assert 0.09 < time.monotonic() - started < 1.0
    for one in waiting:
        one.close()


def test_connect_does_not_look_names_up(listener: socket.socket) -> None:
    with pytest.raises(ValueError, match="localhost"):
        GeventConnector().connect(("localhost", listener.getsockname()[1]), after(1))


def test_connect_without_descriptors_is_told_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("gateway.transport.upstream.socket.socket", exhausted)
    assert lost(lambda: GeventConnector().connect(("127.0.0.1", 1), after(1))) == "Too many open files"


# ---- frames


def test_frames_and_octets(connected: tuple[GeventUpstreamConnection, Any]) -> None:
    upstream, far = connected
    far.sendall(b"* OK ready\r\n+ go\r\nabc")
    assert upstream.read_line(100, after(1)) == b"* OK ready"
    upstream.write(b"a LOGIN {3}\r\n")
    assert far.recv(100) == b"a LOGIN {3}\r\n"
    assert upstream.read_line(100, after(1)) == b"+ go"
    assert upstream.read_octets(3, after(1)) == b"abc"


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda far: far.close(), "closed"),
        (reset, "lost: Connection reset by peer"),
        (lambda far: far.sendall(b"* OK without an end"), "no answer in time"),
        (lambda far: gevent.spawn(fault, lambda: far.sendall(b"* flood\r\n" * (INPUT_OCTETS // 4))), "too much input"),
    ],
    ids=["FIN", "RST", "silence", "flood"],
)
def test_mail_server_that_fails(
    connected: tuple[GeventUpstreamConnection, Any], act: Callable[[Any], object], words: str
) -> None:
    upstream, far = connected
    act(far)

    def read_for_ever() -> None:
        deadline = after(0.2)
        while True:
            upstream.read_line(1000, deadline)

    assert lost(read_for_ever) == words


def test_writing_is_bounded(connected: tuple[GeventUpstreamConnection, Any]) -> None:
    def write_for_ever() -> None:
        while True:
            connected[0].write(b"x" * 8192)

    assert lost(write_for_ever) == "output is not read"


# ---- TLS


def serve_tls(far: Any, tls: ServerTls) -> Any:
    return gevent.spawn(TlsPeer(far, tls.accept()).handshake)


def test_start_tls_verifies_and_goes_on_encrypted(
    connected: tuple[GeventUpstreamConnection, Any], server_tls: ServerTls, authority: CertificateAuthority
) -> None:
    upstream, far = connected
    shaking = serve_tls(far, server_tls)
    upstream.start_tls(client_context(authority.path), "localhost", after(1))
    server = shaking.get()
    upstream.write(b"a NOOP\r\n")
    assert server.receive() == b"a NOOP\r\n"
    server.send(b"a OK\r\n")
    assert upstream.read_line(100, after(1)) == b"a OK"
    upstream.close()
    assert server.receive_all() == b""


@pytest.mark.parametrize(
    ("name", "days", "known", "words"),
    [
        ("other.example.test", 1, True, "TLS with other.example.test: hostname mismatch"),
        ("192.0.2.1", 1, True, "TLS with 192.0.2.1: IP address mismatch"),
        ("localhost", -1, True, "TLS with localhost: certificate has expired"),
        (
            "localhost",
            1,
            False,
            "TLS with localhost: certificate of an unknown authority (self-signed certificate in certificate chain)",
        ),
        ("local host", 1, True, "TLS: 'local host' is not a host name"),
        ("", 1, True, "TLS: '' is not a host name"),
    ],
)
def test_start_tls_says_why_the_mail_server_is_not_trusted(
    connected: tuple[GeventUpstreamConnection, Any],
    authority: CertificateAuthority,
    tmp_path: Path,
    name: str,
    days: int,
    known: bool,
    words: str,
) -> None:
    upstream, far = connected
    certificate = authority.issue(not_after=datetime.now(UTC) + timedelta(days=days))
    shaking = gevent.spawn(
        fault,
        TlsPeer(far, ServerTls(b"imap", [CertificateFiles(certificate.chain, certificate.key)]).accept()).handshake,
    )
    trusted = authority if known else CertificateAuthority(tmp_path, "Another CA")
    assert lost(lambda: upstream.start_tls(client_context(trusted.path), name, after(1))) == words
    upstream.close()
    shaking.get()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda far: far.sendall(b"* OK not TLS at all\r\n"), "TLS with localhost: octets that are not TLS"),
        (lambda far: far.sendall(b"\x15\x03\x03\0\2\2\x28"), "TLS with localhost: tls alert handshake failure"),
        (lambda far: far.close(), "TLS with localhost: before the handshake"),
        (reset, "TLS with localhost: Connection reset by peer"),
        (lambda _: None, "TLS: no handshake in time"),
    ],
    ids=["plaintext", "alert", "FIN", "RST", "silence"],
)
def test_start_tls_with_a_mail_server_that_fails(
    connected: tuple[GeventUpstreamConnection, Any],
    authority: CertificateAuthority,
    act: Callable[[Any], object],
    words: str,
) -> None:
    upstream, far = connected
    gevent.spawn_later(0.01, act, far)
    reason = lost(lambda: upstream.start_tls(client_context(authority.path), "localhost", after(0.15)))
    assert reason in (words, words.replace("before the handshake", "Connection reset by peer"))


@pytest.mark.parametrize("injected", [b"250-injected\r\n", b"x"])
def test_octets_behind_the_starttls_reply_are_not_believed(
    connected: tuple[GeventUpstreamConnection, Any], authority: CertificateAuthority, injected: bytes
) -> None:
    upstream, far = connected
    far.sendall(b"220 go ahead\r\n" + injected)
    assert upstream.read_line(100, after(1)) == b"220 go ahead"
    words = lost(lambda: upstream.start_tls(client_context(authority.path), "localhost", after(1)))
    assert "CVE-2011-0411" in words


def test_octets_injected_later_are_not_believed_either(
    connected: tuple[GeventUpstreamConnection, Any], authority: CertificateAuthority, server_tls: ServerTls
) -> None:
    upstream, far = connected
    far.sendall(b"220 go ahead\r\n")
    assert upstream.read_line(100, after(1)) == b"220 go ahead"
    far.sendall(b"250-injected\r\n")
    words = lost(lambda: upstream.start_tls(client_context(authority.path), "localhost", after(1)))
    assert words == "TLS with localhost: octets that are not TLS"


def test_tls_is_started_once(
    connected: tuple[GeventUpstreamConnection, Any], server_tls: ServerTls, authority: CertificateAuthority
) -> None:
    upstream, far = connected
    shaking = serve_tls(far, server_tls)
    upstream.start_tls(client_context(authority.path), "localhost", after(1))
    shaking.get()
    assert lost(lambda: upstream.start_tls(client_context(authority.path), "localhost", after(1))) == (
        "TLS is there already"
    )


# ---- the session is ended while it waits for the mail server


@pytest.fixture
def owner() -> Iterator[None]:
    """This greenlet's session will be ended in a moment."""
    timer = gevent.get_hub().loop.timer(0.02)
    timer.start(gevent.getcurrent().throw, SessionEnded(EndReason.LOGGED_OFF))
    yield
    timer.stop()
    timer.close()


def assert_logged_off(action: Callable[[], object]) -> None:
    started = time.monotonic()
    with pytest.raises(SessionEnded) as raised:
        action()
    assert raised.value.reason is EndReason.LOGGED_OFF
    assert time.monotonic() - started < 1.0


@pytest.mark.usefixtures("owner")
def test_end_interrupts_connecting_and_leaves_nothing_open(listener: socket.socket) -> None:
    waiting = full_backlog(listener)
    before = len(os.listdir("/proc/self/fd"))
    assert_logged_off(lambda: GeventConnector().connect(listener.getsockname(), after(5)))
    assert len(os.listdir("/proc/self/fd")) == before
    for one in waiting:
        one.close()


@pytest.mark.usefixtures("owner")
def test_end_interrupts_waiting_for_the_mail_server(connected: tuple[GeventUpstreamConnection, Any]) -> None:
    assert_logged_off(lambda: connected[0].read_line(100, after(5)))


@pytest.mark.usefixtures("owner")
def test_end_interrupts_the_handshake_with_the_mail_server(
    connected: tuple[GeventUpstreamConnection, Any], authority: CertificateAuthority
) -> None:
    assert_logged_off(lambda: connected[0].start_tls(client_context(authority.path), "localhost", after(5)))
