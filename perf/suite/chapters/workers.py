"""What does the same work cost by the number of workers?"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from perf.suite.chapters.work import DOWN
from perf.suite.chapters.work import LOGIN
from perf.suite.chapters.work import PING
from perf.suite.records import Record
from perf.suite.trial import Entry
from perf.suite.trial import in_turns
from perf.suite.world import World
from perf.suite.world import gateway

NAME: Final = "workers"
COUNTS: Final = (1, 2, 4, 8)
MODES: Final = (LOGIN, DOWN, PING)


def measure(world: World) -> Iterator[Record]:
    """The target of a record is the number of workers."""
    if not world.available("gateway"):
        return
    counts = COUNTS[:2] if world.effort.quick else COUNTS
    with ExitStack() as stack:
        servers = [world.started(stack, gateway(world, str(count), workers=count)) for count in counts]
        yield from in_turns(world, NAME, MODES, [Entry(server.name, server) for server in servers])
