"""The tables of the page: part of it -> the lines of its tables, from a file of results."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Final

from perf.suite.chapters import flood
from perf.suite.chapters import growth
from perf.suite.chapters import idle
from perf.suite.chapters import instructions
from perf.suite.chapters import limits
from perf.suite.chapters import syscalls
from perf.suite.chapters import table
from perf.suite.chapters import work
from perf.suite.chapters import workers
from perf.suite.goals import CPU
from perf.suite.goals import GATEWAY
from perf.suite.goals import flood_cpu_us
from perf.suite.goals import named
from perf.suite.plots import modes_of
from perf.suite.plots import pss_mib
from perf.suite.records import Results
from perf.suite.spread import Figure
from perf.suite.spread import digits
from perf.suite.spread import paired
from perf.suite.spread import spread_of
from perf.suite.trial import GIB
from perf.suite.trial import LOGINS
from perf.suite.trial import ROUND_TRIPS
from perf.suite.trial import Mode

Cell = Callable[[str, str], str]
"""Of a target and a mode."""
# What a floor is made of: target, mode and figure of the chapter `limits`.
FLOOR_FIGURES: Final = (
    ("gateway", "handshake", "full_us"),
    ("loopback", "accept", "server_cpu_us_per_unit"),
    ("loopback", "accept", "client_cpu_us_per_unit"),
    ("Debian", "handshake", "seal_s_per_gib"),
    ("Debian", "handshake", "open_s_per_gib"),
    ("loopback", "stream", "server_cpu_us_per_unit"),
    ("loopback", "stream", "client_cpu_us_per_unit"),
)


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table, and the empty line behind it."""
    yield f"| {' | '.join(header)} |"
    yield "|" + " --- |" * len(header)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def by_target(results: Results, chapter: str, titles: Mapping[str, str], cell: Cell, first: str = "") -> Iterator[str]:
    """A row for each target, a column for each mode."""
    modes = [mode for mode in titles if mode in results.modes(chapter)]
    targets = [target for target in results.targets(chapter) if any(results.of(chapter, m, target) for m in modes)]
    if modes and targets:
        rows = ([target, *(cell(target, mode) for mode in modes)] for target in targets)
        yield from grid([first, *(titles[mode] for mode in modes)], rows)


def spreads(results: Results, chapter: str, figure: Figure) -> Cell:
    return lambda target, mode: str(spread_of(results.of(chapter, mode, target), figure) or "")


def ratios(results: Results, chapter: str, figure: Figure) -> Cell:
    """Of the gateway to the target."""

    def cell(target: str, mode: str) -> str:
        if target == GATEWAY:
            return ""
        ours = results.of(chapter, mode, GATEWAY)
        return str(paired(ours, results.of(chapter, mode, target), figure) or "")

    return cell


def percentiles(results: Results, chapter: str, name: str) -> Cell:
    def cell(target: str, mode: str) -> str:
        records = [r for r in results.of(chapter, mode, target) if f"{name}.p50" in r.figures]
        found = [spread_of(records, named(f"{name}.{rank}")) for rank in ("p50", "p95", "p99")]
        return " / ".join(digits(spread.median) for spread in found if spread is not None)

    return cell


def work_tables(modes: Sequence[Mode], latency: str) -> Callable[[Results], Iterator[str]]:
    titles = {mode.name: mode.title for mode in modes}
    unit = modes[0].unit

    def tables(results: Results) -> Iterator[str]:
        for heading, cell in (
            (f"CPU s per {unit.name}", spreads(results, work.NAME, CPU)),
            ("CPU, the gateway's to that of", ratios(results, work.NAME, CPU)),
            (unit.rate, spreads(results, work.NAME, named("rate"))),
            ("p50 / p95 / p99 ms", percentiles(results, work.NAME, latency)),
        ):
            yield from by_target(results, work.NAME, titles, cell, heading)

    return tables


def idle_tables(results: Results) -> Iterator[str]:
    titles = {str(count): f"{count:,} held" for count in (*idle.HELD_QUICK, *idle.HELD)}
    cell = spreads(results, idle.NAME, named("kib_per_session"))
    yield from by_target(results, idle.NAME, titles, cell, "PSS KiB a session")


def flood_tables(results: Results) -> Iterator[str]:
    targets = results.targets(flood.NAME)
    if not targets:
        return
    titles = {flood.CALM: "calm", flood.FLOOD: "flood"}
    success = spreads(results, flood.NAME, lambda record: 100 * record.figures["ok"])
    yield from by_target(results, flood.NAME, titles, success, "legitimate logins ok, %")
    latency = percentiles(results, flood.NAME, "login_ms")
    yield from by_target(results, flood.NAME, titles, latency, "p50 / p95 / p99 ms")
    header = ["flood", "held at most", "closed by the proxy", "PSS MiB in the end", "CPU µs a connection"]
    yield from grid(header, ([target, *flood_cells(results, target)] for target in targets))


def flood_cells(results: Results, target: str) -> Iterator[str]:
    records = results.of(flood.NAME, flood.FLOOD, target)
    yield str(spread_of(records, named("flood_peak")) or "")
    yield str(spread_of(records, named("flood_closed_by_peer")) or "")
    yield str(spread_of(records, pss_mib) or "")
    yield str(spread_of(flood_cpu_us(results, target), named("us")) or "")


def growth_tables(results: Results) -> Iterator[str]:
    steps = [mode for mode in results.modes(growth.NAME) if mode.isdecimal()]
    if not steps:
        return
    cpu = spreads(results, growth.NAME, CPU)
    rows = ([f"{int(s):,}", cpu(growth.FULL, s), cpu(growth.EMPTY, s), growth_ratio(results, s)] for s in steps)
    header = ["idle sessions held", "CPU s per 1000 logins", "an empty gateway's", "ratio", "PSS MiB"]
    yield from grid(header, ([*row, growth_memory(results, s)] for row, s in zip(rows, steps, strict=True)))


def growth_ratio(results: Results, step: str) -> str:
    full, empty = (results.of(growth.NAME, step, target) for target in (growth.FULL, growth.EMPTY))
    return str(paired(full, empty, CPU) or "")


def growth_memory(results: Results, step: str) -> str:
    records = results.of(growth.NAME, step, growth.FULL)
    return str(spread_of(records, pss_mib) or "")


def workers_tables(results: Results) -> Iterator[str]:
    titles = {mode.name: f"{mode.title}: CPU s per {mode.unit.name}" for mode in workers.MODES}
    yield from by_target(results, workers.NAME, titles, spreads(results, workers.NAME, CPU), "workers")
    titles = {mode.name: f"{mode.title}: {mode.unit.rate}" for mode in workers.MODES}
    yield from by_target(results, workers.NAME, titles, spreads(results, workers.NAME, named("rate")), "workers")


def syscalls_tables(results: Results) -> Iterator[str]:
    titles = {mode.name: mode.title for mode in syscalls.MODES}
    cell = spreads(results, syscalls.NAME, named("total"))
    yield from by_target(results, syscalls.NAME, titles, cell, "system calls")
    frequent = {"login-one": "the most frequent in a login"}
    yield from by_target(results, syscalls.NAME, frequent, lambda target, mode: most_frequent(results, target, mode))


def most_frequent(results: Results, target: str, mode: str) -> str:
    records = results.of(syscalls.NAME, mode, target)
    counts = {name: count for name, count in records[0].figures.items() if name != syscalls.TOTAL} if records else {}
    return ", ".join(f"{name} {counts[name]:.1f}" for name in sorted(counts, key=lambda n: -counts[n])[:8])


def instructions_tables(results: Results) -> Iterator[str]:
    titles = {mode: f"{mode}, per {unit.name}" for mode, unit in instructions.UNITS.items()}
    cell = spreads(results, instructions.NAME, lambda record: record.figures["instructions"] / 1e6)
    yield from by_target(results, instructions.NAME, titles, cell, "million instructions")


def limits_tables(results: Results) -> Iterator[str]:
    rows = [
        [f"{target}: {mode}", name, str(spread_of(results.of(limits.NAME, mode, target), named(name)))]
        for mode in results.modes(limits.NAME)
        for target in results.targets(limits.NAME, mode)
        for name in results.of(limits.NAME, mode, target)[0].figures
    ]
    if rows:
        yield from grid(["what", "figure", "is"], rows)
        yield from floors(results)


def floors(results: Results) -> Iterator[str]:
    """What no proxy with this OpenSSL on this machine can be below, and what the gateway takes."""
    one = {
        (target, mode, name): spread.median
        for target, mode, name in FLOOR_FIGURES
        if (spread := spread_of(results.of(limits.NAME, mode, target), named(name)))
    }
    if len(one) < len(FLOOR_FIGURES):
        return
    handshake, accept, connect, seal, unseal, receive, send = (one[key] for key in FLOOR_FIGURES)
    login_s = (handshake + accept + connect) / 1e6 * 1000
    per_gib = 1024 / 1e6 * (receive + send)
    for mode, floor in (("login", login_s), ("down-8", per_gib + seal), ("up-8", per_gib + unseal)):
        measured = spread_of(results.of(work.NAME, mode, GATEWAY), CPU)
        is_what = f", the gateway {measured}: {measured.median / floor:.2f} times the floor" if measured else ""
        yield f"- {mode}: floor {digits(floor)} CPU s{is_what}"
    yield ""


def table_tables(results: Results) -> Iterator[str]:
    rows = [
        [mode, target, str(spread_of(results.of(table.NAME, mode, target), named("ns")))]
        for mode in results.modes(table.NAME)
        for target in results.targets(table.NAME, mode)
    ]
    if rows:
        yield from grid(["operation", "table", "ns"], rows)


def noise_tables(results: Results) -> Iterator[str]:
    rows = []
    for mode in results.modes(work.NAME):
        again = paired(results.of(work.NAME, mode, work.AGAIN), results.of(work.NAME, mode, GATEWAY), CPU)
        records = results.of(work.NAME, mode)
        stolen, others = (spread_of(records, named(name)) for name in ("stolen", "others"))
        if again and stolen and others:
            rows.append([mode, str(again), f"{stolen.median:.1%}, at most {stolen.high:.1%}", str(others)])
    if rows:
        header = ["mode", "the gateway's CPU to its own, measured again", "stolen by the host", "cores used by others"]
        yield from grid(header, rows)


TABLES: Final[Mapping[str, Callable[[Results], Iterator[str]]]] = {
    "logins": work_tables(modes_of(LOGINS), "login_ms"),
    "bulk": work_tables(modes_of(GIB), "op_ms"),
    "round-trips": work_tables(modes_of(ROUND_TRIPS), "op_ms"),
    "idle": idle_tables,
    "flood": flood_tables,
    "growth": growth_tables,
    "workers": workers_tables,
    "syscalls": syscalls_tables,
    "instructions": instructions_tables,
    "limits": limits_tables,
    "table": table_tables,
    "noise": noise_tables,
}
