"""The page: what was measured and on what, whether the goals are reached, and every figure, as pictures and tables."""

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from perf.suite.chapters import work
from perf.suite.goals import GOALS
from perf.suite.goals import Goal
from perf.suite.goals import named
from perf.suite.plots import draw_all
from perf.suite.records import Results
from perf.suite.spread import spread_of
from perf.suite.spread import verdict
from perf.suite.tables import TABLES
from perf.suite.tables import grid
from perf.suite.text import GOALS_TEXT
from perf.suite.text import PREFACE
from perf.suite.text import SECTIONS

QUICK: Final = "quick"
QUIET_CORES: Final = 0.1
PAGE: Final = "performance.md"
PICTURES: Final = "performance"
NOT_MEASURED: Final = "not measured"


def write_page(results: Results, docs: Path) -> None:
    pictures = draw_all(results)
    folder = docs / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (folder / name).write_text(picture)
    (docs / PAGE).write_text("\n".join(page(results, list(pictures))))


def page(results: Results, pictures: Sequence[str]) -> Iterator[str]:
    yield PREFACE.format(rounds=1 + max((record.round for record in results.records), default=0))
    yield ""
    if results.head.get(QUICK) == "yes":
        yield "**A quick run, to see that the tools work: these figures mean nothing.**\n"
    yield from grid(["", ""], [[name, value] for name, value in results.head.items()])
    yield from unrest(results)
    yield from wrong(results)
    yield from goals(results)
    for section in SECTIONS:
        body = list(TABLES[section.tables](results))
        shown = [name for name in section.pictures if name in pictures]
        if body:
            yield f"## {section.title}\n"
            yield section.text + "\n"
            yield from (f"![{name.removesuffix('.svg')}]({PICTURES}/{name})\n" for name in shown)
            yield from body


def unrest(results: Results) -> Iterator[str]:
    """A warning when the machine had more to do than this."""
    others = spread_of(results.of(work.NAME), named("others"))
    if others is not None and others.median > QUIET_CORES:
        yield f"**The machine was not quiet**: in the median others used {others.median:.2f} cores meanwhile.\n"


def wrong(results: Results) -> Iterator[str]:
    found = results.wrong()
    if found:
        yield f"**{len(found)} of {len(results.records)} measurements failed their checks and are left out:**\n"
        yield from (f"- {r.chapter}, {r.mode}, {r.target}, round {r.round + 1}: {'; '.join(r.wrong)}" for r in found)
        yield ""


def goals(results: Results) -> Iterator[str]:
    yield f"## Goals\n\n{GOALS_TEXT}\n"
    yield from grid(
        ["figure", "to be at most", "is", "against", "reached"], (goal_row(results, goal) for goal in GOALS)
    )


def goal_row(results: Results, goal: Goal) -> list[str]:
    answer = goal.answer(results)
    if answer.value is None:
        return [goal.what, goal.bound, NOT_MEASURED, "", ""]
    return [goal.what, goal.bound, str(answer.value), answer.against, verdict(answer.value, goal.limit).value]
