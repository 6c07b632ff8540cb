"""What does an operation of the shared session table cost, alone and contended, with 1,000 slots and with 1,000,000?

Wall time, as the engine calls it: C, no GIL. The loops of `table_loops.pyx` are built by `perf/tools/Makefile`.
"""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from gateway._sessions import SessionTable
from perf.suite.paths import BUILD
from perf.suite.records import Record
from perf.suite.world import World

NAME: Final = "table"
LOOPS: Final = BUILD / "table_loops.so"
SIZES: Final = (1_000, 1_000_000)
ROUNDS: Final = 100_000
ROUNDS_QUICK: Final = 1_000
RECOVERED: Final = 50_000
ALONE: Final = "admit, start of login, release"
CONTENDED: Final = "the first, two processes"
NANOSECONDS: Final = 1e9
Case = Callable[[], float]
Loop = Callable[[SessionTable, int, int], float]


def measure(world: World) -> Iterator[Record]:
    """The mode is the operation, the target the number of slots; `ns` an operation."""
    loops = load_loops()
    rounds = ROUNDS_QUICK if world.effort.quick else ROUNDS
    sizes = SIZES[:1] if world.effort.quick else SIZES
    every = {(name, size): case for size in sizes for name, case in cases(loops, size, rounds).items()}
    every["recovery", RECOVERED] = lambda: recovery_ns(loops)
    for turn in range(world.effort.rounds):
        for (name, size), case in every.items():
            with world.alone():
                yield Record(NAME, name, f"{size:,} slots", turn, {"ns": case()})


def load_loops() -> ModuleType:
    """ImportError when they are not built, or for another layout of the table."""
    spec = importlib.util.spec_from_file_location(LOOPS.stem, LOOPS)
    if spec is None or spec.loader is None:
        raise ImportError(f"{LOOPS} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(loops: ModuleType, size: int, rounds: int) -> dict[str, Case]:
    table, capped = (SessionTable.create(size, workers=4) for _ in range(2))
    capped.set_caps(0, size // 2, None)
    live = size * 9 // 10
    return {
        ALONE: lambda: loops.rounds(table, 0, rounds),
        "the same with authentication": lambda: loops.logins(table, 0, rounds),
        CONTENDED: lambda: contended_ns(table, 2, loops.rounds, rounds),
        "the first, four processes": lambda: contended_ns(table, 4, loops.rounds, rounds),
        "flood at the cap, with evictions": lambda: loops.flood(capped, 0, rounds),
        "random release and admit, 9 of 10 slots live": lambda: loops.churn(table, 0, live, rounds),
        "note of relayed octets, no lock": lambda: loops.touches(table, 0, rounds),
    }


def contended_ns(table: SessionTable, processes: int, loop: Loop, rounds: int) -> float:
    """The mean over processes that all do it at once, spread over the cores."""
    reader, writer = os.pipe()
    cores = sorted(os.sched_getaffinity(0))
    pids = []
    for worker in range(processes):
        pid = os.fork()
        if pid == 0:
            os.sched_setaffinity(0, {cores[worker % len(cores)]})
            os.write(writer, b"%f\n" % loop(table, worker, rounds))
            os._exit(0)
        pids.append(pid)
    os.close(writer)
    with open(reader, "rb") as results:
        figures = [float(line) for line in results]
    for pid in pids:
        os.waitpid(pid, 0)
    if len(figures) != processes:
        raise RuntimeError("a process failed")
    return statistics.mean(figures)


def recovery_ns(loops: ModuleType) -> float:
    """From the death of a process that held the lock to the end of the next operation, with the table full."""
    table = SessionTable.create(RECOVERED, workers=2)
    loops.populate(table, 0, RECOVERED)
    pid = os.fork()
    if pid == 0:
        table.freeze()
        os._exit(0)
    os.waitpid(pid, 0)
    start = time.perf_counter()
    table.counts(0)
    return (time.perf_counter() - start) * NANOSECONDS
