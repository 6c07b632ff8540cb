"""The timer wheel against an oracle: every timer comes once, when it is due, however it was put off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._wheel import Timers

SLOTS = 1024
LAST_TICK = (1 << 32) - 1
# Around the turns of the wheel, where a timer waits in a slot that is not yet its own.
DELAYS = st.one_of(
    st.integers(0, 5),
    st.integers(SLOTS - 3, SLOTS + 3),
    st.integers(2 * SLOTS - 2, 2 * SLOTS + 2),
    st.integers(0, 5000),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 63), DELAYS),
        st.tuples(st.just("cancel"), st.integers(0, 63), st.just(0)),
        st.tuples(st.just("advance"), st.just(0), DELAYS),
    ),
    max_size=60,
)


@given(st.sampled_from([0, 1000, LAST_TICK - 3000]), STEPS)
def test_timers_are_found_when_they_are_due_and_not_before(start: int, steps: list[tuple[str, int, int]]) -> None:
    now, timers, due = start, Timers(start), dict[int, int]()
    for step, number, delay in steps:
        if step == "set":
            due[number] = now + delay
            timers.set(number, (now + delay) & LAST_TICK)
        elif step == "cancel":
            due.pop(number, None)
            timers.cancel(number)
        else:
            now += delay
            found = timers.advance(now & LAST_TICK)
            assert sorted(found) == sorted(one for one, at in due.items() if at <= now)
            due = {one: at for one, at in due.items() if at > now}


@pytest.mark.parametrize("delay", [1, SLOTS - 1, SLOTS, 10 * SLOTS])
def test_timer_is_found_at_its_tick(delay: int) -> None:
    timers = Timers(0)
    timers.set(7, delay)
    for tick in range(delay):
        assert timers.advance(tick) == []
    assert timers.advance(delay) == [7]
    assert timers.advance(delay + 2 * SLOTS) == []


def test_timer_put_off_again_and_again_comes_at_its_last_due_time() -> None:
    timers = Timers(0)
    for tick in range(3000):
        timers.set(1, tick + 100)
        assert timers.advance(tick) == []
    assert timers.advance(3098) == []
    assert timers.advance(3099) == [1]
