"""What a proxy has used: processor time and memory of all its processes, from /proc.

Processor time is user and system time of the tree, with children that have ended. A process's own figure is the larger
of two: `stat`, which has its ended threads too, but in ticks of 10 ms, and the sum of `schedstat` over its living
threads, in nanoseconds.

Errors: ServerGone when the first process does not exist.
Source: proc(5); Documentation/scheduler/sched-stats.rst for schedstat.
"""

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Final

from tests.support.processes import tree

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
NANOSECONDS: Final = 1e9
# utime, stime, cutime, cstime, counted from the field behind the name in parentheses: proc(5).
TIMES: Final = slice(11, 15)
PSS: Final = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
STILL_S: Final = 0.001
STILL_EVERY_S: Final = 0.05


class ServerGone(Exception):
    """A process that is being measured has ended."""


def cpu_s(pid: int) -> float:
    """Of the process and everything below it."""
    return sum(_process_cpu_s(one) for one in _tree(pid))


def pss_kib(pid: int) -> int:
    """Proportional set size of the whole tree: what is shared counts once."""
    return sum(_process_pss_kib(one) for one in _tree(pid))


def process_count(pid: int) -> int:
    return len(_tree(pid))


def cpu_s_at_rest(pid: int, timeout_s: float = 5.0) -> float:
    """Once it stands still: a proxy ends its sessions a little later than its clients do."""
    before, deadline = cpu_s(pid), time.monotonic() + timeout_s
    while True:
        time.sleep(STILL_EVERY_S)
        now = cpu_s(pid)
        if now - before < STILL_S or time.monotonic() > deadline:
            return now
        before = now


def _tree(pid: int) -> list[int]:
    found = [process.pid for process in tree(pid)]
    if not found:
        raise ServerGone(f"process {pid} is gone")
    return found


def _process_cpu_s(pid: int) -> float:
    directory = Path("/proc", str(pid))
    try:
        # The name in parentheses may itself hold blanks and parentheses.
        fields = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    user, system, *ended_children = (int(field) / TICKS_PER_S for field in fields[TIMES])
    return max(user + system, _threads_cpu_s(directory)) + sum(ended_children)


def _threads_cpu_s(directory: Path) -> float:
    total_ns = 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in (directory / "task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total_ns += int((thread / "schedstat").read_text().split()[0])
    return total_ns / NANOSECONDS


def _process_pss_kib(pid: int) -> int:
    try:
        found = PSS.search(Path("/proc", str(pid), "smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0
