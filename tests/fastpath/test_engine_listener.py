"""From a listening socket to sessions of the engine, over real sockets."""

import errno
import resource
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import gevent
import pytest
from OpenSSL import SSL

from gateway.errors import FrameTooLong
from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.transport.base import Address
from gateway.transport.base import ClientConnection
from gateway.transport.engine import Endpoint
from gateway.transport.engine import Transport
from gateway.transport.tls import ServerTls
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import cooperative
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import reset
from tests.unit.transport.peers import soon
from tests.unit.transport.peers import trusting_context

pytestmark = pytest.mark.usefixtures("open_descriptors")

GREETING = b"* OK ready\r\n"


@dataclass
class Worker:
    """A transport with one endpoint, whose sessions answer each line with `OK` and that line."""

    transport: Transport
    address: Address
    listener: socket.socket  # as the master keeps it
    trouble: list[OSError]
    started: list[ClientConnection] = field(default_factory=list)
    early: list[tuple[EndReason, str]] = field(default_factory=list)
    ended: list[EndReason] = field(default_factory=list)

    def serve(self, client: ClientConnection) -> None:
        self.started.append(client)
        try:
            while True:
                client.write(b"OK " + client.read_line(100, after(2)) + b"\r\n")
        except SessionEnded as ended:
            client.close(b"* BYE late\r\n")
            self.ended.append(ended.reason)
        except FrameTooLong:
            client.close(b"* BYE long\r\n")

    def end_early(self, peer: Address, accepted_at: float, reason: EndReason, detail: str) -> None:
        assert peer[0] == "127.0.0.1"
        assert 0 <= time.monotonic() - accepted_at < 60
        self.early.append((reason, detail))

    def connect(self) -> Any:
        return cooperative(socket.create_connection(self.address))


def a_worker(tls: ServerTls, listener: socket.socket, **changes: Any) -> Worker:
    trouble: list[OSError] = []
    worker = Worker(Transport(trouble.append), listener.getsockname()[:2], listener, trouble)
    settings: dict[str, Any] = {
        "tls": tls,
        "greeting": GREETING,
        "farewell": lambda reason: f"* BYE {reason.value}\r\n".encode(),
        "handshake_timeout_s": 1.0,
        "login_timeout_s": 2.0,
        "on_session": worker.serve,
        "on_end_early": worker.end_early,
    }
    worker.transport.listen(listener.dup(), Endpoint(**(settings | changes)))
    return worker


def stop(worker: Worker) -> None:
    worker.transport.stop_accepting()
    worker.transport.end_all(EndReason.SHUTDOWN)
    soon(lambda: worker.transport.live == 0)
    worker.transport.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def worker(server_tls: ServerTls, listener: socket.socket) -> Iterator[Worker]:
    made = a_worker(server_tls, listener)
    yield made
    stop(made)


@pytest.fixture
def hasty(server_tls: ServerTls, listener: socket.socket) -> Iterator[Worker]:
    """One with short deadlines."""
    made = a_worker(server_tls, listener, handshake_timeout_s=0.1, login_timeout_s=0.25)
    yield made
    stop(made)


def test_greeting_comes_first_and_the_session_begins_with_the_first_line(worker: Worker) -> None:
    peer = TlsPeer(worker.connect()).handshake()
    assert peer.receive() == GREETING
    peer.send(b"a NO")
    gevent.sleep(0.02)
    assert worker.started == []
    assert worker.transport.live == 1
    peer.send(b"OP\r\nb\r\n")
    assert peer.receive_exactly(17) == b"OK a NOOP\r\nOK b\r\n"
    assert len(worker.started) == 1
    client = worker.started[0]
    assert client.local == worker.address
    assert client.peer == peer.socket.getsockname()
    assert client.tls.version == "TLSv1.3"
    assert 0 < time.monotonic() - client.accepted_at < 1
    peer.finish()
    soon(lambda: worker.ended == [EndReason.CLIENT_CLOSED])
    assert worker.transport.live == 0
    peer.close()


def test_overlong_first_line_begins_a_session_too(worker: Worker) -> None:
    peer = TlsPeer(worker.connect()).handshake()
    peer.send(b"x" * 600)
    assert peer.receive_all() == GREETING + b"* BYE long\r\n"
    assert worker.early == []
    peer.close()


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        (lambda end: end.sendall(b"a LOGIN u p\r\n"), (EndReason.NOT_THIS_PROTOCOL, "octets that are not TLS")),
        (
            lambda end: end.sendall(b"GET / HTTP/1.0\r\n\r\n"),
            (EndReason.NOT_THIS_PROTOCOL, "an HTTP request instead of TLS"),
        ),
        (lambda end: end.close(), (EndReason.CLIENT_CLOSED, "before the handshake")),
        (lambda end: (gevent.sleep(0.01), reset(end)), (EndReason.CLIENT_LOST, "Connection reset by peer")),
        (lambda _: None, (EndReason.HANDSHAKE_TIMEOUT, "")),
    ],
    ids=["plaintext", "HTTP", "FIN", "RST", "silence"],
)
def test_what_ends_before_the_handshake_is_told_once(
    hasty: Worker, misbehave: Callable[[Any], object], reason: tuple[EndReason, str]
) -> None:
    end = hasty.connect()
    misbehave(end)
    soon(lambda: bool(hasty.early))
    assert hasty.early == [reason]
    assert hasty.started == []
    assert hasty.transport.live == 0
    end.close()


def test_plaintext_with_a_reset_never_reaches_a_session(worker: Worker) -> None:
    """CVE-2023-40217: octets sent before the handshake were taken for decrypted ones."""
    for _ in range(100):
        end = worker.connect()
        end.sendall(b"A1 LOGIN x y\r\n")
        reset(end)
        gevent.sleep(0)
    soon(lambda: len(worker.early) == 100)
    assert worker.started == []
    assert worker.transport.live == 0


def test_silent_client_ends_at_the_login_deadline_with_a_farewell(hasty: Worker) -> None:
    started = time.monotonic()
    peer = TlsPeer(hasty.connect()).handshake()
    assert peer.receive_all() == GREETING + b"* BYE login-timeout\r\n"
    assert 0.24 < time.monotonic() - started < 1.0
    assert hasty.early == [(EndReason.LOGIN_TIMEOUT, "")]
    peer.close()


def test_foreign_alpn_is_told(worker: Worker) -> None:
    connection = SSL.Connection(trusting_context(), None)
    connection.set_connect_state()
    connection.set_alpn_protos([b"pop3"])
    peer = TlsPeer(worker.connect(), connection)
    assert "no application protocol" in str(fault(peer.handshake))
    assert worker.early == [(EndReason.HANDSHAKE_FAILED, "no common application protocol")]
    peer.close()


def test_ipv4_mapped_address_is_written_as_ipv4(server_tls: ServerTls) -> None:
    try:
        listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError) as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listening:
        worker = a_worker(server_tls, listening)
        peer = TlsPeer(cooperative(socket.create_connection(("127.0.0.1", worker.address[1])))).handshake()
        peer.send(b"a\r\n")
        soon(lambda: len(worker.started) == 1)
        assert worker.started[0].peer == peer.socket.getsockname()
        assert worker.started[0].local == ("127.0.0.1", worker.address[1])
        peer.close()
        stop(worker)


def test_end_all_ends_every_session_wherever_it_is(worker: Worker) -> None:
    silent = worker.connect()
    greeted, busy = TlsPeer(worker.connect()).handshake(), TlsPeer(worker.connect()).handshake()
    busy.send(b"a\r\n")
    soon(lambda: len(worker.started) == 1)
    worker.transport.end_all(EndReason.SHUTDOWN)
    assert greeted.receive_all() == GREETING + b"* BYE shutdown\r\n"
    assert busy.receive_all() == GREETING + b"OK a\r\n* BYE late\r\n"
    assert silent.recv(100) == b""
    assert worker.early == [(EndReason.SHUTDOWN, "")] * 2
    assert worker.ended == [EndReason.SHUTDOWN]
    for end in (silent, greeted, busy):
        end.close()
    soon(lambda: worker.transport.live == 0)


def test_end_all_right_after_an_accept_ends_that_one_too(worker: Worker) -> None:
    end = worker.connect()
    soon(lambda: worker.transport.live > 0)
    worker.transport.end_all(EndReason.SHUTDOWN)
    soon(lambda: worker.early == [(EndReason.SHUTDOWN, "")])
    end.close()


def test_stop_accepting_leaves_sessions_alone_and_the_queue_to_others(worker: Worker, server_tls: ServerTls) -> None:
    peer = TlsPeer(worker.connect()).handshake()
    assert peer.receive() == GREETING
    worker.transport.stop_accepting()
    queued = worker.connect()
    gevent.sleep(0.02)
    peer.send(b"a\r\n")
    assert peer.receive() == b"OK a\r\n"
    assert worker.transport.live == 1
    other = a_worker(server_tls, worker.listener)
    late = TlsPeer(queued).handshake()
    assert late.receive() == GREETING
    late.close()
    peer.close()
    stop(other)


def test_session_that_fails_is_closed(
    server_tls: ServerTls, listener: socket.socket, uncaught: list[BaseException]
) -> None:
    def fail(_: ClientConnection) -> None:
        raise RuntimeError

    worker = a_worker(server_tls, listener, on_session=fail)
    peer = TlsPeer(worker.connect()).handshake()
    peer.send(b"a\r\n")
    assert peer.receive_all() == GREETING
    assert [type(error) for error in uncaught] == [RuntimeError]
    uncaught.clear()
    peer.close()
    stop(worker)


def test_many_at_once_are_all_served(worker: Worker) -> None:
    def converse(_: int) -> bytes:
        peer = TlsPeer(worker.connect()).handshake()
        peer.send(b"a\r\n")
        answer = peer.receive_exactly(len(GREETING) + 6)
        peer.finish()
        peer.close()
        return answer

    conversations = [gevent.spawn(converse, number) for number in range(40)]
    assert {one.get() for one in conversations} == {GREETING + b"OK a\r\n"}
    soon(lambda: worker.transport.live == 0)


def test_without_descriptors_accepting_pauses_and_sessions_go_on(worker: Worker) -> None:
    peer = TlsPeer(worker.connect()).handshake()
    assert peer.receive() == GREETING
    waiting = [socket.socket() for _ in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    fillers = [socket.socket() for _ in range(highest)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(one.fileno() for one in fillers) + 1, hard))
    try:
        for one in waiting:
            one.connect(worker.address)
        soon(lambda: bool(worker.trouble))
        used = time.process_time()
        for number in range(10):
            peer.send(b"%d\r\n" % number)
            assert peer.receive() == b"OK %d\r\n" % number
            gevent.sleep(0.02)
        assert time.process_time() - used < 0.1  # it does not spin
        assert [error.errno for error in worker.trouble] == [errno.EMFILE]
        assert worker.transport.live == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in fillers:
            one.close()
    started = time.monotonic()
    peers = [TlsPeer(cooperative(one)).handshake() for one in waiting]
    assert time.monotonic() - started < 2.0
    assert worker.transport.live == 4
    for one_peer in (peer, *peers):
        one_peer.close()
