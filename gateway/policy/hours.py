"""When access hours close: the moment up to which a time range stays open. Pure.

Source: the ASA's `vpn-access-hours` and `time-range`.
"""

from datetime import datetime
from datetime import timedelta

from gateway.config.model import TimeRange
from gateway.config.schedule import DAY_MINUTES
from gateway.config.schedule import WEEK_MINUTES


def open_for_s(hours: TimeRange, moment: datetime) -> float | None:
    """Seconds from `moment` (local time without a zone) to the close of a range that covers it; None: it never closes.

    Spans that follow one another without a gap (weekdays to 24:00, weekend from 00:00) are one.
    """
    closes = moment
    while (following := _next_edge(hours, closes)) is not None:
        closes = following
        if not hours.covers(closes):
            return (closes - moment).total_seconds()
        if closes - moment > timedelta(minutes=WEEK_MINUTES):
            break  # open all week long: only an absolute end can close it
    end = hours.absolute.end if hours.absolute else None
    return (end - moment).total_seconds() if end is not None else None


def _next_edge(hours: TimeRange, moment: datetime) -> datetime | None:
    """The next moment after `moment` at which some span ends."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(minutes=moment.weekday() * DAY_MINUTES)
    ends = {end for one in hours.periodic for _, end in one.spans}
    edges = [monday + timedelta(minutes=week + end) for end in ends for week in (0, WEEK_MINUTES)]
    if hours.absolute and hours.absolute.end:
        edges.append(hours.absolute.end)
    return min((edge for edge in edges if edge > moment), default=None)
