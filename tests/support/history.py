"""What everybody did, one JSON line an event, and whether accounting kept its promises.

Each process appends to one file by itself; a line is one write, so lines are never mixed. After the run `faults_of`
reads it all. The promises:

- N3: each session whose start was journaled has exactly one logical end, received by the server or still in the spool.
  Reports that came more than once are the same but for Acct-Delay-Time, and the first start comes before the first end.
  An end that the worker had journaled itself is the one that is told; there is no second one in the spool.
- N4: nothing is told of a session that nobody had logged in to; once all is quiet no session runs.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from typing import Self


class Event(StrEnum):
    LOGIN = "login"  # by the worker, before it asks accounting
    STARTED = "started"  # by the worker, when the start is journaled
    ENDED = "ended"  # by the worker, when the end is journaled; with what it reported
    RECEIVED = "received"  # by the server, answered or not; with all attributes
    SPOOLED = "spooled"  # found in the journals after the run: a record, acknowledged or not
    RUNNING = "running"  # a view of how many sessions run, after the run


START, STOP, INTERIM = "Start", "Stop", "Interim-Update"


class History:
    """The file, for whoever has something to say."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def say(self, event: Event, session: str = "", **facts: object) -> None:
        line = json.dumps({"event": event, "session": session, **facts}) + "\n"
        os.write(self._descriptor, line.encode())


@dataclass(frozen=True, slots=True)
class Line:
    event: Event
    session: str
    facts: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> Self:
        facts = json.loads(text)
        return cls(Event(facts.pop("event")), facts.pop("session"), facts)


def read_history(path: Path) -> list[Line]:
    return [Line.parse(text) for text in path.read_text().splitlines()]


def faults_of(history: Iterable[Line]) -> list[str]:
    """Every broken promise, in words; empty: all were kept."""
    by_session: defaultdict[str, list[Line]] = defaultdict(list)
    faults: list[str] = []
    for line in history:
        if line.event is Event.RUNNING:
            faults += [f"N4: {line.facts['view']} says that {line.facts['count']} run"] * bool(line.facts["count"])
        else:
            by_session[line.session].append(line)
    for session, lines in by_session.items():
        faults += [f"{session}: {fault}" for fault in _session_faults(lines)]
    return faults


def _session_faults(lines: list[Line]) -> list[str]:
    faults: list[str] = []
    reports = [line for line in lines if line.event in (Event.RECEIVED, Event.SPOOLED)]
    if reports and not _any(lines, Event.LOGIN):
        faults.append("N4: it is told of and nobody had logged in")
    statuses = [line.facts["status"] for line in reports]
    if _any(lines, Event.STARTED) and START not in statuses:
        faults.append("N3: its start is lost")
    if (_any(lines, Event.STARTED) or START in statuses) and STOP not in statuses:
        faults.append("N3: it has no end")
    received = [line for line in lines if line.event is Event.RECEIVED]
    order = [line.facts["status"] for line in received]
    if STOP in order and START not in order[: order.index(STOP)]:
        faults.append("N3: its end was told before its start")
    return [*faults, *_differences(received), *_end_faults(lines, reports)]


def _differences(received: list[Line]) -> list[str]:
    """Starts and ends that are not the same as the first one; interim updates are many by nature."""
    faults: list[str] = []
    for status in (START, STOP):
        said = [line.facts["attributes"] for line in received if line.facts["status"] == status]
        faults += [f"N3: one {status} says {one}, another {said[0]}" for one in said[1:] if one != said[0]]
    return faults


def _end_faults(lines: list[Line], reports: list[Line]) -> list[str]:
    """The end that the worker wrote is the one that counts."""
    if sum(line.event is Event.SPOOLED and line.facts["status"] == STOP for line in lines) > 1:
        return ["N3: it has two ends in the spool"]
    ours = [line.facts["end"] for line in lines if line.event is Event.ENDED]
    theirs = [line.facts["end"] for line in reports if line.facts["status"] == STOP]
    if len(ours) > 1:
        return ["the worker ended it twice"]
    return [f"N3: it ended with {ours[0]}, and {end} is told" for end in theirs if ours and end != ours[0]]


def _any(lines: list[Line], event: Event) -> bool:
    return any(line.event is event for line in lines)
