"""The relay, between a mail program with TLS and a mail server without (and with), over real sockets."""

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import gevent
import pytest

from gateway.outcome import EndReason
from gateway.transport import relay as relay_module
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.channel import PlainChannel
from gateway.transport.client import GeventClientConnection
from gateway.transport.relay import Relay
from gateway.transport.sockets import numeric
from gateway.transport.tls import ServerTls
from gateway.transport.tls import client_context
from gateway.transport.upstream import GeventUpstreamConnection
from tests.support.tls import CertificateAuthority
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import cooperative
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import reset
from tests.unit.transport.peers import soon

pytestmark = pytest.mark.usefixtures("open_descriptors")

MIB = 1 << 20
UNLIMITED = RelayLimits(None, None)
SMALL_BUFFER_OCTETS = 16 * 1024


def tcp_pair(buffer_octets: int | None = None) -> tuple[socket.socket, socket.socket]:
    """buffer_octets: what the kernel may hold for each end, as far as it lets itself be told."""
    with socket.socket() as listener:
        if buffer_octets:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.socket()
        if buffer_octets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    one.setblocking(False)
    other.setblocking(False)
    return one, other


@dataclass
class Session:
    """A session that is logged in. program: the client's end, server: the mail server's."""

    client: GeventClientConnection
    upstream: GeventUpstreamConnection
    program: TlsPeer
    server: Any
    ends: list[RelayEnd] = field(default_factory=list)
    gone: list[GeventClientConnection] = field(default_factory=list)
    farewells: list[EndReason] = field(default_factory=list)

    def relay(self, limits: RelayLimits = UNLIMITED) -> None:
        def farewells(reason: EndReason) -> bytes:
            self.farewells.append(reason)
            return f"* BYE {reason.value}\r\n".encode()

        self.client.hand_over(self.upstream, limits, farewells, self.ends.append)

    def ended(self) -> RelayEnd:
        soon(lambda: bool(self.ends))
        gevent.sleep(0.01)
        assert self.gone == [self.client]
        assert len(self.ends) == 1
        return self.ends[0]


def a_session(server_tls: ServerTls, buffer_octets: int | None = None) -> Session:
    near, far = tcp_pair(buffer_octets)
    up_near, up_far = tcp_pair(buffer_octets)
    gone: list[GeventClientConnection] = []
    client = GeventClientConnection(
        PlainChannel(near), numeric(near.getpeername()), numeric(near.getsockname()), time.monotonic(), gone.append
    )
    program = TlsPeer(cooperative(far))
    shaking = gevent.spawn(program.handshake)
    client.start_tls(server_tls, after(2))
    shaking.get()
    program.take_tickets()
    upstream = GeventUpstreamConnection(PlainChannel(up_near), numeric(up_near.getpeername()), ("127.0.0.1", 0))
    return Session(client, upstream, program, cooperative(up_far), gone=gone)


def close(session: Session) -> None:
    session.program.close()
    session.server.close()
    if session.client._relay is not None:
        session.ended()
    session.client.close()
    session.upstream.close()


@pytest.fixture
def session(server_tls: ServerTls) -> Iterator[Session]:
    opened = a_session(server_tls)
    yield opened
    close(opened)


@pytest.fixture
def narrow(server_tls: ServerTls) -> Iterator[Session]:
    """With so little room in the kernel that what the relay holds can be seen."""
    opened = a_session(server_tls, SMALL_BUFFER_OCTETS)
    yield opened
    close(opened)


def receive_exactly(end: Any, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        data = end.recv(count - len(received))
        assert data
        received += data
    return bytes(received)


def receive_all(end: Any) -> bytes:
    received = bytearray()
    while data := end.recv(1 << 16):
        received += data
    return bytes(received)


# ---- octets


def test_what_was_read_ahead_goes_first(session: Session) -> None:
    session.program.send(b"a LOGIN u p\r\nb NOOP\r\nc NO")
    session.server.sendall(b"a OK\r\n* 1 EXISTS\r\n* 2 EX")
    assert session.client.read_line(100, after(1)) == b"a LOGIN u p"
    assert session.upstream.read_line(100, after(1)) == b"a OK"
    session.client.write(b"a OK\r\n")
    session.relay()
    session.program.send(b"OP\r\n")
    session.server.sendall(b"ISTS\r\n")
    assert receive_exactly(session.server, 16) == b"b NOOP\r\nc NOOP\r\n"
    assert session.program.receive_exactly(30) == b"a OK\r\n* 1 EXISTS\r\n* 2 EXISTS\r\n"
    session.client.end(EndReason.SHUTDOWN)
    end = session.ended()
    assert (end.octets_in, end.octets_out) == (16, 24)  # "a OK" was ours


def test_more_than_was_framed_is_not_lost(session: Session) -> None:
    """One record holds more than the budget before the hand-over: what is left in OpenSSL has to go too."""
    flood = b"x" * 200_000
    sending = gevent.spawn(lambda: (session.program.send(b"a\r\n" + flood), session.program.finish()))
    assert session.client.read_line(100, after(1)) == b"a"
    session.relay()
    assert receive_all(session.server) == flood
    sending.get()


@pytest.mark.parametrize("tls_upstream", [False, True], ids=["plain upstream", "TLS upstream"])
def test_random_octets_both_ways_at_once(
    session: Session, tls_upstream: bool, server_tls: ServerTls, authority: CertificateAuthority
) -> None:
    up, down = os.urandom(8 * MIB), os.urandom(8 * MIB)
    send, receive = session.server.sendall, lambda: receive_exactly(session.server, len(up))
    if tls_upstream:
        server = TlsPeer(session.server, server_tls.accept())
        shaking = gevent.spawn(server.handshake)
        session.upstream.start_tls(client_context(authority.path), "localhost", after(2))
        shaking.get()
        send, receive = server.send, lambda: server.receive_exactly(len(up))
    session.relay()
    sending = [gevent.spawn(session.program.send, up), gevent.spawn(send, down)]
    receiving = [gevent.spawn(receive), gevent.spawn(session.program.receive_exactly, len(down))]
    at_server, at_program = (one.get() for one in receiving)
    gevent.joinall(sending)
    assert hashlib.sha256(at_server).digest() == hashlib.sha256(up).digest()
    assert hashlib.sha256(at_program).digest() == hashlib.sha256(down).digest()
    session.client.end(EndReason.LOGGED_OFF)
    end = session.ended()
    assert (end.octets_in, end.octets_out) == (len(up), len(down))


@pytest.mark.parametrize("direction", ["down", "up"])
def test_reader_that_stalls_holds_the_sender_back(narrow: Session, direction: str) -> None:
    narrow.relay()
    source, target = (narrow.server, narrow.program) if direction == "down" else (narrow.program, narrow.server)
    data = os.urandom(4 * MIB)
    sent = 0

    def send() -> None:
        nonlocal sent
        write = source.send if isinstance(source, TlsPeer) else source.sendall
        for at in range(0, len(data), 4096):
            write(data[at : at + 4096])
            sent += 4096

    sending = gevent.spawn(send)
    before = -1
    while before != sent:
        before = sent
        gevent.sleep(0.05)
    assert sent < 4 * 64 * 1024 + 8 * SMALL_BUFFER_OCTETS  # of 4 MiB
    if isinstance(target, TlsPeer):
        assert target.receive_exactly(len(data)) == data
    else:
        assert receive_exactly(target, len(data)) == data
    sending.get()


class AlwaysReady:
    """A channel that has octets and takes octets without end (or 100,000 times, should nobody stop it)."""

    descriptor = -1
    queued = 0
    wanted = 0

    def __init__(self) -> None:
        self.left = 100_000

    def receive(self, _: int) -> bytes:
        self.left -= 1
        return b"x" if self.left > 0 else b""

    def queue(self, data: bytes) -> None:
        pass

    def flush(self) -> bool:
        return True

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_pair_that_is_always_ready_does_not_starve_the_hub() -> None:
    ends: list[RelayEnd] = []
    relay = Relay((AlwaysReady(), b""), (AlwaysReady(), b""), UNLIMITED, lambda _: b"", ends.append)
    relay.start()
    for _ in range(20):
        gevent.sleep(0)
    relay.end(EndReason.LOGGED_OFF)
    soon(lambda: bool(ends))
    assert ends[0].reason is EndReason.LOGGED_OFF
    assert 0 < ends[0].octets_in < 1000


# ---- ends


def test_client_that_half_closes_gets_the_rest(session: Session) -> None:
    session.relay()
    session.program.send(b"a LOGOUT\r\n")
    session.program.finish()
    assert receive_all(session.server) == b"a LOGOUT\r\n"
    session.server.sendall(b"* BYE\r\n" * 1000)
    session.server.close()
    assert session.program.receive_all() == b"* BYE\r\n" * 1000
    assert session.ended() == RelayEnd(EndReason.CLIENT_CLOSED, 10, 7000)


def test_mail_server_that_half_closes_gets_the_rest(session: Session) -> None:
    session.relay()
    session.server.sendall(b"* BYE\r\n")
    session.server.shutdown(socket.SHUT_WR)
    assert session.program.receive_all() == b"* BYE\r\n"
    assert session.program.socket.recv(10) == b""
    session.program.send(b"still here\r\n")
    session.program.finish()
    assert receive_all(session.server) == b"still here\r\n"
    assert session.ended() == RelayEnd(EndReason.UPSTREAM_CLOSED, 12, 7)


def test_half_close_waits_for_a_reader_that_stalls(narrow: Session) -> None:
    narrow.relay()
    data = os.urandom(MIB)
    sending = gevent.spawn(lambda: (narrow.server.sendall(data), narrow.server.shutdown(socket.SHUT_WR)))
    gevent.sleep(0.05)
    assert narrow.program.receive_all() == data
    sending.get()


def test_client_that_vanishes_without_close_notify_has_closed(session: Session) -> None:
    session.relay()
    session.program.close()
    assert receive_all(session.server) == b""
    session.server.close()
    assert session.ended().reason is EndReason.CLIENT_CLOSED


def test_mail_server_that_closes_on_a_client_that_goes_on_sending(session: Session) -> None:
    session.relay()
    session.server.sendall(b"* BYE\r\n")
    session.server.close()
    assert session.program.receive_all() == b"* BYE\r\n"
    session.program.send(b"a NOOP\r\n")
    gevent.sleep(0.01)
    fault(lambda: session.program.send(b"b NOOP\r\n"))
    assert session.ended().reason is EndReason.UPSTREAM_CLOSED


def test_client_that_resets(session: Session) -> None:
    session.relay()
    session.program.reset()
    assert session.ended().reason is EndReason.CLIENT_LOST
    assert receive_all(session.server) == b""


def test_client_that_breaks_its_tls(session: Session) -> None:
    session.relay()
    session.program.socket.sendall(b"\x17\x03\x03\0\x20" + b"x" * 32)
    assert session.ended().reason is EndReason.CLIENT_LOST
    assert receive_all(session.server) == b""


def test_mail_server_that_resets_is_told_to_the_client(session: Session) -> None:
    session.relay()
    reset(session.server)
    assert session.program.receive_all() == b"* BYE upstream-lost\r\n"
    assert session.ended().reason is EndReason.UPSTREAM_LOST


@pytest.mark.parametrize("who", ["program", "server"])
def test_reset_while_the_other_side_does_not_read(narrow: Session, who: str) -> None:
    narrow.relay()
    if who == "program":
        sending = gevent.spawn(fault, lambda: narrow.server.sendall(bytes(MIB)))
        gevent.sleep(0.05)
        narrow.program.reset()
    else:
        sending = gevent.spawn(fault, lambda: narrow.program.send(bytes(MIB)))
        gevent.sleep(0.05)
        reset(narrow.server)
    lost = EndReason.CLIENT_LOST if who == "program" else EndReason.UPSTREAM_LOST
    assert narrow.ended().reason is lost
    sending.get()


def test_half_closed_session_that_is_idle_ends_as_closed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "HALF_CLOSED_IDLE_S", 0.1)
    session.relay(RelayLimits(30, None))
    gevent.sleep(0.15)
    assert session.ends == []
    session.server.sendall(b"* BYE\r\n")
    session.server.shutdown(socket.SHUT_WR)
    assert session.program.receive_all() == b"* BYE\r\n"
    assert session.ended().reason is EndReason.UPSTREAM_CLOSED


# ---- limits


def test_idle_session_ends_and_says_farewell(session: Session) -> None:
    session.relay(RelayLimits(0.1, None))
    started = time.monotonic()
    assert session.program.receive_all() == b"* BYE idle-timeout\r\n"
    assert 0.09 < time.monotonic() - started < 1.0
    assert receive_all(session.server) == b""
    assert session.ended() == RelayEnd(EndReason.IDLE_TIMEOUT, 0, 0)


@pytest.mark.parametrize("who", ["program", "server"])
def test_octets_of_either_side_keep_a_session_from_being_idle(session: Session, who: str) -> None:
    session.relay(RelayLimits(0.1, None))
    for _ in range(15):
        if who == "program":
            session.program.send(b"a NOOP\r\n")
        else:
            session.server.sendall(b"* OK\r\n")
        gevent.sleep(0.02)
        assert session.ends == []


def test_busy_session_ends_at_its_absolute_limit(session: Session) -> None:
    session.relay(RelayLimits(10, 0.2))
    started = time.monotonic()
    while not session.ends:
        fault(lambda: session.program.send(b"a NOOP\r\n"))
        gevent.sleep(0.01)
    assert 0.19 < time.monotonic() - started < 1.0
    assert session.ended().reason is EndReason.SESSION_TIMEOUT


@pytest.mark.parametrize("reason", [EndReason.LOGGED_OFF, EndReason.SHUTDOWN])
def test_session_that_is_ended_from_outside(session: Session, reason: EndReason) -> None:
    session.relay()
    gevent.sleep(0.01)
    session.client.end(reason)
    session.client.end(EndReason.IDLE_TIMEOUT)
    assert session.program.receive_all() == f"* BYE {reason.value}\r\n".encode()
    assert receive_all(session.server) == b""
    assert session.ended().reason is reason


def test_end_right_after_the_hand_over(session: Session) -> None:
    session.relay()
    session.client.end(EndReason.SHUTDOWN)
    assert session.program.receive_all() == b"* BYE shutdown\r\n"
    assert session.ended().reason is EndReason.SHUTDOWN


def test_end_right_before_the_hand_over_is_the_relays(session: Session) -> None:
    session.client.end(EndReason.LOGGED_OFF)
    session.relay()
    assert session.program.receive_all() == b"* BYE logged-off\r\n"
    assert session.ended().reason is EndReason.LOGGED_OFF
    assert receive_all(session.server) == b""


# ---- farewells


@pytest.mark.parametrize(
    ("before", "farewell"),
    [
        (b"* 1 EXISTS\r\n", b"* BYE logged-off\r\n"),
        (b"* 1 FETCH (BODY {1000}\r\nhalf a lin", b""),
    ],
)
def test_farewell_stands_only_at_the_beginning_of_a_line(session: Session, before: bytes, farewell: bytes) -> None:
    session.relay()
    session.server.sendall(before)
    assert session.program.receive_exactly(len(before)) == before
    session.client.end(EndReason.LOGGED_OFF)
    assert session.program.receive_all() == farewell


def test_no_farewell_behind_octets_that_wait(narrow: Session) -> None:
    narrow.relay()
    sending = gevent.spawn(fault, lambda: narrow.server.sendall(b"\n" * MIB))
    gevent.sleep(0.05)
    narrow.client.end(EndReason.LOGGED_OFF)
    assert narrow.ended().reason is EndReason.LOGGED_OFF
    assert narrow.farewells == []
    sending.get()


def test_no_farewell_to_a_client_that_was_told_the_end(session: Session) -> None:
    session.relay()
    session.server.shutdown(socket.SHUT_WR)
    assert session.program.receive_all() == b""
    session.client.end(EndReason.SHUTDOWN)
    assert session.ended().reason is EndReason.SHUTDOWN
    assert session.farewells == []


def test_what_the_end_callback_raises_does_not_keep_anything_open(
    session: Session, uncaught: list[BaseException]
) -> None:
    def fail(end: RelayEnd) -> None:
        session.ends.append(end)
        raise RuntimeError

    session.client.hand_over(session.upstream, UNLIMITED, lambda _: b"", fail)
    session.client.end(EndReason.SHUTDOWN)
    session.ended()
    assert receive_all(session.server) == b""
    assert [type(error) for error in uncaught] == [RuntimeError]
    uncaught.clear()


def test_hand_over_of_a_strange_connection_is_refused(session: Session) -> None:
    strange: Any = object()
    with pytest.raises(TypeError):
        session.client.hand_over(strange, UNLIMITED, lambda _: b"", session.ends.append)
