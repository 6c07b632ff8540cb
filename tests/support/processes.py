"""Processes as /proc shows them: children, whole trees, whole sessions, told apart by start time so that a reused
process id is never taken for the old process. Linux only, as the project is.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_until

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """`started` is in clock ticks since boot; `pid` and `started` together name one process for ever."""

    pid: int
    parent: int
    session: int
    started: int
    state: str
    name: str

    def is_alive(self) -> bool:
        now = look_up(self.pid)
        return now is not None and now.started == self.started and now.state not in "ZX"

    def send_signal(self, number: signal.Signals) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def descriptors(self) -> int:
        return len(list((PROC / str(self.pid) / "fd").iterdir()))


def look_up(pid: int) -> Process | None:
    """None when there is no such process (any more)."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may itself hold blanks and parentheses: proc(5).
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(
        pid=pid, state=fields[0], parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]), name=name
    )


def all_processes() -> list[Process]:
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for pid in pids if (process := look_up(pid)) is not None]


def children(pid: int) -> list[Process]:
    """Living children, zombies left out, oldest first."""
    return sorted(
        (process for process in all_processes() if process.parent == pid and process.state not in "ZX"),
        key=lambda process: (process.started, process.pid),
    )


def tree(pid: int) -> list[Process]:
    """The process itself, its children, their children and so on."""
    by_parent: dict[int, list[Process]] = {}
    for process in all_processes():
        by_parent.setdefault(process.parent, []).append(process)
    root = look_up(pid)
    found = [root] if root is not None else []
    for process in found:
        found.extend(by_parent.get(process.pid, []))
    return found


def in_session(session: int) -> list[Process]:
    """Living processes of a session (setsid(2)), however deep they forked and whoever adopted them."""
    return [process for process in all_processes() if process.session == session and process.state not in "ZX"]


def kill_all(processes: Iterable[Process], timeout_s: float = 5.0) -> None:
    """SIGKILL, then wait until they are gone."""
    doomed = list(processes)
    for process in doomed:
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(process.is_alive() for process in doomed), timeout_s, f"the end of {doomed}")
