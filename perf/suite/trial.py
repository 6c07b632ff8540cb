"""One measurement: a mode of the load generator against one server, checked against what the mail server counted.

The figures of a record, beside the load generator's own: `cpu_s` of the proxy's processes, `cpu_per_unit` and `rate`
in the mode's unit, `backend_cpu_s`, `stolen` (share of the machine's time that the host took away) and `others`
(processors that neither proxy nor mail server nor load nor this suite used).
"""

import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Final
from typing import TypeVar

from perf.suite import load
from perf.suite import usage
from perf.suite.machine import Jiffies
from perf.suite.machine import jiffies
from perf.suite.records import Record
from perf.suite.servers import Direct
from perf.suite.servers import MailServer
from perf.suite.world import World

T = TypeVar("T")

SMTP_DOT_OCTETS: Final = 4  # the end of a message counts among the octets that the mail server took


@dataclass(frozen=True, slots=True)
class Unit:
    """What costs are given for: so many operations, or octets, with a name."""

    size: float
    name: str
    rate: str

    def of(self, figures: Mapping[str, float]) -> float:
        """How many of it a load has done."""
        return (figures["bytes"] if self is GIB else figures["completed"]) / self.size


LOGINS: Final = Unit(1e3, "1000 logins", "logins/s")
GIB: Final = Unit(float(1 << 30), "GiB", "MiB/s")
ROUND_TRIPS: Final = Unit(1e5, "100k round trips", "round trips/s")


@dataclass(frozen=True, slots=True)
class Mode:
    """`load`: the load generator's mode and options; `quick`: the same in a quick run, empty: not measured then."""

    name: str
    title: str
    load: str
    quick: str
    unit: Unit
    service: str = "imap"


@dataclass(frozen=True, slots=True)
class Entry:
    """A server to be measured in turn with others, as `label`; `modes`: in these only, if any are named."""

    label: str
    server: MailServer
    modes: frozenset[str] = field(default=frozenset())


@dataclass(slots=True)
class _Reading:
    """What had been used when the measured part began, or ended."""

    at_s: float
    proxy_s: float
    backend_s: float
    own_s: float
    machine: Jiffies


def in_turns(world: World, chapter: str, modes: Sequence[Mode], entries: Sequence[Entry]) -> Iterator[Record]:
    """Every mode against every server, round by round; who comes first changes from round to round."""
    chosen = [mode for mode in modes if mode.quick or not world.effort.quick]
    for turn in range(world.effort.rounds):
        for mode in chosen:
            for entry in rotated(entries, turn):
                if not entry.modes or mode.name in entry.modes:
                    yield run(world, chapter, mode, entry, turn)


def rotated(entries: Sequence[T], by: int) -> list[T]:
    start = by % len(entries) if entries else 0
    return [*entries[start:], *entries[:start]]


def run(world: World, chapter: str, mode: Mode, entry: Entry, turn: int) -> Record:
    server, arguments = entry.server, mode.quick if world.effort.quick else mode.load
    words = load.command(server.ports[mode.service], arguments, server.login_options)
    readings: list[_Reading] = []
    counts: list[dict[str, int]] = []
    prepared = load.gated(arguments) and words[1] == "login"

    def begin() -> None:
        if prepared:  # its first logins are not counted, not by the load either
            counts.append(world.backend.counts())
        readings.append(_read(world, server, at_rest=prepared))

    with world.alone():
        counts.append(world.backend.counts())
        loaded = load.drive(
            words, begin, lambda: readings.append(_read(world, server, at_rest=not load.gated(arguments)))
        )
        counts.append(world.backend.counts())
    figures = {**loaded.figures, **costs(mode.unit, loaded.figures, *readings)}
    wrong = faults(words, loaded, counts[-2], counts[-1], proxied=not isinstance(server, Direct))
    return Record(chapter, mode.name, entry.label, turn, figures, tuple(wrong))


def costs(unit: Unit, figures: Mapping[str, float], begin: _Reading, end: _Reading) -> dict[str, float]:
    proxy_s, backend_s = end.proxy_s - begin.proxy_s, end.backend_s - begin.backend_s
    total = max(1, end.machine.total - begin.machine.total)
    busy_s = (end.machine.busy - begin.machine.busy) / usage.TICKS_PER_S
    ours_s = proxy_s + backend_s + figures["load_cpu_s"] + end.own_s - begin.own_s
    units = unit.of(figures)
    return {
        "cpu_s": proxy_s,
        "backend_cpu_s": backend_s,
        "cpu_per_unit": proxy_s / units if units else 0.0,
        "rate": figures["mib_per_s"] if unit is GIB else figures["per_s"],
        "stolen": (end.machine.stolen - begin.machine.stolen) / total,
        "others": max(0.0, busy_s - ours_s) / (end.at_s - begin.at_s),
    }


def faults(
    words: Sequence[str], loaded: load.Loaded, before: Mapping[str, int], after: Mapping[str, int], *, proxied: bool
) -> list[str]:
    """Why the load's result is not to be believed; `proxied`: the mail server must have seen the same."""
    kind, options, figures = words[1], words[2:], loaded.figures
    found = [loaded.complaint] if loaded.complaint else []
    if figures["errors"] or not figures["completed"]:
        found.append(f"{figures['completed']:.0f} completed, {figures['errors']:.0f} errors")
    if not proxied:
        return found
    seen = {name: after[name] - before[name] for name in after}
    if seen["logins"] != figures["logins"]:
        found.append(f"the mail server saw {seen['logins']} logins, the load {figures['logins']:.0f}")
    if kind == "pingpong" and seen["noops"] != figures["completed"]:
        found.append(f"the mail server saw {seen['noops']} NOOPs, the load {figures['completed']:.0f}")
    if kind == "bulk":
        moved = seen["in" if "-U" in options else "out"]
        if not 0 <= moved - figures["bytes"] <= SMTP_DOT_OCTETS * figures["completed"]:
            found.append(f"the mail server moved {moved} octets, the load {figures['bytes']:.0f}")
    return found


def _read(world: World, server: MailServer, *, at_rest: bool) -> _Reading:
    proxy_s = usage.cpu_s_at_rest(server.pid) if at_rest else usage.cpu_s(server.pid)
    return _Reading(time.monotonic(), proxy_s, usage.cpu_s(world.backend.pid), time.process_time(), jiffies())
