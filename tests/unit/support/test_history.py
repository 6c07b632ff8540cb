"""The history checker finds each broken promise, and none where all are kept."""

from pathlib import Path

import pytest

from tests.support.history import START
from tests.support.history import STOP
from tests.support.history import Event
from tests.support.history import History
from tests.support.history import Line
from tests.support.history import faults_of
from tests.support.history import read_history

END = [1, 10, 20]
LOGIN = Line(Event.LOGIN, "s1", {})
STARTED = Line(Event.STARTED, "s1", {})
ENDED = Line(Event.ENDED, "s1", {"end": END})


def received(status: str, end: list[int] | None = None, attributes: str = "same") -> Line:
    return Line(Event.RECEIVED, "s1", {"status": status, "attributes": attributes, "end": end or []})


def spooled(status: str, end: list[int] | None = None) -> Line:
    return Line(Event.SPOOLED, "s1", {"status": status, "end": end or []})


START_TOLD, STOP_TOLD = received(START), received(STOP, END)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [LOGIN],
        [LOGIN, STARTED, ENDED, START_TOLD, STOP_TOLD],
        [LOGIN, STARTED, ENDED, START_TOLD, START_TOLD, STOP_TOLD, START_TOLD, STOP_TOLD],
        [LOGIN, STARTED, START_TOLD, received("Interim-Update", attributes="1"), received("Interim-Update"), STOP_TOLD],
        [LOGIN, STARTED, ENDED, spooled(START), spooled(STOP, END)],
        [LOGIN, STARTED, START_TOLD, spooled(STOP, [9, 0, 0])],
        [LOGIN, START_TOLD, received(STOP, [9, 0, 0])],  # killed between the journal and the history
        [Line(Event.RUNNING, "", {"view": "status", "count": 0})],
    ],
)
def test_promises_are_kept_then_no_fault(lines: list[Line]) -> None:
    assert faults_of(lines) == []


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([LOGIN, STARTED, STOP_TOLD], "its start is lost"),
        ([LOGIN, STARTED, START_TOLD], "it has no end"),
        ([LOGIN, START_TOLD], "it has no end"),
        ([LOGIN, STARTED, ENDED, STOP_TOLD, START_TOLD], "told before its start"),
        ([LOGIN, STARTED, START_TOLD, STOP_TOLD, received(STOP, END, "other")], "one Stop says"),
        ([LOGIN, STARTED, START_TOLD, received(START, attributes="other"), STOP_TOLD], "one Start says"),
        ([LOGIN, STARTED, ENDED, START_TOLD, received(STOP, [9, 0, 0])], "it ended with"),
        ([LOGIN, STARTED, ENDED, spooled(START), spooled(STOP, [9, 0, 0])], "it ended with"),
        ([LOGIN, STARTED, ENDED, spooled(START), spooled(STOP, END), spooled(STOP, END)], "two ends in the spool"),
        ([LOGIN, STARTED, ENDED, ENDED, START_TOLD, STOP_TOLD], "ended it twice"),
        ([START_TOLD, STOP_TOLD], "nobody had logged in"),
        ([Line(Event.RUNNING, "", {"view": "status", "count": 2})], "status says that 2 run"),
    ],
)
def test_promise_is_broken_then_it_is_said(lines: list[Line], fault: str) -> None:
    assert any(fault in found for found in faults_of(lines))


def test_what_was_said_comes_back(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    history.say(Event.LOGIN, "s1")
    history.say(Event.ENDED, "s1", end=END)
    assert read_history(tmp_path / "history") == [LOGIN, ENDED]
