"""How much memory does an idle session take?

Proportional set size of all the proxy's processes, as it grew from a proxy just started to one that holds the sessions.
The kernel's socket buffers are not in it; they are the same for all. Every session must still answer in the end.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from perf.suite import load
from perf.suite import usage
from perf.suite.records import Record
from perf.suite.servers import MailServer
from perf.suite.trial import rotated
from perf.suite.world import MAKE
from perf.suite.world import World

NAME: Final = "idle"
SERVERS: Final = ("gateway", "nginx", "nginx-64k", "dovecot", "haproxy", "stunnel", "direct")
HELD: Final = (1000, 5000)
HELD_QUICK: Final = (20,)
MOST_ROUNDS: Final = 3  # it hardly varies


def measure(world: World) -> Iterator[Record]:
    """The mode of a record is the number of sessions. Each is measured on a proxy started for it."""
    names = world.available(*SERVERS)
    counts = [count for count in (HELD_QUICK if world.effort.quick else HELD) if count <= world.effort.sessions]
    for turn in range(min(world.effort.rounds, MOST_ROUNDS)):
        for count in counts:
            for name in rotated(names, turn):
                with ExitStack() as stack, world.alone():
                    server = world.started(stack, MAKE[name](world))
                    yield hold(server, count, turn)


def hold(server: MailServer, count: int, turn: int) -> Record:
    usage.cpu_s_at_rest(server.pid)
    empty = usage.pss_kib(server.pid)
    with load.holding(server.ports["imap"], f"idle -m {count} -c 64 -T 30 {server.login_options}") as holder:
        usage.cpu_s_at_rest(server.pid)
        full, processes = usage.pss_kib(server.pid), usage.process_count(server.pid)
        ended = holder.end()
    figures = {
        "sessions": ended.figures["completed"],
        "empty_kib": empty,
        "pss_kib": full,
        "kib_per_session": (full - empty) / count,
        "processes": processes,
    }
    return Record(NAME, str(count), server.name, turn, figures, tuple(lost(ended, count)))


def lost(ended: load.Loaded, count: int) -> list[str]:
    """What went wrong with sessions that were held."""
    found = [ended.complaint] if ended.complaint else []
    if ended.figures["completed"] != count:
        found.append(f"{ended.figures['completed']:.0f} of {count} sessions were alive in the end")
    return found
