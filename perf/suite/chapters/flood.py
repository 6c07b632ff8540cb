"""Do legitimate logins succeed, and how fast, while silent connections flood the proxy?

50 logins a second, once alone and once with 2,500 connections a second that never say a word; 15,000 of them are held
at a time, then the oldest is closed. The gateway has its cap on sessions not logged in at 4,000, the peers have none.
"""

import threading
import time
from collections.abc import Iterator
from typing import Final

from perf.suite import load
from perf.suite import usage
from perf.suite.records import Record
from perf.suite.servers import MailServer
from perf.suite.trial import rotated
from perf.suite.world import World

NAME: Final = "flood"
SERVERS: Final = ("gateway-capped", "nginx", "nginx-64k", "dovecot", "haproxy", "stunnel")
CALM: Final = "calm"
FLOOD: Final = "flood"
# name: the load, and how it is in a quick run
MODES: Final = {
    CALM: ("flood -L 50 -R 0 -d 8 -T 5", "flood -L 20 -R 0 -d 0.3 -T 5"),
    FLOOD: ("flood -L 50 -R 2500 -F tcp -d 10 -M 15000 -T 5 -s 16", "flood -L 20 -R 300 -F tcp -d 0.3 -M 50 -T 5 -s 4"),
}
MOST_ROUNDS: Final = 3
SAMPLE_EVERY_S: Final = 1.0
FULL_AFTER: Final = 0.7  # of the run: all 15,000 are there, and the oldest are being replaced


class MemoryWatch:
    """Reads a proxy's memory once a second, within a `with` block. `readings` are (seconds, KiB)."""

    def __init__(self, pid: int) -> None:
        self.readings: list[tuple[float, int]] = []
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        start = time.monotonic()
        while True:
            self.readings.append((time.monotonic() - start, usage.pss_kib(self._pid)))
            if self._over.wait(SAMPLE_EVERY_S):
                return

    def when_full(self) -> int:
        """The reading when the flood had reached its height."""
        last = self.readings[-1][0]
        return next(kib for at, kib in self.readings if at >= FULL_AFTER * last)


def measure(world: World) -> Iterator[Record]:
    with world.running(*SERVERS) as servers:
        for turn in range(min(world.effort.rounds, MOST_ROUNDS)):
            for server in rotated(servers, turn):
                for mode, loads in MODES.items():
                    yield flood(world, server, mode, loads[world.effort.quick], turn)


def flood(world: World, server: MailServer, mode: str, arguments: str, turn: int) -> Record:
    words = load.command(server.ports["imap"], arguments, server.login_options)
    with world.alone():
        before = usage.cpu_s_at_rest(server.pid)
        with MemoryWatch(server.pid) as memory:
            loaded = load.drive(words, lambda: None, lambda: None)
        spent = usage.cpu_s_at_rest(server.pid) - before
    figures = loaded.figures
    wrong = [] if figures["completed"] or figures["flood_started"] else [loaded.complaint or "nothing was done"]
    return Record(
        NAME,
        mode,
        server.name,
        turn,
        {
            **figures,
            "cpu_s": spent,
            "cores": spent / figures["seconds"],
            "ok": figures["completed"] / max(1, figures["started"]),
            "pss_kib": memory.readings[-1][1],
            "pss_growth_when_full": memory.readings[-1][1] / memory.when_full() - 1,
        },
        tuple(wrong),
    )
