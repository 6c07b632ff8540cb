"""The engine's connection with a client up to the hand-over, over real sockets."""

import time
from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from gateway.errors import FrameTooLong
from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.outcome import State
from gateway.transport.engine import INPUT_OCTETS
from gateway.transport.engine import EngineClientConnection
from tests.fastpath.sessions import Served
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after

pytestmark = pytest.mark.usefixtures("open_descriptors")


def ended_by(action: Callable[[], object]) -> tuple[EndReason, str]:
    with pytest.raises(SessionEnded) as raised:
        action()
    return raised.value.reason, raised.value.detail


# ---- frames


def test_frames_come_whole_whatever_the_records(served: Served) -> None:
    client, peer = served.client, served.peer
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


def test_line_that_dribbles_past_the_deadline_ends_the_session(served: Served) -> None:
    def dribble() -> None:
        while True:
            served.peer.send(b"x")
            gevent.sleep(0.005)

    dribbling = gevent.spawn(dribble)
    started = time.monotonic()
    reason, _ = ended_by(lambda: served.client.read_line(8192, after(0.15)))
    assert reason is EndReason.LOGIN_TIMEOUT
    assert 0.14 < time.monotonic() - started < 1.0
    dribbling.kill()


def test_line_already_there_is_read_after_the_deadline_too(served: Served) -> None:
    served.peer.send(b"one\r\ntwo\r\n")
    assert served.client.read_line(100, after(1)) == b"one"
    assert served.client.read_line(100, time.monotonic() - 1) == b"two"


def test_line_too_long_is_found_without_its_end(served: Served) -> None:
    served.peer.send(b"x" * 600)
    with pytest.raises(FrameTooLong):
        served.client.read_line(512, after(1))


def test_input_before_the_hand_over_is_bounded(served: Served) -> None:
    client = served.client
    line = b"x" * 1022 + b"\r\n"
    flood = gevent.spawn(lambda: [served.peer.send(line) for _ in range(2 * INPUT_OCTETS // len(line))])
    for _ in range(INPUT_OCTETS // len(line) - 1):
        assert client.read_line(1024, after(1)) == line[:-2]
    assert ended_by(lambda: client.read_line(1024, after(1)))[0] is EndReason.TOO_MUCH_INPUT
    flood.kill()


def test_output_that_is_not_read_is_bounded(served: Served) -> None:
    client = served.client
    reply = b"x" * 4096

    def write_for_ever() -> None:
        while True:
            client.write(reply)

    assert ended_by(write_for_ever)[0] is EndReason.TOO_MUCH_OUTPUT
    assert client.unsent < 16384 + 2 * len(reply)


def test_output_that_waits_goes_out_while_a_frame_is_read(served: Served) -> None:
    client, peer = served.client, served.peer
    written = 0
    while client.unsent == 0:
        client.write(b"x" * 1000)
        written += 1000
    reading = gevent.spawn(peer.receive_exactly, written)
    answering = gevent.spawn(lambda: (reading.get(), peer.send(b"done\r\n")))
    assert client.read_line(100, after(10)) == b"done"
    answering.get()


# ---- the client leaves


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (TlsPeer.finish, EndReason.CLIENT_CLOSED),
        (lambda peer: (peer.tls.shutdown(), peer.flush()), EndReason.CLIENT_CLOSED),
        (TlsPeer.close, EndReason.CLIENT_CLOSED),
        (lambda peer: peer.socket.sendall(b"\x17\x03\x03\0\x20" + b"x" * 32), EndReason.CLIENT_LOST),
    ],
    ids=["close_notify and FIN", "close_notify", "FIN", "broken record"],
)
def test_client_that_leaves_ends_the_session(
    served: Served, leave: Callable[[TlsPeer], object], reason: EndReason
) -> None:
    served.peer.send(b"a NOOP\r\nb")
    leaving = gevent.spawn_later(0.01, leave, served.peer)
    if reason is EndReason.CLIENT_CLOSED:
        assert served.client.read_line(100, after(1)) == b"a NOOP"
        leaving.get()
    else:
        leaving.get()
        gevent.sleep(0.01)
    assert ended_by(lambda: [served.client.read_line(100, after(1)) for _ in range(2)])[0] is reason
    served.client.close(b"bye\r\n")


@pytest.mark.parametrize(
    "wait",
    [lambda client: client.read_line(100, after(5)), lambda client: client.pause(5), lambda _: gevent.sleep(5)],
    ids=["line", "pause", "sleep"],
)
def test_client_that_resets_interrupts_its_session(
    served: Served, wait: Callable[[EngineClientConnection], object]
) -> None:
    gevent.spawn_later(0.01, served.peer.reset)
    started = time.monotonic()
    assert ended_by(lambda: wait(served.client))[0] is EndReason.CLIENT_LOST
    assert time.monotonic() - started < 1.0
    assert ended_by(lambda: served.client.write(b"x"))[0] is EndReason.CLIENT_LOST
    served.client.close(b"bye\r\n")


def test_writing_to_a_client_that_is_gone_ends_the_session(served: Served) -> None:
    served.peer.reset()
    assert ended_by(lambda: [served.client.write(b"* OK\r\n") for _ in range(3)])[0] is EndReason.CLIENT_LOST


# ---- close


def test_close_sends_the_last_words_and_close_notify(served: Served) -> None:
    served.client.write(b"a BAD\r\n")
    served.client.close(b"* BYE\r\n")
    served.client.close(b"again\r\n")
    assert served.peer.receive_all() == b"a BAD\r\n* BYE\r\n"
    assert served.peer.socket.recv(100) == b""


def test_last_words_arrive_although_input_lies_unread(served: Served) -> None:
    served.peer.send(b"NOOP\r\n" * 5000)
    served.client.read_line(100, after(1))
    gevent.sleep(0.01)
    served.client.close(b"* BYE\r\n")
    assert served.peer.receive_all() == b"* BYE\r\n"
    assert served.peer.socket.recv(100) == b""  # FIN, not RST


# ---- end, from outside


class Outside:
    """Ends the session after a moment, while its owner waits in something."""

    def __init__(self, client: EngineClientConnection) -> None:
        self.client = client
        gevent.spawn_later(0.02, client.end, EndReason.EVICTED)

    def interrupts(self, action: Callable[[], object]) -> None:
        started = time.monotonic()
        assert ended_by(action) == (EndReason.EVICTED, "")
        assert time.monotonic() - started < 1.0


@pytest.mark.parametrize(
    "wait",
    [
        lambda client: client.read_line(100, after(5)),
        lambda client: client.read_octets(5, after(5)),
        lambda client: client.pause(5),
        lambda _: Event().wait(5),
        lambda _: gevent.sleep(5),
        lambda _: gevent.get_hub().threadpool.apply(time.sleep, (0.1,)),
    ],
    ids=["line", "octets", "pause", "event", "sleep", "thread"],
)
def test_end_interrupts_whatever_the_owner_waits_in(
    served: Served, wait: Callable[[EngineClientConnection], object]
) -> None:
    Outside(served.client).interrupts(lambda: wait(served.client))
    served.client.close(b"* BYE\r\n")
    assert served.peer.receive_all() == b"* BYE\r\n"


def test_after_end_every_call_raises_the_first_reason(served: Served) -> None:
    client = served.client
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


def test_end_after_close_disturbs_nobody(served: Served) -> None:
    client = served.client
    client.end(EndReason.EVICTED)
    client.close()
    client.end(EndReason.EVICTED)
    gevent.sleep(0.01)


def test_end_by_the_client_stands_against_a_later_end(served: Served) -> None:
    served.peer.close()
    assert ended_by(lambda: served.client.read_line(10, after(1)))[0] is EndReason.CLIENT_CLOSED
    served.client.end(EndReason.SHUTDOWN)
    gevent.sleep(0.01)
    assert ended_by(lambda: served.client.read_line(10, after(1)))[0] is EndReason.CLIENT_CLOSED


def test_advance_is_seen(served: Served) -> None:
    assert served.client.state is State.UNAUTHENTICATED
    served.client.advance(State.AUTHENTICATING)
    assert served.client.state is State.AUTHENTICATING
