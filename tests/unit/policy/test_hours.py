"""When access hours close."""

from datetime import datetime
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.kinds import Context
from gateway.config.model import TimeRange
from gateway.config.schedule import ABSOLUTE
from gateway.config.schedule import PERIODIC
from gateway.policy.hours import open_for_s

CONTEXT = Context(Path("/"))
TUESDAY = datetime(2026, 11, 24)
HOUR = 3600.0


def hours(*periodic: str, absolute: str | None = None) -> TimeRange:
    return TimeRange(
        name="X",
        periodic=tuple(PERIODIC.parse(one, CONTEXT) for one in periodic),
        absolute=ABSOLUTE.parse(absolute, CONTEXT) if absolute else None,
    )


@pytest.mark.parametrize(
    ("opened", "at", "seconds"),
    [
        (hours("weekdays 8:00 to 18:00"), TUESDAY.replace(hour=17), HOUR),
        (hours("daily 22:00 to 6:00"), TUESDAY.replace(hour=23), 7 * HOUR),
        (hours("daily 22:00 to 6:00"), TUESDAY.replace(hour=5), HOUR),
        (hours("daily 0:00 to 24:00"), TUESDAY, None),
        (hours("weekdays 0:00 to 24:00", "weekend 0:00 to 24:00"), TUESDAY, None),
        (hours("Tuesday 8:00 to 24:00", "Wednesday 0:00 to 4:00"), TUESDAY.replace(hour=20), 8 * HOUR),
        (hours("Sunday 20:00 to 24:00", "Monday 0:00 to 2:00"), TUESDAY + timedelta(days=5, hours=21), 5 * HOUR),
        (hours(absolute="end 12:00 2026-11-24"), TUESDAY.replace(hour=11), HOUR),
        (hours(absolute="start 12:00 2026-11-23"), TUESDAY, None),
        (hours("daily 0:00 to 24:00", absolute="end 0:00 2027-01-01"), TUESDAY, 38 * 24 * HOUR),
        (hours("weekdays 8:00 to 18:00", absolute="end 12:00 2026-11-24"), TUESDAY.replace(hour=11), HOUR),
        (hours(), TUESDAY, None),
    ],
)
def test_open_for(opened: TimeRange, at: datetime, seconds: float | None) -> None:
    assert opened.covers(at)
    assert open_for_s(opened, at) == seconds


SPANS = st.builds(
    "{0} {1}:00 to {2}:00".format,
    st.sampled_from(["daily", "weekdays", "weekend", "Monday", "Saturday Sunday"]),
    st.integers(0, 23),
    st.integers(0, 24),
)


@given(st.lists(SPANS, min_size=1, max_size=3), st.integers(0, 7 * 24 * 4 - 1))
def test_it_is_open_until_then_and_closed_then(spans: list[str], quarter: int) -> None:
    opened, at = hours(*spans), TUESDAY + timedelta(minutes=15 * quarter)
    if not opened.covers(at):
        return
    seconds = open_for_s(opened, at)
    step = timedelta(minutes=15)
    last = at + (timedelta(days=14) if seconds is None else timedelta(seconds=seconds))
    while at < last:
        assert opened.covers(at)
        at += step
    assert seconds is None or not opened.covers(last)
