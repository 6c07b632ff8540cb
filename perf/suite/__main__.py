"""The command line of the suite.

Exit codes: 0 all measured and checked, 1 something could not be measured or a check failed, 2 usage.
"""

import argparse
import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from typing import Final

from perf.suite import machine
from perf.suite import records
from perf.suite.chapters import flood
from perf.suite.chapters import growth
from perf.suite.chapters import idle
from perf.suite.chapters import instructions
from perf.suite.chapters import limits
from perf.suite.chapters import syscalls
from perf.suite.chapters import table
from perf.suite.chapters import work
from perf.suite.chapters import workers
from perf.suite.load import LoadFailed
from perf.suite.paths import BUILD
from perf.suite.paths import DOCS
from perf.suite.records import Record
from perf.suite.report import QUICK
from perf.suite.report import write_page
from perf.suite.servers import TOOL_PACKAGES
from perf.suite.usage import ServerGone
from perf.suite.world import MAKE
from perf.suite.world import Effort
from perf.suite.world import World
from perf.suite.world import world
from tests.support.peers.base import PeerError

Measure = Callable[[World], Iterator[Record]]
CHAPTERS: Final[Mapping[str, Measure]] = {
    chapter.NAME: chapter.measure
    for chapter in (work, idle, flood, syscalls, instructions, workers, growth, limits, table)
}
SLOW: Final = {instructions.NAME}
"""Measured only when asked for by name."""
RESULTS: Final = BUILD / "results.jsonl"


def main() -> int:
    options = parser().parse_args()
    if options.command == "report":
        write_page(records.read(options.results), options.docs)
        return 0
    lacking = machine.missing(TOOL_PACKAGES)
    if lacking or not (BUILD / "mailload").exists():
        print(
            f"The tools are not built (make -C perf/tools); {' '.join(lacking) or 'nothing'} to install.",
            file=sys.stderr,
        )
        return 1
    only = frozenset(options.servers or ())
    effort = Effort(options.rounds, options.quick, options.workers, options.sessions, only)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w") as out:
        complete = measure(effort, options.chapters or [name for name in CHAPTERS if name not in SLOW], out)
    if options.docs:
        write_page(records.read(options.out), options.docs)
    return 0 if complete else 1


def measure(effort: Effort, chapters: list[str], out: IO[str]) -> bool:
    """Whether all went well. A chapter that fails does not keep the others from being measured."""
    fine = True
    how = {"rounds": str(effort.rounds), "workers": str(effort.workers), QUICK: "yes" if effort.quick else "no"}
    records.write_head(out, {**machine.describe(), **how})
    with world(effort) as shared:
        for name in chapters:
            try:
                for record in CHAPTERS[name](shared):
                    records.write(out, record)
                    tell(record)
                    fine = fine and not record.wrong
            except (LoadFailed, PeerError, ServerGone) as error:
                print(f"{name}: {error}", file=sys.stderr)
                fine = False
    return fine


def tell(record: Record) -> None:
    faults = "".join(f"  WRONG: {fault}" for fault in record.wrong)
    print(f"{record.chapter:9} round {record.round + 1}  {record.mode:16} {record.target}{faults}", flush=True)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m perf.suite", description="Measures the gateway beside its peers.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure, and write the results as JSON lines")
    run.add_argument("--quick", action="store_true", help="only see that everything works: a few seconds a chapter")
    run.add_argument("--rounds", type=int, default=5, help="how often everything is measured (5)")
    run.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes or threads of each proxy")
    most = growth.STEPS[-1]
    run.add_argument("--sessions", type=int, default=most, help=f"the most that are held idle ({most})")
    run.add_argument("--chapters", nargs="+", choices=CHAPTERS, help="only these (all but instructions)")
    run.add_argument("--servers", nargs="+", choices=MAKE, help="only these")
    run.add_argument("--out", type=Path, default=RESULTS, help="the file of results (perf/build/results.jsonl)")
    run.add_argument("--docs", type=Path, help="write the page and its pictures into this folder, too")
    report = commands.add_parser("report", help="make the page and its pictures of a file of results")
    report.add_argument("results", type=Path, nargs="?", default=RESULTS)
    report.add_argument("--docs", type=Path, default=DOCS, help="the folder (docs)")
    return top


if __name__ == "__main__":
    sys.exit(main())
