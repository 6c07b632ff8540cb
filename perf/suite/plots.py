"""The pictures of the page: file name -> SVG, of those for which there are figures."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Final

from perf.suite.chapters import flood
from perf.suite.chapters import growth
from perf.suite.chapters import idle
from perf.suite.chapters import work
from perf.suite.chapters import workers
from perf.suite.goals import CPU
from perf.suite.goals import named
from perf.suite.records import Record
from perf.suite.records import Results
from perf.suite.spread import Figure
from perf.suite.spread import Spread
from perf.suite.spread import spread_of
from perf.suite.svg import Bar
from perf.suite.svg import Panel
from perf.suite.svg import Series
from perf.suite.svg import bar_chart
from perf.suite.svg import line_chart
from perf.suite.trial import GIB
from perf.suite.trial import LOGINS
from perf.suite.trial import ROUND_TRIPS
from perf.suite.trial import Mode
from perf.suite.trial import Unit

Draw = Callable[[Results], str | None]
KIB_PER_MIB: Final = 1024


def draw_all(results: Results) -> dict[str, str]:
    drawn = {name: draw(results) for name, draw in PICTURES.items()}
    return {name: picture for name, picture in drawn.items() if picture is not None}


def modes_of(unit: Unit) -> list[Mode]:
    return [mode for mode in work.MODES if mode.unit is unit]


def bars(results: Results, chapter: str, mode: str, figure: Figure) -> list[Bar]:
    found = [
        Bar(target, spread, target.startswith("gateway"))
        for target in results.targets(chapter, mode)
        if target != work.AGAIN and (spread := spread_of(results.of(chapter, mode, target), figure))
    ]
    return sorted(found, key=lambda bar: bar.value.median)


def panels(results: Results, chapter: str, modes: Mapping[str, str], figure: Figure) -> list[Panel]:
    """`modes`: name -> title."""
    every = [Panel(title, bars(results, chapter, name, figure)) for name, title in modes.items()]
    return [panel for panel in every if panel.bars]


def cost_chart(unit: Unit) -> Draw:
    def draw(results: Results) -> str | None:
        found = panels(results, work.NAME, {mode.name: mode.title for mode in modes_of(unit)}, CPU)
        return bar_chart(f"Proxy CPU seconds per {unit.name}", found) if found else None

    return draw


def latency_chart(results: Results) -> str | None:
    found = panels(results, work.NAME, {"login-one": "one client"}, named("login_ms.p50"))
    found += panels(results, work.NAME, {"login": "256 clients"}, named("login_ms.p50"))
    return bar_chart("Login, p50 in ms", found) if found else None


def memory_chart(results: Results) -> str | None:
    modes = {str(count): f"{count:,} sessions held" for count in idle.HELD}
    found = panels(results, idle.NAME, modes, named("kib_per_session"))
    return bar_chart("Memory of an idle session, PSS in KiB", found) if found else None


def flood_chart(results: Results) -> str | None:
    modes = {flood.CALM: "calm", flood.FLOOD: "2,500 silent connections a second, 15,000 held"}
    found = panels(results, flood.NAME, modes, p99_ms)
    return bar_chart("Legitimate logins, p99 in ms", found) if found else None


def p99_ms(record: Record) -> float:
    return record.figures.get("login_ms.p99", 0.0)  # missing when no login succeeded


def growth_chart(figure: Figure, title: str, y_label: str, targets: Sequence[str]) -> Draw:
    def draw(results: Results) -> str | None:
        series = [Series(target, list(growth_points(results, target, figure))) for target in targets]
        known = [line for line in series if line.points]
        return line_chart(title, "idle sessions held by the one", y_label, known) if known else None

    return draw


def growth_points(results: Results, target: str, figure: Figure) -> Iterator[tuple[float, Spread]]:
    for mode in results.modes(growth.NAME):
        spread = spread_of(results.of(growth.NAME, mode, target), figure) if mode.isdecimal() else None
        if spread is not None:
            yield float(mode), spread


def pss_mib(record: Record) -> float:
    return record.figures["pss_kib"] / KIB_PER_MIB


def workers_chart(results: Results) -> str | None:
    found = panels(results, workers.NAME, {mode.name: mode.title for mode in workers.MODES}, CPU)
    return bar_chart("Gateway, CPU by number of workers", found) if found else None


PICTURES: Final[Mapping[str, Draw]] = {
    "logins.svg": cost_chart(LOGINS),
    "latency.svg": latency_chart,
    "bulk.svg": cost_chart(GIB),
    "round-trips.svg": cost_chart(ROUND_TRIPS),
    "memory.svg": memory_chart,
    "flood.svg": flood_chart,
    "growth-cpu.svg": growth_chart(
        CPU, "A login beside idle sessions", "CPU seconds per 1000 logins", (growth.FULL, growth.EMPTY)
    ),
    "growth-memory.svg": growth_chart(pss_mib, "Memory with idle sessions", "PSS in MiB", (growth.FULL,)),
    "workers.svg": workers_chart,
}
