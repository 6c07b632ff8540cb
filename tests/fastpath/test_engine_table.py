"""The engine and the session table: who is admitted, who has to go, what others see."""

import socket
from collections.abc import Callable

import gevent
import pytest

from gateway._counters import SharedCounters
from gateway._sessions import SessionRecord
from gateway._sessions import SessionTable
from gateway._sessions import SlotState
from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.outcome import State
from tests.fastpath.sessions import UNLIMITED
from tests.fastpath.sessions import Joined
from tests.fastpath.sessions import Worker
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import soon

MakeWorker = Callable[..., Worker]
IMAP = 1


@pytest.fixture
def table() -> SessionTable:
    return SessionTable.create(slots=64, workers=2)


@pytest.fixture
def admitting(table: SessionTable, make_worker: MakeWorker) -> Worker:
    return make_worker(table=table, protocol=IMAP)


def states(table: SessionTable) -> list[SlotState]:
    return [record.state for record in sorted(table.sessions(), key=lambda one: one.serial)]


def only(table: SessionTable) -> SessionRecord:
    (record,) = table.sessions()
    return record


def test_session_stands_in_the_table_from_accept_to_close(admitting: Worker, table: SessionTable) -> None:
    end = admitting.connect()
    soon(lambda: states(table) == [SlotState.UNAUTHENTICATED])
    record = only(table)
    assert (record.address, record.port, record.protocol, record.worker) == (*end.getsockname(), IMAP, 0)
    end.close()
    soon(lambda: states(table) == [])


def test_states_follow_the_login(admitting: Worker, table: SessionTable) -> None:
    session = admitting.serve_by_hand(admitting.greeted())
    handle = session.client.table_handle
    assert handle == (only(table).slot, only(table).generation)
    session.client.advance(State.AUTHENTICATING)
    session.client.advance(State.AUTHENTICATING)  # the next attempt
    assert states(table) == [SlotState.AUTHENTICATING]
    table.authenticate(*handle, b"alice", None, by_address=False)
    session.client.advance(State.AUTHENTICATED)
    assert states(table) == [SlotState.AUTHENTICATED]
    session.close()
    assert states(table) == []
    assert session.client.table_handle is None


def test_newcomer_evicts_the_oldest_silent_session(admitting: Worker, table: SessionTable) -> None:
    table.set_caps(IMAP, 2, None)
    first, second, third = (admitting.greeted() for _ in range(3))
    assert first.receive_all() == b"* BYE evicted\r\n"
    soon(lambda: admitting.early == [(EndReason.EVICTED, "")])
    first.close()
    assert states(table) == [SlotState.UNAUTHENTICATED] * 2
    for peer in (second, third):
        session = admitting.serve_by_hand(peer)
        session.close()


def test_silent_sessions_go_before_those_that_log_in(admitting: Worker, table: SessionTable) -> None:
    table.set_caps(IMAP, 2, None)
    busy = admitting.serve_by_hand(admitting.greeted())
    busy.client.advance(State.AUTHENTICATING)
    silent = admitting.greeted()
    newcomer = admitting.greeted()
    assert silent.receive_all() == b"* BYE evicted\r\n"
    another = admitting.greeted()
    assert newcomer.receive_all() == b"* BYE evicted\r\n"
    for peer in (silent, newcomer, another):
        peer.close()
    busy.client.write(b"still here\r\n")
    busy.close()


def test_eviction_interrupts_a_login_wherever_it_waits(admitting: Worker, table: SessionTable) -> None:
    table.set_caps(IMAP, 1, None)
    session = admitting.serve_by_hand(admitting.greeted())
    session.client.advance(State.AUTHENTICATING)
    newcomer = gevent.spawn(admitting.greeted)
    with pytest.raises(SessionEnded) as raised:
        gevent.sleep(2)
    assert raised.value.reason is EndReason.EVICTED
    session.client.close(b"* BYE\r\n")
    assert session.peer.receive_all() == b"* BYE\r\n"
    session.close()
    newcomer.get().close()


def test_session_evicted_between_two_steps_finds_out_at_the_next(admitting: Worker, table: SessionTable) -> None:
    session = admitting.serve_by_hand(admitting.greeted())
    table.kick(*session.client.table_handle)  # told by the hub, which has no turn here
    with pytest.raises(SessionEnded) as raised:
        session.client.advance(State.AUTHENTICATING)
    assert raised.value.reason is EndReason.LOGGED_OFF
    session.close()
    soon(lambda: states(table) == [])


def test_authentication_of_a_session_that_was_logged_off_meanwhile_says_so(
    admitting: Worker, table: SessionTable
) -> None:
    session = admitting.serve_by_hand(admitting.greeted())
    session.client.advance(State.AUTHENTICATING)
    table.kick(*session.client.table_handle)
    with pytest.raises(SessionEnded) as raised:
        session.client.admit("alice", None, by_address=False)
    assert raised.value.reason is EndReason.LOGGED_OFF
    session.close()


def test_workers_evict_each_others_sessions(table: SessionTable, make_worker: MakeWorker) -> None:
    """Two workers on one listening socket, sharing the table."""
    table.set_caps(IMAP, 4, None)
    one = make_worker(table=table, number=0, protocol=IMAP)
    two = make_worker(table=table, number=1, protocol=IMAP)
    olders = [one.greeted() for _ in range(4)]
    newcomers = [two.greeted() for _ in range(4)]
    assert [peer.receive_all() for peer in olders] == [b"* BYE evicted\r\n"] * 4
    assert [record.worker for record in table.sessions()] == [1] * 4
    for peer in (*olders, *newcomers):
        peer.close()


def test_relay_is_counted_and_ended_by_a_kick(admitting: Worker, table: SessionTable) -> None:
    joined = Joined.make(admitting)
    table.authenticate(*joined.client.table_handle, b"alice", None, by_address=False)
    joined.relay()
    joined.program.send(b"a NOOP\r\n")
    assert joined.server.recv(100) == b"a NOOP\r\n"
    joined.server.sendall(b"a OK done\r\n")
    assert joined.program.receive() == b"a OK done\r\n"
    record = only(table)
    assert (record.octets_in, record.octets_out) == (8, 11)
    assert record.active_ms >= record.accepted_ms
    assert SharedCounters(table).totals().relay_octets[IMAP] == (8, 11)
    table.kick(record.slot, record.generation)
    assert joined.program.receive_all() == b"* BYE logged-off\r\n"
    assert joined.ended().reason is EndReason.LOGGED_OFF
    assert states(table) == []
    joined.close()


def test_end_is_reported_before_the_slot_is_given_back(admitting: Worker, table: SessionTable) -> None:
    joined = Joined.make(admitting)
    seen: list[list[SlotState]] = []
    joined.client.hand_over(joined.upstream, UNLIMITED, lambda _: b"", lambda _: seen.append(states(table)))
    joined.program.close()
    joined.server.close()
    soon(lambda: bool(seen))
    assert seen == [[SlotState.UNAUTHENTICATED]]
    soon(lambda: states(table) == [])
    joined.close()


@pytest.fixture
def small_table() -> SessionTable:
    return SessionTable.create(slots=2, workers=1)


def test_table_without_a_slot_refuses(small_table: SessionTable, make_worker: MakeWorker) -> None:
    table = small_table
    worker = make_worker(table=table, protocol=IMAP)
    sessions = [worker.serve_by_hand(worker.greeted()) for _ in range(2)]
    for number, session in enumerate(sessions):
        session.client.advance(State.AUTHENTICATING)
        table.authenticate(*session.client.table_handle, b"%d" % number, None, by_address=False)
    refused = worker.connect()
    assert refused.recv(10) == b""
    refused.close()
    assert len(list(table.sessions())) == 2
    for session in sessions:
        session.close()


def test_flood_of_silent_connections_leaves_the_newest(admitting: Worker, table: SessionTable) -> None:
    table.set_caps(IMAP, 10, None)
    flood = [socket.create_connection(admitting.address) for _ in range(100)]
    soon(lambda: admitting.transport.counters()["accepted"] == 100 and admitting.transport.live <= 10)
    assert len(list(table.sessions())) == 10
    for end in flood:
        end.setblocking(False)
    closed = [fault(lambda one=end: one.recv(10)) is None for end in flood]
    assert closed == [True] * 90 + [False] * 10
    peer = admitting.greeted()
    session = admitting.serve_by_hand(peer)
    for end in flood:
        end.close()
    session.close()
