"""Counters of all workers, summed."""

import pytest

from gateway._counters import LOGIN_SECONDS_BOUNDS
from gateway._counters import SharedCounters
from gateway._sessions import SessionTable
from tests.support.forks import fork_and_run
from tests.support.forks import wait_for_success


@pytest.fixture
def table() -> SessionTable:
    return SessionTable.create(slots=10, workers=3, protocols=2)


def test_numbers_of_all_workers_and_processes_are_summed(table: SessionTable) -> None:
    counters = SharedCounters(table)

    def count(worker: int) -> None:
        for _ in range(1000):
            counters.login(worker, 1, 3)
            counters.relayed(worker, 0, 5, 1 << 33)
            counters.login_time(worker, 0.25)
        counters.restarted(worker)

    wait_for_success([fork_and_run(count, worker) for worker in (0, 1, 1)])
    totals = counters.totals()
    assert totals.logins == ((0,) * 16, (0, 0, 0, 3000, *(0,) * 12))
    assert totals.relay_octets == ((15_000, 3000 << 33), (0, 0))
    assert totals.login_seconds == 750
    assert totals.restarts == 3


def test_evictions_are_counted_by_the_state_before(table: SessionTable) -> None:
    table.set_caps(1, 1, None)
    for _ in range(4):
        handle = table.admit(0, 1, bytes(16), 1, 1, 1)
        assert handle is not None
    table.start_login(*handle)
    last = table.admit(0, 1, bytes(16), 1, 1, 1)
    assert last is not None
    table.authenticate(*last, b"alice", None, by_address=False)
    table.kick(*last)
    assert SharedCounters(table).totals().evictions == ((0, 0, 0), (3, 1, 1))


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.001, 0), (0.0010011, 1), (0.1, 6), (0.11, 7), (60.0, 14), (60.1, 15), (1e9, 15)],
)
def test_login_time_falls_into_the_first_bucket_that_holds_it(seconds: float, bucket: int, table: SessionTable) -> None:
    counters = SharedCounters(table)
    counters.login_time(2, seconds)
    assert counters.totals().login_times == tuple(int(i == bucket) for i in range(len(LOGIN_SECONDS_BOUNDS) + 1))


def test_what_does_not_exist_cannot_be_counted(table: SessionTable) -> None:
    counters = SharedCounters(table)
    for call in (
        lambda: counters.login(3, 0, 0),
        lambda: counters.login(-1, 0, 0),
        lambda: counters.login(0, 2, 0),
        lambda: counters.login(0, 0, 16),
        lambda: counters.login(0, 0, -1),
        lambda: counters.relayed(0, 2, 1, 1),
        lambda: counters.login_time(3, 1.0),
        lambda: counters.login_time(0, -0.1),
        lambda: counters.login_time(0, float("nan")),
        lambda: counters.login_time(0, float("inf")),
        lambda: counters.restarted(3),
    ):
        with pytest.raises(ValueError, match="must be"):
            call()
    with pytest.raises(TypeError):
        SharedCounters(None)  # type: ignore[arg-type]
    assert counters.totals() == SharedCounters(SessionTable.create(10, 3, 2)).totals()
