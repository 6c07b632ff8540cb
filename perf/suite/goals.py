"""What is to be reached, and how near the gateway is.

A ratio is taken round by round, to the peer that is best in the median, so that what slows the machine down for a while
slows both. `against` names that peer.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from perf.suite.chapters import flood
from perf.suite.chapters import growth
from perf.suite.chapters import idle
from perf.suite.chapters import syscalls
from perf.suite.chapters import table
from perf.suite.chapters import work
from perf.suite.records import Record
from perf.suite.records import Results
from perf.suite.spread import Figure
from perf.suite.spread import Spread
from perf.suite.spread import paired
from perf.suite.spread import spread_of
from perf.suite.trial import GIB

GATEWAY: Final = "gateway"
CAPPED: Final = "gateway-capped"
LOGIN_PEERS: Final = ("nginx", "nginx-64k", "haproxy")
BULK_PEERS: Final = ("nginx-64k", "haproxy", "stunnel")
ALL_PEERS: Final = ("nginx", "nginx-64k", "dovecot", "haproxy", "stunnel")
FULL_STEP: Final = str(growth.STEPS[-1])
FLAT: Final = 0.02
MOST_SYSCALLS: Final = (40, 40, 90_000, 50_000)  # for each mode of the chapter


@dataclass(frozen=True, slots=True)
class Answer:
    """How near a goal is; without a value it was not measured."""

    value: Spread | None
    against: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """`what` is to be at most `limit`, which `bound` puts in words."""

    what: str
    bound: str
    limit: float
    answer: Callable[[Results], Answer]


def named(figure: str) -> Figure:
    return lambda record: record.figures[figure]


def best(results: Results, chapter: str, mode: str, peers: Sequence[str], figure: Figure) -> str | None:
    """The peer with the lowest median; None when none was measured."""
    medians = {peer: spread_of(results.of(chapter, mode, peer), figure) for peer in peers}
    known = {peer: spread.median for peer, spread in medians.items() if spread is not None}
    return min(known, key=lambda peer: known[peer], default=None)


def to_best(mode: str, peers: Sequence[str], figure: Figure) -> Callable[[Results], Answer]:
    def answer(results: Results) -> Answer:
        peer = best(results, work.NAME, mode, peers, figure)
        if peer is None:
            return Answer(None)
        ours, theirs = (results.of(work.NAME, mode, target) for target in (GATEWAY, peer))
        return Answer(paired(ours, theirs, figure), peer)

    return answer


def plain(chapter: str, mode: str, target: str, figure: Figure) -> Callable[[Results], Answer]:
    return lambda results: Answer(spread_of(results.of(chapter, mode, target), figure))


def with_idle_sessions(other: str, other_mode: str, against: str) -> Callable[[Results], Answer]:
    def answer(results: Results) -> Answer:
        full, base = results.of(growth.NAME, FULL_STEP, growth.FULL), results.of(growth.NAME, other_mode, other)
        return Answer(paired(full, base, named("cpu_per_unit")), against)

    return answer


def p99_in_flood(results: Results) -> Answer:
    calm, flooded = (results.of(flood.NAME, mode, CAPPED) for mode in (flood.CALM, flood.FLOOD))
    return Answer(paired(flooded, calm, named("login_ms.p99")))


def flood_cpu_us(results: Results, target: str) -> list[Record]:
    """Processor time for each silent connection: what the flood took beyond the legitimate logins alone."""
    calm = {record.round: record.figures["cores"] for record in results.of(flood.NAME, flood.CALM, target)}
    return [
        Record(record.chapter, record.mode, target, record.round, {"us": extra_us(record, calm[record.round])})
        for record in results.of(flood.NAME, flood.FLOOD, target)
        if record.round in calm
    ]


def extra_us(record: Record, calm_cores: float) -> float:
    figures = record.figures
    return (figures["cpu_s"] - calm_cores * figures["seconds"]) / figures["flood_started"] * 1e6


def flood_cpu_to_nginx(results: Results) -> Answer:
    ours, theirs = (flood_cpu_us(results, target) for target in (CAPPED, "nginx"))
    return Answer(paired(ours, theirs, named("us")), "nginx")


def login_goals() -> Iterator[Goal]:
    bound = "0.85 of the better of nginx and HAProxy"
    for mode, title in (("login", "IMAP"), ("login-pop3", "POP3"), ("login-smtp", "SMTP")):
        yield Goal(f"CPU per login, {title}", bound, 0.85, to_best(mode, LOGIN_PEERS, CPU))
    yield Goal("CPU per login, resumed", "0.90 of the better", 0.90, to_best("resumed", LOGIN_PEERS, CPU))
    p50 = to_best("login-one", ("haproxy",), named("login_ms.p50"))
    yield Goal("login p50, one client", "HAProxy's", 1.0, p50)


def relay_goals() -> Iterator[Goal]:
    for mode in work.MODES:
        if mode.unit is GIB:
            cpu = to_best(mode.name, BULK_PEERS, CPU)
            yield Goal(f"CPU per GiB {mode.title}", "0.90 of the best peer", 0.90, cpu)
    cpu = to_best("ping-64", ALL_PEERS, CPU)
    yield Goal("CPU per round trip, 64 sessions", "0.95 of the best peer", 0.95, cpu)


def idle_goals() -> Iterator[Goal]:
    memory = plain(idle.NAME, "5000", GATEWAY, named("kib_per_session"))
    yield Goal("PSS per idle session, 5,000 held", "24 KiB", 24.0, memory)
    before = with_idle_sessions(growth.FULL, "0", "itself, none held")
    yield Goal("CPU per login, 50,000 idle sessions held", "1.15 of the same gateway before", 1.15, before)
    beside = with_idle_sessions(growth.EMPTY, FULL_STEP, "its empty twin")
    yield Goal("the same", "1.15 of an empty one at the same time", 1.15, beside)


def flood_goals() -> Iterator[Goal]:
    failed = plain(flood.NAME, flood.FLOOD, CAPPED, lambda record: 1 - record.figures["ok"])
    yield Goal("flood: share of legitimate logins that failed", "none", 0.0, failed)
    yield Goal("flood: p99 of legitimate logins", "2 x calm", 2.0, p99_in_flood)
    memory = plain(flood.NAME, flood.FLOOD, CAPPED, named("pss_growth_when_full"))
    yield Goal("flood: growth of memory at its height", f"{FLAT:.0%}", FLAT, memory)
    yield Goal("flood: CPU per silent connection", "nginx's", 1.0, flood_cpu_to_nginx)


def table_goals() -> Iterator[Goal]:
    for size in table.SIZES:
        for what, case, limit in (("alone", table.ALONE, 60), ("two processes contending", table.CONTENDED, 250)):
            ns = plain(table.NAME, case, f"{size:,} slots", named("ns"))
            yield Goal(f"session table, {size:,} slots, an operation {what}", f"{limit} ns", limit, ns)


def syscall_goals() -> Iterator[Goal]:
    for mode, limit in zip(syscalls.MODES, MOST_SYSCALLS, strict=True):
        total = plain(syscalls.NAME, mode.name, GATEWAY, named(syscalls.TOTAL))
        yield Goal(f"system calls, {mode.title}", f"{limit:,}", limit, total)


CPU: Final = named("cpu_per_unit")
GOALS: Final = (
    *login_goals(),
    *relay_goals(),
    *idle_goals(),
    *flood_goals(),
    *table_goals(),
    *syscall_goals(),
)
