"""The session table under kill -9: of who holds it, of who mends it, at any point; and of anybody at any time.

A killed worker may lose what is its own. Nobody else may lose a session, find the table broken, or wait for ever.
"""

import os
import random
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from gateway._sessions import Outcome
from gateway._sessions import SessionTable
from gateway._sessions import SlotState
from gateway._sessions import signal_at_fault_point
from tests.support.forks import fork_and_run
from tests.support.session_memory import faults_of

DEAD, ALIVE = 0, 1  # workers

Handle = tuple[int, int]


def ipv4(number: int) -> bytes:
    return bytes(10) + b"\xff\xff" + number.to_bytes(4, "big")


def admit(table: SessionTable, worker: int, address: int = 1) -> Handle:
    handle = table.admit(worker, 0, ipv4(address), 1, 1, 1)
    assert handle is not None
    return handle


@dataclass(frozen=True, slots=True)
class Scene:
    """A table that is over its cap, with sessions of both workers in every state."""

    table: SessionTable
    mine: dict[SlotState, Handle]
    others: dict[SlotState, Handle]


def make_scene() -> Scene:
    table = SessionTable.create(slots=32, workers=2)
    for handle in [admit(table, ALIVE) for _ in range(12)]:
        table.release(*handle)  # the slots that the dead worker gets were the other's
    others, mine = sessions_in_every_state(table, ALIVE), sessions_in_every_state(table, DEAD)
    hear_of_evictions(table)
    table.set_caps(0, 3, None)  # two of each worker's are not authenticated: that is one too many
    return Scene(table, mine, others)


def hear_of_evictions(table: SessionTable) -> set[int]:
    """What a living worker does when its eventfd is readable, and only then."""
    slots = set()
    if is_readable(table.eventfds[ALIVE]):
        os.eventfd_read(table.eventfds[ALIVE])
        slots = {record.slot for record in iter(lambda: table.next_evicted(ALIVE), None)}
    return slots


def sessions_in_every_state(table: SessionTable, worker: int) -> dict[SlotState, Handle]:
    handles = {state: admit(table, worker) for state in SlotState}
    table.start_login(*handles[SlotState.AUTHENTICATING])
    table.authenticate(*handles[SlotState.AUTHENTICATED], b"alice", None, by_address=True)
    table.kick(*handles[SlotState.EVICTED])
    return handles


OPERATIONS: dict[str, Callable[[Scene], object]] = {
    "admit, evicting two": lambda scene: admit(scene.table, DEAD, address=2),
    "start a login": lambda scene: scene.table.start_login(*scene.mine[SlotState.UNAUTHENTICATED]),
    "authenticate": lambda scene: scene.table.authenticate(
        *scene.mine[SlotState.AUTHENTICATING], b"alice", None, by_address=True
    ),
    "authenticate another user": lambda scene: scene.table.authenticate(
        *scene.mine[SlotState.UNAUTHENTICATED], b"bob", 1, by_address=False
    ),
    "release": lambda scene: [scene.table.release(*handle) for handle in scene.mine.values()],
    "kick": lambda scene: [
        scene.table.kick(*handle) for state, handle in scene.others.items() if state is not SlotState.EVICTED
    ],
    "hear of an eviction": lambda scene: scene.table.next_evicted(DEAD),
    "describe": lambda scene: scene.table.describe(
        *scene.mine[SlotState.AUTHENTICATED], vpn_user="alice", cipher="TLS"
    ),
    "reap": lambda scene: scene.table.reap(DEAD),
}


def run_until_fault_point(count: int, operation: Callable[[], object]) -> bool:
    """Whether it was killed there; False: it was through before."""

    def run() -> None:
        signal_at_fault_point(count)
        operation()

    _, status = os.waitpid(fork_and_run(run), 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def check_survivors(scene: Scene) -> None:
    """The dead worker is reaped; the other one has all its sessions, each as it was or ended from outside."""
    table = scene.table
    table.reap(DEAD)
    assert faults_of(table) == []
    records = {record.slot: record for record in table.sessions()}
    assert {record.worker for record in records.values()} == {ALIVE}
    assert set(records) == {slot for slot, _ in scene.others.values()}
    for state, (slot, generation) in scene.others.items():
        assert records[slot].generation == generation
        assert records[slot].state in (state, SlotState.EVICTED)
    evicted = {record.slot for record in records.values() if record.state is SlotState.EVICTED}
    assert hear_of_evictions(table) | {scene.others[SlotState.EVICTED][0]} == evicted
    assert table.free_slots() == table.slots - len(records)


def is_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


@pytest.mark.parametrize("name", OPERATIONS)
def test_worker_killed_at_any_point_of_an_operation_harms_nobody(name: str) -> None:
    count, killed = 0, True
    while killed:
        count += 1
        scene = make_scene()
        killed = run_until_fault_point(count, partial(OPERATIONS[name], scene))
        check_survivors(scene)
    assert count > 1, "no fault point was passed"


def test_worker_killed_while_it_mends_the_table_harms_nobody() -> None:
    count, killed = 0, True
    while killed:
        count += 1
        scene = make_scene()
        die_holding(scene.table)
        killed = run_until_fault_point(count, scene.table.free_slots)
        check_survivors(scene)
        assert scene.table.recoveries == 1
    assert count > 50


def die_holding(table: SessionTable) -> None:
    def hold() -> None:
        table.freeze()
        os._exit(0)

    os.waitpid(fork_and_run(hold), 0)


def test_ages_survive_so_that_the_oldest_is_still_the_first_to_go() -> None:
    table = SessionTable.create(slots=32, workers=2)
    handles = [admit(table, ALIVE, address) for address in range(8)]
    for handle in handles[::2]:
        table.release(*handle)
    handles = handles[1::2] + [admit(table, ALIVE, address) for address in range(8, 12)]  # slots and ages differ
    table.start_login(*handles[0])
    die_holding(table)
    table.set_caps(0, 1, None)
    admit(table, DEAD)
    told = [(record.slot, record.generation) for record in iter(lambda: table.next_evicted(ALIVE), None)]
    assert told == [*handles[1:], handles[0]]


def test_limits_of_users_survive() -> None:
    table = SessionTable.create(slots=32, workers=2)
    for address in (1, 1, 2):
        assert table.authenticate(*admit(table, ALIVE, address), b"alice", 3, by_address=True) is Outcome.DONE
    die_holding(table)
    assert table.logins_of(b"alice") == (3, 2)
    assert table.authenticate(*admit(table, ALIVE, 3), b"alice", 2, by_address=True) is Outcome.REFUSED
    assert table.authenticate(*admit(table, ALIVE, 2), b"alice", 2, by_address=True) is Outcome.DONE


# ---- many workers, killed at random ----

WORKERS, SLOTS, CAP = 4, 150, 40
KILLS = 400


def work(table: SessionTable, worker: int, seed: int, fault_point: int) -> None:
    """What a worker does all day, until it dies of itself or is killed."""
    signal_at_fault_point(fault_point)
    chance = random.Random(seed)  # noqa: S311
    sessions: list[Handle] = []
    while True:
        while record := table.next_evicted(worker):
            sessions.remove((record.slot, record.generation))
            assert table.release(record.slot, record.generation)
        handle = table.admit(worker, chance.randrange(3), ipv4(chance.randrange(20)), 1, 1, 1)
        if handle is not None:
            sessions.append(handle)
        for handle in chance.sample(sessions, min(3, len(sessions))):
            live_on(table, handle, chance)
        while len(sessions) > 30:
            table.release(*sessions.pop(chance.randrange(len(sessions))))


def live_on(table: SessionTable, handle: Handle, chance: random.Random) -> None:
    step = chance.randrange(4)
    if step == 0:
        table.start_login(*handle)
    elif step == 1:
        table.authenticate(*handle, b"user%d" % chance.randrange(9), chance.choice([None, 2]), by_address=True)
    elif step == 2:
        table.describe(*handle, vpn_user="x" * chance.randrange(200))
    elif chance.random() < 0.2:
        table.kick(*handle)


def test_hundreds_of_workers_killed_at_random_leave_the_table_sound() -> None:
    table = SessionTable.create(SLOTS, WORKERS)
    for protocol in range(3):
        table.set_caps(protocol, CAP, 5)
    chance = random.Random(719)  # noqa: S311
    workers: dict[int, int] = {}

    def start(worker: int) -> None:
        pid = fork_and_run(work, table, worker, chance.randrange(1 << 30), chance.randrange(1, 3000))
        workers[pid] = worker

    try:
        for worker in range(WORKERS):
            start(worker)
        for _ in range(KILLS):
            if chance.random() < 0.3:
                os.kill(chance.choice(list(workers)), signal.SIGKILL)
            pid, status = os.wait()
            assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
            worker = workers.pop(pid)
            table.reap(worker)
            assert all(record.worker != worker for record in table.sessions())
            assert faults_of(table) == []
            start(worker)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        for pid, worker in workers.items():
            os.waitpid(pid, 0)
            table.reap(worker)
    assert faults_of(table) == []
    assert table.free_slots() == SLOTS
    assert table.recoveries > KILLS // 3  # so often the one that was killed held the table
