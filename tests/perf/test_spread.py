"""Medians, paired ratios, verdicts: what decides whether a goal counts as reached."""

import pytest

from perf.suite.records import Record
from perf.suite.spread import Spread
from perf.suite.spread import Verdict
from perf.suite.spread import digits
from perf.suite.spread import paired
from perf.suite.spread import verdict


def records(target: str, *values: tuple[int, float]) -> list[Record]:
    return [Record("work", "login", target, turn, {"cpu": value}) for turn, value in values]


def cpu(record: Record) -> float:
    return record.figures["cpu"]


def test_spread_has_median_least_and_greatest() -> None:
    assert Spread.of([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0, 3)
    assert Spread.of([]) is None


@pytest.mark.parametrize(
    ("low", "median", "high", "expected"),
    [
        (0.5, 0.7, 0.85, Verdict.YES),
        (0.5, 0.7, 0.86, Verdict.SEEMS_YES),
        (0.8, 0.9, 1.0, Verdict.SEEMS_NO),
        (0.86, 0.9, 1.0, Verdict.NO),
    ],
)
def test_verdict_is_sure_only_when_every_round_agrees(
    low: float, median: float, high: float, expected: Verdict
) -> None:
    assert verdict(Spread(median, low, high, 3), 0.85) is expected


def test_ratio_is_taken_round_by_round() -> None:
    """In round 1 the machine was slow, for both: the ratio of the medians would be 1.5."""
    ours, theirs = records("gateway", (0, 1.0), (1, 3.0), (2, 1.0)), records("nginx", (0, 2.0), (1, 6.0), (2, 2.0))
    assert paired(ours, theirs, cpu) == Spread(0.5, 0.5, 0.5, 3)


def test_ratio_leaves_out_rounds_that_only_one_side_has() -> None:
    assert paired(records("gateway", (0, 1.0), (1, 8.0)), records("nginx", (0, 2.0), (2, 1.0)), cpu) == Spread(
        0.5, 0.5, 0.5, 1
    )
    assert paired(records("gateway", (0, 1.0)), records("nginx", (1, 2.0)), cpu) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.856, "0.86"), (24.61, "24.6"), (150.4, "150"), (90000.0, "90,000"), (-0.04, "-0.04")],
)
def test_digits_keeps_three_that_count(value: float, text: str) -> None:
    assert digits(value) == text
