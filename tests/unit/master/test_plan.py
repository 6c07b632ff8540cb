"""When a worker is forked again."""

from gateway.master.plan import FIRST_DELAY_S
from gateway.master.plan import MAX_DELAY_S
from gateway.master.plan import MAX_FAILED_STARTS
from gateway.master.plan import MIN_LIFE_S
from gateway.master.plan import Seat
from gateway.master.plan import is_due
from gateway.master.plan import is_hopeless
from gateway.master.plan import next_due_s
from gateway.master.plan import readied
from gateway.master.plan import seated
from gateway.master.plan import vacated


def test_a_new_seat_is_due_at_once() -> None:
    assert is_due(Seat(0), 100.0)


def test_a_taken_seat_is_not_due() -> None:
    assert not is_due(seated(Seat(0), 17, 100.0), 200.0)


def test_a_worker_that_served_is_replaced_at_once() -> None:
    seat = vacated(readied(seated(Seat(0), 17, 100.0)), 100.0 + MIN_LIFE_S)
    assert is_due(seat, 100.0 + MIN_LIFE_S)
    assert seat.early_deaths == 0


def test_a_worker_that_dies_young_waits_twice_as_long_each_time() -> None:
    seat, now, waits = Seat(0), 100.0, []
    for _ in range(10):
        seat = vacated(seated(seat, 17, now), now)
        waits.append(seat.due_at - now)
        now = seat.due_at
    assert [round(wait, 6) for wait in waits[:3]] == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    assert abs(waits[-1] - MAX_DELAY_S) < 1e-6


def test_a_worker_that_dies_young_though_ready_waits_too() -> None:
    seat = vacated(readied(seated(Seat(0), 17, 100.0)), 100.5)
    assert not is_due(seat, 100.5)


def test_a_long_life_forgives_early_deaths() -> None:
    young = vacated(seated(Seat(0), 17, 100.0), 100.0)
    old = vacated(readied(seated(young, 18, 101.0)), 101.0 + MIN_LIFE_S)
    assert old.early_deaths == 0


def test_next_due_is_the_earliest() -> None:
    seats = [seated(Seat(0), 17, 100.0), Seat(1, due_at=103.0), Seat(2, due_at=102.0)]
    assert next_due_s(seats, 100.0) == 2.0
    assert next_due_s(seats[:1], 100.0) is None


def test_hopeless_when_every_seat_failed_often() -> None:
    failed = Seat(0, early_deaths=MAX_FAILED_STARTS)
    assert is_hopeless([failed, failed])
    assert not is_hopeless([failed, Seat(1)])
