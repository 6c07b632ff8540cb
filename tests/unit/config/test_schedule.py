"""Time ranges: which moments they cover."""

from datetime import datetime
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.model import TimeRange
from gateway.config.schedule import ABSOLUTE
from gateway.config.schedule import DAYS
from gateway.config.schedule import PERIODIC

HERE = Context(Path("/"))
MONDAY = datetime(2026, 11, 23)


def at(day: int, time: str) -> datetime:
    hours, minutes = time.split(":")
    return MONDAY + timedelta(days=day, hours=int(hours), minutes=int(minutes))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("weekdays 08:00 to 18:00", [(0, "08:00"), (4, "17:59")], [(0, "07:59"), (0, "18:00"), (5, "09:00")]),
        ("weekend 8:00 to 18:00", [(5, "08:00"), (6, "17:59")], [(4, "09:00"), (0, "09:00")]),
        ("daily 00:00 to 24:00", [(0, "00:00"), (6, "23:59")], []),
        ("Monday, Wednesday 08:00 to 09:00", [(0, "08:30"), (2, "08:30")], [(1, "08:30")]),
        ("daily 22:00 to 06:00", [(0, "23:00"), (1, "05:59"), (6, "23:59")], [(0, "06:00"), (0, "21:59")]),
        ("sunday 22:00 to 06:00", [(6, "22:00"), (0, "05:59")], [(6, "05:00"), (0, "22:00")]),
        ("friday 18:00 to monday 08:00", [(4, "18:00"), (5, "12:00"), (0, "07:59")], [(0, "08:00"), (4, "17:59")]),
        ("monday 08:00 to friday 18:00", [(0, "08:00"), (2, "03:00"), (4, "17:59")], [(5, "00:00"), (0, "07:59")]),
        ("monday 08:00 to monday 08:00", [(0, "08:00"), (3, "00:00"), (0, "07:59")], []),
    ],
)  # fmt: skip
def test_a_periodic_range_covers(text: str, inside: list[tuple[int, str]], outside: list[tuple[int, str]]) -> None:
    periodic = PERIODIC.parse(text, HERE)
    assert all(periodic.covers(at(*moment)) for moment in inside)
    assert not any(periodic.covers(at(*moment)) for moment in outside)
    assert PERIODIC.parse(PERIODIC.render(periodic), HERE) == periodic


@given(st.sampled_from(DAYS), st.integers(0, 1439), st.integers(0, 1439))
def test_a_day_and_its_complement_cover_the_week_once(day: str, start: int, end: int) -> None:
    first = f"{start // 60:02}:{start % 60:02}"
    last = f"{end // 60:02}:{end % 60:02}"
    forward = PERIODIC.parse(f"{day} {first} to {day} {last}", HERE)
    backward = PERIODIC.parse(f"{day} {last} to {day} {first}", HERE)
    minutes = sum(stop - begin for begin, stop in (*forward.spans, *backward.spans))
    assert minutes == (2 if start == end else 1) * 7 * 1440


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weekdays",
        "weekdays 08:00",
        "weekdays 08:00 to",
        "08:00 to 18:00",
        "weekdays 08:00 18:00",
        "weekdays 08:00 to 18:00 19:00",
        "weekdays 8 to 18",
        "weekdays 08:60 to 18:00",
        "weekdays 24:01 to 18:00",
        "weekdays 08:00 to friday 18:00",
        "monday 08:00 to tuesday wednesday 18:00",
        "someday 08:00 to 18:00",
        "weekdays \u0661\u0660:00 to 18:00",
    ],
)
def test_what_is_no_periodic_range_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        PERIODIC.parse(text, HERE)


def test_an_absolute_range_has_a_start_an_end_or_both() -> None:
    both = ABSOLUTE.parse("start 08:00 2026-01-31 end 18:00 31 December 2026", HERE)
    assert (both.start, both.end) == (datetime(2026, 1, 31, 8), datetime(2026, 12, 31, 18))
    assert not both.covers(datetime(2026, 1, 31, 7, 59))
    assert both.covers(datetime(2026, 1, 31, 8))
    assert not both.covers(datetime(2026, 12, 31, 18))
    assert ABSOLUTE.parse("end 0:00 1 jan 2030", HERE).covers(datetime(1970, 1, 1))
    assert ABSOLUTE.parse("start 0:00 1 jan 2030", HERE).covers(datetime(2100, 1, 1))
    assert ABSOLUTE.parse(ABSOLUTE.render(both), HERE) == both


@pytest.mark.parametrize(
    "text",
    [
        "",
        "start",
        "start 08:00",
        "08:00 2026-01-01",
        "start 08:00 2026-02-30",
        "start 08:00 2026-1",
        "start 08:00 1 Foo 2026",
        "start 24:00 2026-01-01",
        "start 08:00 2026-01-01 start 09:00 2026-01-01",
        "start 08:00 2026-01-01 end 08:00 2026-01-01",
        "start 08:00 0 January 2026",
        "start 08:00 1 January 0000",
    ],
)
def test_what_is_no_absolute_range_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        ABSOLUTE.parse(text, HERE)


def test_a_time_range_needs_both_of_its_kinds() -> None:
    office = (PERIODIC.parse("weekdays 08:00 to 18:00", HERE), PERIODIC.parse("saturday 08:00 to 12:00", HERE))
    this_year = ABSOLUTE.parse("end 00:00 2027-01-01", HERE)
    both = TimeRange(name="OFFICE", periodic=office, absolute=this_year)
    assert both.covers(at(5, "09:00"))
    assert not both.covers(at(6, "09:00"))
    assert not both.covers(at(0, "09:00").replace(year=2027, month=11, day=22))
    assert TimeRange(name="ALWAYS", absolute=this_year).covers(at(6, "03:00"))
