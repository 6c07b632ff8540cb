"""Does a login cost more, and how does memory grow, with up to 50,000 idle sessions held?

One gateway fills up step by step, a twin beside it stays empty; at each step logins are measured on both in turn, so
that a slow spell of the machine hits both. The sessions come from many addresses of 127.0.0.0/8 and go to several mail
servers, since a process here may have only so many descriptors; in the end each must still answer.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from typing import Final

from perf.suite import load
from perf.suite import usage
from perf.suite.chapters.idle import lost
from perf.suite.chapters.work import LOGIN
from perf.suite.records import Record
from perf.suite.servers import Backend
from perf.suite.servers import MailServer
from perf.suite.servers import use_all_descriptors
from perf.suite.trial import LOGINS
from perf.suite.trial import Entry
from perf.suite.trial import Mode
from perf.suite.trial import in_turns
from perf.suite.world import World
from perf.suite.world import gateway

NAME: Final = "growth"
FULL: Final = "gateway"
EMPTY: Final = "gateway, empty"
STEPS: Final = (0, 100, 1000, 5000, 10_000, 25_000, 50_000)
STEPS_QUICK: Final = (0, 30)
LOGIN_MODE: Final = Mode("login", LOGIN.title, "login -c 64 -n 1000", "login -c 4 -n 8", LOGINS)
SOURCES_PER_HOLDER: Final = 16
USABLE: Final = 0.75  # of a process's descriptors
PER_SESSION: Final = 2


@dataclass(frozen=True, slots=True)
class Crowd:
    """Sessions that are held through one gateway, `size` of them so far, spread over the `backends`."""

    gateway: MailServer
    backends: list[Backend]
    holders: list[tuple[load.Holder, int]]
    share: int
    """The most sessions of one load generator and of one mail server."""

    @property
    def size(self) -> int:
        return sum(count for _, count in self.holders)

    def grow(self, stack: ExitStack, size: int) -> None:
        while self.size < size:
            number = len(self.holders)
            backend = self.backends[self.size // self.share]
            count = min(size - self.size, self.share - self.size % self.share)
            user = f"vpn%{{500}}:user%d.{number}@{backend.host}"
            options = f"idle -m {count} -c 64 -T 60 -s {SOURCES_PER_HOLDER} -u {user}"
            holder = stack.enter_context(load.holding(self.gateway.ports["imap"], options))
            self.holders.append((holder, count))

    def end(self) -> list[str]:
        """What went wrong with any of them."""
        return [fault for holder, count in self.holders for fault in lost(holder.end(), count)]


def measure(world: World) -> Iterator[Record]:
    """The mode of a record is the number of sessions held."""
    if not world.available("gateway"):
        return
    steps = [step for step in (STEPS_QUICK if world.effort.quick else STEPS) if step <= world.effort.sessions]
    usable = int(use_all_descriptors() * USABLE)
    workers = max(world.effort.workers, ceil(steps[-1] * PER_SESSION / usable))
    with ExitStack() as stack:
        full, empty = (world.started(stack, gateway(world, name, workers=workers)) for name in (FULL, EMPTY))
        crowd = Crowd(full, backends(world, stack, ceil(steps[-1] / usable)), [], usable)
        base = usage.pss_kib(full.pid)
        for step in steps:
            with world.alone():
                crowd.grow(stack, step)
            memory = {"sessions": step, "workers": workers, "pss_kib": usage.pss_kib(full.pid), "empty_kib": base}
            for record in in_turns(world, NAME, [LOGIN_MODE], [Entry(FULL, full), Entry(EMPTY, empty)]):
                extra = memory if record.target == FULL else {"sessions": 0, "workers": workers}
                figures = {**record.figures, **extra}
                yield Record(NAME, str(step), record.target, record.round, figures, record.wrong)
        yield Record(NAME, "end", FULL, 0, {"sessions": crowd.size}, tuple(crowd.end()))


def backends(world: World, stack: ExitStack, count: int) -> list[Backend]:
    """More mail servers, on the ports of the first at addresses of their own."""
    made = [Backend(host=f"127.0.0.{2 + number}", like=world.backend) for number in range(count)]
    for backend in made:
        world.started(stack, backend)
    return made
