"""What does the shared session table cost: an operation undisturbed, and what goes over all of it?

    .venv/bin/python -m perf.session_table [--repeat N]

A quick look for whoever works on the table; the figures on record are those of `perf.suite`, chapter `table`, whose
loops these are. There, time is by the wall. Here it is the CPU time of the thread where nobody is waited for, so that
a busy machine disturbs little; the flood starts at its cap, with every page in use. Medians, the least, the most.
"""

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from types import ModuleType
from typing import Final

from gateway._sessions import SessionTable
from perf.suite.chapters.table import contended_ns
from perf.suite.chapters.table import load_loops
from perf.suite.chapters.table import recovery_ns
from perf.suite.paths import ROOT

SIZES: Final = (1_000, 1_000_000)
ROUNDS: Final = 100_000
WHOLE: Final = 50_000
Case = Callable[[], float]


def cpu_ns(loop: Callable[[SessionTable, int, int], float], table: SessionTable, operations: int) -> float:
    """CPU time for one of the `operations` of a round."""
    start = time.thread_time_ns()
    loop(table, 0, ROUNDS)
    return (time.thread_time_ns() - start) / (ROUNDS * operations)


def operation_cases(loops: ModuleType, size: int) -> dict[str, Case]:
    table, capped = (SessionTable.create(size, workers=4) for _ in range(2))
    capped.set_caps(0, size // 2, None)
    loops.flood(capped, 0, 2 * size)
    return {
        "admit, start of login, release": lambda: cpu_ns(loops.rounds, table, 3),
        "the same with authentication": lambda: cpu_ns(loops.logins, table, 4),
        "flood at the cap, with evictions": lambda: cpu_ns(loops.flood, capped, 3),
        "note of relayed octets, no lock": lambda: cpu_ns(loops.touches, table, 1),
        "random release and admit, 9 of 10 live (wall)": lambda: loops.churn(table, 0, size * 9 // 10, ROUNDS),
        "the first, two processes (wall)": lambda: contended_ns(table, 2, loops.rounds, ROUNDS),
        "the first, four processes (wall)": lambda: contended_ns(table, 4, loops.rounds, ROUNDS),
    }


def full_table(loops: ModuleType) -> SessionTable:
    table = SessionTable.create(WHOLE, workers=2)
    loops.populate(table, 0, WHOLE)
    return table


def cpu_ms(action: Callable[[], object]) -> float:
    start = time.thread_time()
    action()
    return (time.thread_time() - start) * 1e3


def reap_ms(table: SessionTable) -> float:
    return cpu_ms(lambda: table.reap(0))


def whole_cases(loops: ModuleType) -> dict[str, Case]:
    table = full_table(loops)
    return {
        "list, ms": lambda: cpu_ms(lambda: sum(1 for _ in table.sessions())),
        "reap, ms": lambda: reap_ms(full_table(loops)),
        "recovery, ms (wall)": lambda: recovery_ns(loops) / 1e6,
        "memory, octets a session": lambda: os.fstat(table.fd).st_blocks * 512 / WHOLE,
    }


def measure(title: str, cases: dict[str, Case], repeat: int) -> None:
    turns = [[case() for case in cases.values()] for _ in range(repeat)]
    print(title)
    for name, values in zip(cases, zip(*turns, strict=True), strict=True):
        print(f"  {name:46} {statistics.median(values):9.1f}   {min(values):.1f} to {max(values):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=9)
    repeat = parser.parse_args().repeat
    subprocess.run(["make", "--quiet", "-C", ROOT / "perf" / "tools", "../build/table_loops.so"], check=True)
    loops = load_loops()
    for size in SIZES:
        measure(f"{size:,} slots, ns an operation", operation_cases(loops, size), repeat)
    measure(f"all of {WHOLE:,} sessions", whole_cases(loops), repeat)


if __name__ == "__main__":
    main()
