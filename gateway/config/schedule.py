"""Time ranges: `periodic` weekly spans and one `absolute` span, in the local time of the machine.

Ends are exclusive. A periodic span whose end is not after its start goes over midnight.
Source: the ASA's `time-range`, `periodic` and `absolute` commands."""

import re
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from typing import Final

from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.kinds import Kind
from gateway.config.kinds import did_you_mean
from gateway.config.kinds import items
from gateway.config.problems import quoted

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_GROUPS: Final = {"daily": range(7), "weekdays": range(5), "weekend": range(5, 7)}
_MONTHS: Final = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
DAY_MINUTES: Final = 24 * 60
WEEK_MINUTES: Final = 7 * DAY_MINUTES
_PERIODIC: Final = "DAYS HH:MM to HH:MM, such as weekdays 08:00 to 18:00"
_ABSOLUTE: Final = "start HH:MM DATE end HH:MM DATE (one of the two may be absent), such as start 08:00 2026-01-31"


@dataclass(frozen=True, slots=True)
class Periodic:
    """`spans` are minutes of the week from Monday 00:00, start inclusive, end exclusive, none over the week's end."""

    text: str
    spans: tuple[tuple[int, int], ...]

    def covers(self, moment: datetime) -> bool:
        minute = moment.weekday() * DAY_MINUTES + moment.hour * 60 + moment.minute
        return any(start <= minute < end for start, end in self.spans)


@dataclass(frozen=True, slots=True)
class Absolute:
    """Local time without a zone; None is open."""

    start: datetime | None
    end: datetime | None

    def covers(self, moment: datetime) -> bool:
        """`moment` in local time without a zone."""
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


def _parse_periodic(text: str, _: Context) -> Periodic:
    words = items(text)
    days, rest = _leading_days(words)
    if not days or len(rest) < 3 or rest[1][1].lower() != "to":
        raise BadValue(f"expected {_PERIODIC}")
    last_days, end_words = _leading_days(rest[2:])
    if len(end_words) != 1 or len(last_days) > 1 or (last_days and len(days) > 1):
        raise BadValue(f"expected {_PERIODIC}")
    start, end = _minute(*rest[0]), _minute(*end_words[0])
    if last_days:
        span = (days[0] * DAY_MINUTES + start, last_days[0] * DAY_MINUTES + end)
        return Periodic(_joined(words), _within_week(*span))
    end += 0 if end > start else DAY_MINUTES
    spans = [span for day in days for span in _within_week(day * DAY_MINUTES + start, day * DAY_MINUTES + end)]
    return Periodic(_joined(words), tuple(sorted(spans)))


def _joined(words: list[tuple[int, str]]) -> str:
    return " ".join(word for _, word in words)


def _leading_days(words: list[tuple[int, str]]) -> tuple[list[int], list[tuple[int, str]]]:
    days: list[int] = []
    for index, (offset, word) in enumerate(words):
        if word[0].isdigit() or word.lower() == "to":
            return days, words[index:]
        days += _day(offset, word.lower())
    return days, []


def _day(offset: int, word: str) -> list[int]:
    if word in _GROUPS:
        return list(_GROUPS[word])
    if word not in DAYS:
        hint = did_you_mean(word, [*_GROUPS, *DAYS])
        raise BadValue(f"{quoted(word)} is not a day of the week", hint=hint, offset=offset, width=len(word))
    return [DAYS.index(word)]


def _minute(offset: int, word: str) -> int:
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", word, re.ASCII)
    minute = int(match[1]) * 60 + int(match[2]) if match else DAY_MINUTES + 1
    if match is None or int(match[2]) > 59 or minute > DAY_MINUTES:
        raise BadValue(f"{quoted(word)} is not a time from 00:00 to 24:00", offset=offset, width=len(word))
    return minute


def _within_week(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """One span of the endless week as spans of one week."""
    if end <= start:
        end += WEEK_MINUTES
    if end <= WEEK_MINUTES:
        return ((start, end),)
    return ((0, end - WEEK_MINUTES), (start, WEEK_MINUTES))


def _parse_absolute(text: str, _: Context) -> Absolute:
    moments: dict[str, datetime] = {}
    words = items(text)
    while words:
        (offset, word), *words = words
        if word not in ("start", "end") or word in moments:
            raise BadValue(f"expected {_ABSOLUTE}", offset=offset, width=len(word))
        moments[word], words = _moment(words)
    if not moments:
        raise BadValue(f"expected {_ABSOLUTE}")
    absolute = Absolute(moments.get("start"), moments.get("end"))
    if absolute.start and absolute.end and absolute.end <= absolute.start:
        raise BadValue("the end is not after the start")
    return absolute


def _moment(words: list[tuple[int, str]]) -> tuple[datetime, list[tuple[int, str]]]:
    """A time and a date: `08:00 2026-01-31` or, as on the ASA, `08:00 31 January 2026`."""
    if len(words) < 2:
        raise BadValue(f"expected {_ABSOLUTE}")
    minute = _minute(*words[0])
    if minute == DAY_MINUTES:
        raise BadValue("write 00:00 of the next day", offset=words[0][0], width=len(words[0][1]))
    taken = 1 if "-" in words[1][1] else 3
    written = " ".join(word for _, word in words[1 : 1 + taken])
    day = _date(words[1][0], written)
    return datetime(day.year, day.month, day.day, *divmod(minute, 60)), words[1 + taken :]


def _date(offset: int, text: str) -> date:
    match = re.fullmatch(r"([0-9]{1,2}) ([A-Za-z]{3,9}) ([0-9]{4})", text, re.ASCII)
    try:
        if match is None:
            return datetime.strptime(text, "%Y-%m-%d").date()
        months = [index for index, name in enumerate(_MONTHS, 1) if name.startswith(match[2].lower())]
        return date(int(match[3]), months[0], int(match[1]))
    except (ValueError, IndexError):
        wanted = "a date such as 2026-01-31 or 31 January 2026"
        raise BadValue(f"{quoted(text)} is not {wanted}", offset=offset, width=len(text)) from None


def _render_absolute(absolute: Absolute) -> str:
    ends = (("start", absolute.start), ("end", absolute.end))
    return " ".join(f"{word} {moment:%H:%M %Y-%m-%d}" for word, moment in ends if moment)


PERIODIC: Final[Kind[Periodic]] = Kind(word=_PERIODIC, code="E211", parse=_parse_periodic, render=lambda one: one.text)
ABSOLUTE: Final[Kind[Absolute]] = Kind(word=_ABSOLUTE, code="E211", parse=_parse_absolute, render=_render_absolute)
