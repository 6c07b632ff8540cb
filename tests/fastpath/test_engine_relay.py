"""The engine's relay, between a mail program with TLS and a mail server without (and with), over real sockets."""

import hashlib
import os
import socket
import time
from typing import Any

import gevent
import pytest

from gateway.outcome import EndReason
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.tls import ServerTls
from gateway.transport.tls import client_context
from tests.fastpath.conftest import SMALL_BUFFER_OCTETS
from tests.fastpath.sessions import UNLIMITED
from tests.fastpath.sessions import Joined
from tests.support.tls import CertificateAuthority
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import reset

pytestmark = pytest.mark.usefixtures("open_descriptors")

MIB = 1 << 20


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


def test_what_was_read_ahead_goes_first(joined: Joined) -> None:
    joined.program.send(b"a LOGIN u p\r\nb NOOP\r\nc NO")
    joined.server.sendall(b"a OK\r\n* 1 EXISTS\r\n* 2 EX")
    assert joined.client.read_line(100, after(1)) == b"a LOGIN u p"
    assert joined.upstream.read_line(100, after(1)) == b"a OK"
    joined.client.write(b"a OK\r\n")
    joined.relay()
    joined.program.send(b"OP\r\n")
    joined.server.sendall(b"ISTS\r\n")
    assert receive_exactly(joined.server, 16) == b"b NOOP\r\nc NOOP\r\n"
    assert joined.program.receive_exactly(30) == b"a OK\r\n* 1 EXISTS\r\n* 2 EXISTS\r\n"
    joined.client.end(EndReason.SHUTDOWN)
    end = joined.ended()
    assert (end.octets_in, end.octets_out) == (16, 24)  # "a OK" was ours


def test_more_than_was_framed_is_not_lost(joined: Joined) -> None:
    """One record holds more than the budget before the hand-over: what is left in OpenSSL has to go too."""
    flood = b"x" * 200_000
    sending = gevent.spawn(lambda: (joined.program.send(b"a\r\n" + flood), joined.program.finish()))
    assert joined.client.read_line(100, after(1)) == b"a"
    joined.relay()
    assert receive_all(joined.server) == flood
    sending.get()


@pytest.mark.parametrize("tls_upstream", [False, True], ids=["plain upstream", "TLS upstream"])
def test_random_octets_both_ways_at_once(
    joined: Joined, tls_upstream: bool, server_tls: ServerTls, authority: CertificateAuthority
) -> None:
    up, down = os.urandom(8 * MIB), os.urandom(8 * MIB)
    send, receive = joined.server.sendall, lambda: receive_exactly(joined.server, len(up))
    if tls_upstream:
        server = TlsPeer(joined.server, server_tls.accept())
        shaking = gevent.spawn(server.handshake)
        joined.upstream.start_tls(client_context(authority.path), "localhost", after(2))
        shaking.get()
        send, receive = server.send, lambda: server.receive_exactly(len(up))
    joined.relay()
    sending = [gevent.spawn(joined.program.send, up), gevent.spawn(send, down)]
    receiving = [gevent.spawn(receive), gevent.spawn(joined.program.receive_exactly, len(down))]
    at_server, at_program = (one.get() for one in receiving)
    gevent.joinall(sending)
    assert hashlib.sha256(at_server).digest() == hashlib.sha256(up).digest()
    assert hashlib.sha256(at_program).digest() == hashlib.sha256(down).digest()
    joined.client.end(EndReason.LOGGED_OFF)
    end = joined.ended()
    assert (end.octets_in, end.octets_out) == (len(up), len(down))


@pytest.mark.parametrize("direction", ["down", "up"])
def test_reader_that_stalls_holds_the_sender_back(narrow: Joined, direction: str) -> None:
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
    assert sent < 4 * 128 * 1024 + 8 * SMALL_BUFFER_OCTETS  # of 4 MiB
    if isinstance(target, TlsPeer):
        assert target.receive_exactly(len(data)) == data
    else:
        assert receive_exactly(target, len(data)) == data
    sending.get()


# ---- ends


def test_client_that_half_closes_gets_the_rest(joined: Joined) -> None:
    joined.relay()
    joined.program.send(b"a LOGOUT\r\n")
    joined.program.finish()
    assert receive_all(joined.server) == b"a LOGOUT\r\n"
    joined.server.sendall(b"* BYE\r\n" * 1000)
    joined.server.close()
    assert joined.program.receive_all() == b"* BYE\r\n" * 1000
    assert joined.ended() == RelayEnd(EndReason.CLIENT_CLOSED, 10, 7000)


def test_mail_server_that_half_closes_gets_the_rest(joined: Joined) -> None:
    joined.relay()
    joined.server.sendall(b"* BYE\r\n")
    joined.server.shutdown(socket.SHUT_WR)
    assert joined.program.receive_all() == b"* BYE\r\n"
    assert joined.program.socket.recv(10) == b""
    joined.program.send(b"still here\r\n")
    joined.program.finish()
    assert receive_all(joined.server) == b"still here\r\n"
    assert joined.ended() == RelayEnd(EndReason.UPSTREAM_CLOSED, 12, 7)


def test_half_close_waits_for_a_reader_that_stalls(narrow: Joined) -> None:
    narrow.relay()
    data = os.urandom(MIB)
    sending = gevent.spawn(lambda: (narrow.server.sendall(data), narrow.server.shutdown(socket.SHUT_WR)))
    gevent.sleep(0.05)
    assert narrow.program.receive_all() == data
    sending.get()


def test_client_that_vanishes_without_close_notify_has_closed(joined: Joined) -> None:
    joined.relay()
    joined.program.close()
    assert receive_all(joined.server) == b""
    joined.server.close()
    assert joined.ended().reason is EndReason.CLIENT_CLOSED


def test_mail_server_that_closes_on_a_client_that_goes_on_sending(joined: Joined) -> None:
    joined.relay()
    joined.server.sendall(b"* BYE\r\n")
    joined.server.close()
    assert joined.program.receive_all() == b"* BYE\r\n"
    joined.program.send(b"a NOOP\r\n")
    gevent.sleep(0.01)
    fault(lambda: joined.program.send(b"b NOOP\r\n"))
    assert joined.ended().reason is EndReason.UPSTREAM_CLOSED


def test_client_that_resets(joined: Joined) -> None:
    joined.relay()
    joined.program.reset()
    assert joined.ended().reason is EndReason.CLIENT_LOST
    assert receive_all(joined.server) == b""


def test_client_that_breaks_its_tls(joined: Joined) -> None:
    joined.relay()
    joined.program.socket.sendall(b"\x17\x03\x03\0\x20" + b"x" * 32)
    assert joined.ended().reason is EndReason.CLIENT_LOST
    assert receive_all(joined.server) == b""


def test_mail_server_that_resets_is_told_to_the_client(joined: Joined) -> None:
    joined.relay()
    reset(joined.server)
    assert joined.program.receive_all() == b"* BYE upstream-lost\r\n"
    assert joined.ended().reason is EndReason.UPSTREAM_LOST


@pytest.mark.parametrize("who", ["program", "server"])
def test_reset_while_the_other_side_does_not_read(narrow: Joined, who: str) -> None:
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


def test_half_closed_session_that_is_idle_ends_as_closed(joined: Joined) -> None:
    joined.relay(RelayLimits(0.3, None))
    joined.server.sendall(b"* BYE\r\n")
    joined.server.shutdown(socket.SHUT_WR)
    assert joined.program.receive_all() == b"* BYE\r\n"
    assert joined.ended().reason is EndReason.UPSTREAM_CLOSED


# ---- limits


def test_idle_session_ends_and_says_farewell(joined: Joined) -> None:
    joined.relay(RelayLimits(0.1, None))
    started = time.monotonic()
    assert joined.program.receive_all() == b"* BYE idle-timeout\r\n"
    assert 0.09 < time.monotonic() - started < 1.0
    assert receive_all(joined.server) == b""
    assert joined.ended() == RelayEnd(EndReason.IDLE_TIMEOUT, 0, 0)


@pytest.mark.parametrize("who", ["program", "server"])
def test_octets_of_either_side_keep_a_session_from_being_idle(joined: Joined, who: str) -> None:
    joined.relay(RelayLimits(0.1, None))
    for _ in range(15):
        if who == "program":
            joined.program.send(b"a NOOP\r\n")
        else:
            joined.server.sendall(b"* OK\r\n")
        gevent.sleep(0.02)
        assert joined.ends == []


def test_busy_session_ends_at_its_absolute_limit(joined: Joined) -> None:
    joined.relay(RelayLimits(10, 0.2))
    started = time.monotonic()
    while not joined.ends:
        fault(lambda: joined.program.send(b"a NOOP\r\n"))
        gevent.sleep(0.01)
    assert 0.19 < time.monotonic() - started < 1.0
    assert joined.ended().reason is EndReason.SESSION_TIMEOUT


@pytest.mark.parametrize("reason", [EndReason.LOGGED_OFF, EndReason.SHUTDOWN])
def test_session_that_is_ended_from_outside(joined: Joined, reason: EndReason) -> None:
    joined.relay()
    gevent.sleep(0.01)
    joined.client.end(reason)
    joined.client.end(EndReason.IDLE_TIMEOUT)
    assert joined.program.receive_all() == f"* BYE {reason.value}\r\n".encode()
    assert receive_all(joined.server) == b""
    assert joined.ended().reason is reason


def test_end_right_after_the_hand_over(joined: Joined) -> None:
    joined.relay()
    joined.client.end(EndReason.SHUTDOWN)
    assert joined.program.receive_all() == b"* BYE shutdown\r\n"
    assert joined.ended().reason is EndReason.SHUTDOWN


def test_end_right_before_the_hand_over_is_the_relays(joined: Joined) -> None:
    joined.client.end(EndReason.LOGGED_OFF)
    joined.relay()
    assert joined.program.receive_all() == b"* BYE logged-off\r\n"
    assert joined.ended().reason is EndReason.LOGGED_OFF
    assert receive_all(joined.server) == b""


# ---- farewells


@pytest.mark.parametrize(
    ("before", "farewell"),
    [
        (b"* 1 EXISTS\r\n", b"* BYE logged-off\r\n"),
        (b"* 1 FETCH (BODY {1000}\r\nhalf a lin", b""),
    ],
)
def test_farewell_stands_only_at_the_beginning_of_a_line(joined: Joined, before: bytes, farewell: bytes) -> None:
    joined.relay()
    joined.server.sendall(before)
    assert joined.program.receive_exactly(len(before)) == before
    joined.client.end(EndReason.LOGGED_OFF)
    assert joined.program.receive_all() == farewell


def test_no_farewell_behind_octets_that_wait(narrow: Joined) -> None:
    narrow.relay()
    sending = gevent.spawn(fault, lambda: narrow.server.sendall(b"\n" * MIB))
    gevent.sleep(0.05)
    narrow.client.end(EndReason.LOGGED_OFF)
    assert narrow.ended().reason is EndReason.LOGGED_OFF
    assert narrow.farewells == []
    sending.get()


def test_no_farewell_to_a_client_that_was_told_the_end(joined: Joined) -> None:
    joined.relay()
    joined.server.shutdown(socket.SHUT_WR)
    assert joined.program.receive_all() == b""
    joined.client.end(EndReason.SHUTDOWN)
    assert joined.ended().reason is EndReason.SHUTDOWN
    assert joined.farewells == []


def test_what_the_end_callback_raises_does_not_keep_anything_open(
    joined: Joined, uncaught: list[BaseException]
) -> None:
    def fail(end: RelayEnd) -> None:
        joined.ends.append(end)
        raise RuntimeError

    joined.client.hand_over(joined.upstream, UNLIMITED, lambda _: b"", fail)
    joined.client.end(EndReason.SHUTDOWN)
    joined.ended()
    assert receive_all(joined.server) == b""
    assert [type(error) for error in uncaught] == [RuntimeError]
    uncaught.clear()


def test_hand_over_of_a_strange_connection_is_refused(joined: Joined) -> None:
    strange: Any = object()
    with pytest.raises(TypeError):
        joined.client.hand_over(strange, UNLIMITED, lambda _: b"", joined.ends.append)
