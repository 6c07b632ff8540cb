"""A client's connection up to the hand-over, over real sockets."""

import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import gevent
import pytest
from gevent.event import Event
from OpenSSL import SSL

from gateway.errors import FrameTooLong
from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.outcome import State
from gateway.transport.channel import PlainChannel
from gateway.transport.client import GeventClientConnection
from gateway.transport.stream import INPUT_OCTETS
from gateway.transport.stream import OUTPUT_OCTETS
from gateway.transport.tls import ServerTls
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import cooperative
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import reset
from tests.unit.transport.peers import trusting_context

pytestmark = pytest.mark.usefixtures("open_descriptors")


@dataclass
class Accepted:
    """A connection just accepted, and the socket at its other end."""

    client: GeventClientConnection
    far: Any
    gone: list[GeventClientConnection] = field(default_factory=list)


@pytest.fixture
def accepted(tcp_pair: Any) -> Iterator[Accepted]:
    near, far = tcp_pair
    gone: list[GeventClientConnection] = []
    client = GeventClientConnection(
        PlainChannel(near), near.getpeername(), near.getsockname(), time.monotonic(), gone.append
    )
    yield Accepted(client, cooperative(far), gone)
    client.close()


@dataclass
class Established:
    """The same after the handshake."""

    client: GeventClientConnection
    peer: TlsPeer
    gone: list[GeventClientConnection]


@pytest.fixture
def established(accepted: Accepted, server_tls: ServerTls) -> Iterator[Established]:
    peer = TlsPeer(accepted.far)
    shaking = gevent.spawn(peer.handshake)
    accepted.client.start_tls(server_tls, after(2))
    shaking.get()
    peer.take_tickets()
    yield Established(accepted.client, peer, accepted.gone)
    peer.close()


def ended_by(action: Callable[[], object]) -> tuple[EndReason, str]:
    with pytest.raises(SessionEnded) as raised:
        action()
    return raised.value.reason, raised.value.detail


# ---- the handshake


def test_facts_of_the_handshake(accepted: Accepted, server_tls: ServerTls) -> None:
    connection = SSL.Connection(trusting_context(), None)
    connection.set_connect_state()
    connection.set_alpn_protos([b"imap"])
    connection.set_tlsext_host_name(b"Mail.example.test")
    shaking = gevent.spawn(TlsPeer(accepted.far, connection).handshake)
    accepted.client.start_tls(server_tls, after(2))
    shaking.get()
    facts = accepted.client.tls
    assert (facts.version, facts.alpn, facts.server_name) == ("TLSv1.3", b"imap", "mail.example.test")
    assert (facts.cipher, facts.resumed, facts.certificate_der) == ("TLS_AES_128_GCM_SHA256", False, None)
    accepted.far.close()


def test_handshake_that_dribbles_ends_at_the_deadline(accepted: Accepted, server_tls: ServerTls) -> None:
    peer = TlsPeer(accepted.far)
    with pytest.raises(SSL.WantReadError):
        peer.tls.do_handshake()
    hello = peer.written()

    def dribble() -> None:
        for octet in hello:
            accepted.far.send(bytes([octet]))
            gevent.sleep(0.005)

    dribbling = gevent.spawn(dribble)
    started = time.monotonic()
    assert ended_by(lambda: accepted.client.start_tls(server_tls, after(0.2)))[0] is EndReason.HANDSHAKE_TIMEOUT
    assert 0.19 < time.monotonic() - started < 1.0
    dribbling.kill()
    accepted.far.close()


def test_handshake_that_dribbles_within_the_deadline_succeeds(accepted: Accepted, server_tls: ServerTls) -> None:
    peer = TlsPeer(accepted.far)

    class Dribbling:
        """Sends a few octets at a time."""

        def __init__(self, end: Any) -> None:
            self.recv = end.recv
            self.end = end

        def sendall(self, octets: bytes) -> None:
            for at in range(0, len(octets), 37):
                self.end.sendall(octets[at : at + 37])
                gevent.sleep(0.001)

    peer.socket = Dribbling(accepted.far)
    shaking = gevent.spawn(peer.handshake)
    accepted.client.start_tls(server_tls, after(2))
    shaking.get()
    assert accepted.client.tls.version == "TLSv1.3"
    accepted.far.close()


@pytest.mark.parametrize(
    ("octets", "detail"),
    [
        (b"a001 LOGIN user password\r\n", "octets that are not TLS"),
        (b"POST /?a HTTP/1.1\r\nHost: x\r\n\r\n", "an HTTP request instead of TLS"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 993\r\n", "a PROXY header instead of TLS"),
        (b"\0", "octets that are not TLS"),
        (b"\x80\x2e\x01\x03\x01", "octets that are not TLS"),  # a hello of SSL 2
    ],
)
def test_what_is_not_tls_is_answered_by_silence(
    accepted: Accepted, server_tls: ServerTls, octets: bytes, detail: str
) -> None:
    accepted.far.sendall(octets)
    reason = ended_by(lambda: accepted.client.start_tls(server_tls, after(2)))
    assert reason == (EndReason.NOT_THIS_PROTOCOL, detail)
    accepted.client.close()
    assert accepted.far.recv(100) == b""
    accepted.far.close()


@pytest.mark.parametrize(
    "octets",
    [b"\x16\x03\x01\x00\x05abcde", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x16" * 50, b"\x15\x03\x03\0\2\2\x28"],
)
def test_broken_tls_fails_the_handshake(accepted: Accepted, server_tls: ServerTls, octets: bytes) -> None:
    accepted.far.sendall(octets)
    assert ended_by(lambda: accepted.client.start_tls(server_tls, after(2)))[0] is EndReason.HANDSHAKE_FAILED
    accepted.client.close()
    accepted.far.close()


def test_foreign_alpn_gets_alert_120_and_the_reason_is_told(accepted: Accepted, server_tls: ServerTls) -> None:
    connection = SSL.Connection(trusting_context(), None)
    connection.set_connect_state()
    connection.set_alpn_protos([b"http/1.1"])
    peer = TlsPeer(accepted.far, connection)
    shaking = gevent.spawn(fault, peer.handshake)
    reason = ended_by(lambda: accepted.client.start_tls(server_tls, after(2)))
    assert reason == (EndReason.HANDSHAKE_FAILED, "no common application protocol")
    accepted.client.close()
    assert "alert no application protocol" in str(shaking.get())
    peer.close()


def test_client_that_rejects_the_certificate(accepted: Accepted, server_tls: ServerTls) -> None:
    context = trusting_context()
    context.set_verify(SSL.VERIFY_PEER)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    peer = TlsPeer(accepted.far, connection)

    refusing = gevent.spawn(lambda: (fault(peer.handshake), peer.flush()))
    reason, detail = ended_by(lambda: accepted.client.start_tls(server_tls, after(2)))
    assert reason is EndReason.HANDSHAKE_FAILED
    assert "alert unknown ca" in detail
    refusing.get()
    peer.close()


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (lambda far: far.close(), (EndReason.CLIENT_CLOSED, "before the handshake")),
        (lambda far: (far.sendall(b"\x16\x03\x01"), far.close()), (EndReason.CLIENT_CLOSED, "in the handshake")),
        (reset, (EndReason.CLIENT_LOST, "Connection reset by peer")),
        (lambda far: (far.sendall(b"\x16\x03\x01"), reset(far)), (EndReason.CLIENT_LOST, "Connection reset by peer")),
    ],
)
def test_client_that_leaves_in_the_handshake(
    accepted: Accepted, server_tls: ServerTls, leave: Callable[[Any], object], reason: tuple[EndReason, str]
) -> None:
    leave(accepted.far)
    assert ended_by(lambda: accepted.client.start_tls(server_tls, after(2))) == reason


# ---- frames


def test_frames_come_whole_whatever_the_records(established: Established) -> None:
    client, peer = established.client, established.peer
    peer.send(b"a LOGIN {4}\r\nuser {3}\r\na\nb\r\nb NOOP\n")
    assert client.read_line(100, after(1)) == b"a LOGIN {4}"
    assert client.read_octets(4, after(1)) == b"user"
    assert client.read_line(100, after(1)) == b" {3}"
    assert client.read_octets(3, after(1)) == b"a\nb"
    assert client.read_octets(0, after(1)) == b""
    assert client.read_line(100, after(1)) == b""
    assert client.read_line(100, after(1)) == b"b NOOP"

    def dribble() -> None:
        for octet in b"c NOOP\r\n":
            peer.send(bytes([octet]))
            gevent.sleep(0.001)

    dribbling = gevent.spawn(dribble)
    assert client.read_line(100, after(1)) == b"c NOOP"
    dribbling.get()


def test_line_that_dribbles_past_the_deadline_ends_the_session(established: Established) -> None:
    def dribble() -> None:
        while True:
            established.peer.send(b"x")
            gevent.sleep(0.005)

    dribbling = gevent.spawn(dribble)
    started = time.monotonic()
    reason, _ = ended_by(lambda: established.client.read_line(8192, after(0.15)))
    assert reason is EndReason.LOGIN_TIMEOUT
    assert 0.14 < time.monotonic() - started < 1.0
    dribbling.kill()


def test_line_already_there_is_read_after_the_deadline_too(established: Established) -> None:
    established.peer.send(b"one\r\ntwo\r\n")
    assert established.client.read_line(100, after(1)) == b"one"
    assert established.client.read_line(100, time.monotonic() - 1) == b"two"


def test_line_too_long_is_found_without_its_end(established: Established) -> None:
    established.peer.send(b"x" * 600)
    with pytest.raises(FrameTooLong):
        established.client.read_line(512, after(1))


def test_input_before_the_hand_over_is_bounded(established: Established) -> None:
    client = established.client
    line = b"x" * 1022 + b"\r\n"
    flood = gevent.spawn(lambda: [established.peer.send(line) for _ in range(2 * INPUT_OCTETS // len(line))])
    for _ in range(INPUT_OCTETS // len(line)):
        assert client.read_line(1024, after(1)) == line[:-2]
    assert ended_by(lambda: client.read_line(1024, after(1)))[0] is EndReason.TOO_MUCH_INPUT
    flood.kill()


def test_output_that_is_not_read_is_bounded(established: Established) -> None:
    client = established.client
    reply = b"x" * 4096

    def write_for_ever() -> None:
        while True:
            client.write(reply)

    assert ended_by(write_for_ever)[0] is EndReason.TOO_MUCH_OUTPUT
    assert client._channel.queued < OUTPUT_OCTETS + 2 * len(reply)


def test_output_that_waits_goes_out_while_a_frame_is_read(established: Established) -> None:
    client, peer = established.client, established.peer
    written = 0
    while client._channel.queued == 0:
        client.write(b"x" * 1000)
        written += 1000
    reading = gevent.spawn(peer.receive_exactly, written)
    answering = gevent.spawn(lambda: (reading.get(), peer.send(b"done\r\n")))
    assert client.read_line(100, after(3)) == b"done"
    answering.get()


def test_await_line_takes_nothing(established: Established) -> None:
    client, peer = established.client, established.peer
    peer.send(b"a NO")
    waiting = gevent.spawn(client.await_line, 512, after(1))
    gevent.sleep(0.02)
    assert not waiting.ready()
    peer.send(b"OP\r\n")
    waiting.get()
    assert client.read_line(512, after(1)) == b"a NOOP"
    peer.send(b"x" * 600)
    client.await_line(512, after(1))
    with pytest.raises(FrameTooLong):
        client.read_line(512, after(1))


# ---- the client leaves


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (TlsPeer.finish, EndReason.CLIENT_CLOSED),
        (lambda peer: (peer.tls.shutdown(), peer.flush()), EndReason.CLIENT_CLOSED),
        (TlsPeer.close, EndReason.CLIENT_CLOSED),
        (TlsPeer.reset, EndReason.CLIENT_LOST),
        (lambda peer: peer.socket.sendall(b"\x17\x03\x03\0\x20" + b"x" * 32), EndReason.CLIENT_LOST),
    ],
    ids=["close_notify and FIN", "close_notify", "FIN", "RST", "broken record"],
)
def test_client_that_leaves_ends_the_session(
    established: Established, leave: Callable[[TlsPeer], object], reason: EndReason
) -> None:
    established.peer.send(b"a NOOP\r\nb")
    leaving = gevent.spawn_later(0.01, leave, established.peer)
    if reason is EndReason.CLIENT_CLOSED:
        assert established.client.read_line(100, after(1)) == b"a NOOP"
        leaving.get()
    else:
        leaving.get()
        gevent.sleep(0.01)
    assert ended_by(lambda: [established.client.read_line(100, after(1)) for _ in range(2)])[0] is reason
    established.client.close(b"bye\r\n")
    assert established.gone == [established.client]


def test_writing_to_a_client_that_is_gone_ends_the_session(established: Established) -> None:
    established.peer.reset()
    assert ended_by(lambda: [established.client.write(b"* OK\r\n") for _ in range(3)])[0] is EndReason.CLIENT_LOST


# ---- close


def test_close_sends_the_last_words_and_close_notify(established: Established) -> None:
    established.client.write(b"a BAD\r\n")
    established.client.close(b"* BYE\r\n")
    established.client.close(b"again\r\n")
    assert established.peer.receive_all() == b"a BAD\r\n* BYE\r\n"
    assert established.peer.socket.recv(100) == b""
    assert established.gone == [established.client]


def test_last_words_arrive_although_input_lies_unread(established: Established) -> None:
    established.peer.send(b"NOOP\r\n" * 5000)
    established.client.read_line(100, after(1))
    gevent.sleep(0.01)
    established.client.close(b"* BYE\r\n")
    assert established.peer.receive_all() == b"* BYE\r\n"
    assert established.peer.socket.recv(100) == b""  # FIN, not RST


# ---- end, from outside


class Outside:
    """Ends the session after a moment, while its owner waits in something."""

    def __init__(self, client: GeventClientConnection) -> None:
        self.client = client
        gevent.spawn_later(0.02, client.end, EndReason.EVICTED)

    def interrupts(self, action: Callable[[], object]) -> None:
        started = time.monotonic()
        assert ended_by(action) == (EndReason.EVICTED, "")
        assert time.monotonic() - started < 1.0


def test_end_interrupts_the_handshake(accepted: Accepted, server_tls: ServerTls) -> None:
    Outside(accepted.client).interrupts(lambda: accepted.client.start_tls(server_tls, after(5)))
    accepted.client.close()
    assert accepted.far.recv(100) == b""
    accepted.far.close()


@pytest.mark.parametrize(
    "wait",
    [
        lambda client: client.read_line(100, after(5)),
        lambda client: client.read_octets(5, after(5)),
        lambda client: client.await_line(100, after(5)),
        lambda client: client.pause(5),
        lambda _: Event().wait(5),
        lambda _: gevent.sleep(5),
        lambda _: gevent.get_hub().threadpool.apply(time.sleep, (0.1,)),
    ],
    ids=["line", "octets", "first line", "pause", "event", "sleep", "thread"],
)
def test_end_interrupts_whatever_the_owner_waits_in(
    established: Established, wait: Callable[[GeventClientConnection], object]
) -> None:
    Outside(established.client).interrupts(lambda: wait(established.client))
    established.client.close(b"* BYE\r\n")
    assert established.peer.receive_all() == b"* BYE\r\n"


def test_after_end_every_call_raises_the_first_reason(established: Established) -> None:
    client = established.client
    client.end(EndReason.LOGGED_OFF)
    client.end(EndReason.SHUTDOWN)
    for call in (
        lambda: client.write(b"x"),
        lambda: client.read_line(10, after(1)),
        lambda: client.read_octets(0, after(1)),
        lambda: client.pause(0),
    ):
        assert ended_by(call)[0] is EndReason.LOGGED_OFF
    gevent.sleep(0.01)  # the owner knows: nothing is thrown any more


def test_end_after_close_disturbs_nobody(established: Established) -> None:
    client = established.client
    client.end(EndReason.EVICTED)
    client.close()
    client.end(EndReason.EVICTED)
    gevent.sleep(0.01)


def test_end_before_the_owner_begins_is_found_by_it(accepted: Accepted, server_tls: ServerTls) -> None:
    accepted.client.end(EndReason.SHUTDOWN)
    gevent.sleep(0.01)
    assert ended_by(lambda: accepted.client.start_tls(server_tls, after(1)))[0] is EndReason.SHUTDOWN
    accepted.far.close()


def test_end_by_the_client_stands_against_a_later_end(established: Established) -> None:
    established.peer.close()
    assert ended_by(lambda: established.client.read_line(10, after(1)))[0] is EndReason.CLIENT_CLOSED
    established.client.end(EndReason.SHUTDOWN)
    gevent.sleep(0.01)
    assert ended_by(lambda: established.client.read_line(10, after(1)))[0] is EndReason.CLIENT_CLOSED


def test_advance_is_seen(established: Established) -> None:
    assert established.client.state is State.UNAUTHENTICATED
    established.client.advance(State.AUTHENTICATING)
    assert established.client.state is State.AUTHENTICATING
