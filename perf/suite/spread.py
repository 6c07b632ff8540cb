"""Medians, ratios of pairs, and whether a figure is below its limit or only seems so."""

import statistics
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Self

from perf.suite.records import Record

Figure = Callable[[Record], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements, the least and the greatest of them, and how many there were."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Self | None:
        """None without any."""
        known = list(values)
        return cls(statistics.median(known), min(known), max(known), len(known)) if known else None

    def __str__(self) -> str:
        if self.count == 1:
            return digits(self.median)
        return f"{digits(self.median)} [{digits(self.low)}, {digits(self.high)}]"


class Verdict(Enum):
    """Whether a figure is at most its limit. SEEMS_: the measurements lie on both sides of it."""

    YES = "yes"
    SEEMS_YES = "yes, within the noise"
    SEEMS_NO = "no, within the noise"
    NO = "no"


def verdict(spread: Spread, limit: float) -> Verdict:
    if spread.high <= limit:
        return Verdict.YES
    if spread.low > limit:
        return Verdict.NO
    return Verdict.SEEMS_YES if spread.median <= limit else Verdict.SEEMS_NO


def spread_of(records: Iterable[Record], figure: Figure) -> Spread | None:
    return Spread.of(map(figure, records))


def paired(records: Sequence[Record], others: Sequence[Record], figure: Figure) -> Spread | None:
    """The ratio to `others`, round by round: what slows the machine down for a while slows both.

    None when they share no round.
    """
    below = {record.round: figure(record) for record in others}
    ratios = [figure(record) / below[record.round] for record in records if below.get(record.round)]
    return Spread.of(ratios)


def digits(value: float) -> str:
    """Three of them that count, but no fraction of a number above 999."""
    whole = len(str(int(abs(value))))
    return f"{value:,.0f}" if whole > 2 else f"{value:.{3 - whole}f}"
