"""How many system calls does a login take, and a GiB? A figure that does not depend on how fast the machine is.

`strace -c -f` is attached to all processes of a proxy while the load runs. Under it everything is slow, so the load is
small; a login made alone is the dearest, since nothing is done for several at once.
"""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from perf.suite import load
from perf.suite.records import Record
from perf.suite.servers import MailServer
from perf.suite.trial import GIB
from perf.suite.trial import Mode
from perf.suite.trial import Unit
from perf.suite.world import World
from tests.support.peers.base import find_program
from tests.support.processes import tree

NAME: Final = "syscalls"
SERVERS: Final = ("gateway", "nginx-64k", "dovecot", "haproxy", "stunnel")
ONE_LOGIN: Final = Unit(1, "login", "logins/s")
MODES: Final = (
    Mode("login-one", "a login, one client", "login -c 1 -n 100 -T 60", "login -c 1 -n 5 -T 60", ONE_LOGIN),
    Mode("login", "a login, 64 clients", "login -c 64 -n 640 -T 60", "login -c 4 -n 16 -T 60", ONE_LOGIN),
    Mode("down-8", "a GiB down, 8 sessions", "bulk -c 8 -k 8192 -n 32 -T 60", "bulk -c 2 -k 256 -n 4 -T 60", GIB),
    Mode("up-8", "a GiB up, 8 sessions", "bulk -c 8 -k 8192 -n 32 -U -T 60", "bulk -c 2 -k 256 -n 4 -U -T 60", GIB),
)
# % time, seconds, usecs/call, calls, errors if any, name
ROW: Final = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(?P<calls>\d+)(?:\s+\d+)?\s+(?P<name>\w+)$", re.MULTILINE)
TOTAL: Final = "total"


class Strace:
    """Counts the system calls of a running server, from `start` to `stop`."""

    def __init__(self, output: Path) -> None:
        self.counts: dict[str, int] = {}
        self._output = output
        self._process: subprocess.Popen[str] | None = None

    def start(self, pid: int) -> None:
        """Returns when every process of the tree is being traced; threads come with their process."""
        processes = [str(process.pid) for process in tree(pid)]
        attach = [word for one in processes for word in ("-p", one)]
        command = [find_program("strace") or "strace", "-c", "-f", "-o", str(self._output), *attach]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        waiting = set(processes)
        for line in self._process.stderr:
            waiting -= {pid for pid in waiting if f"Process {pid} attached" in line}
            if not waiting:
                return
        raise load.LoadFailed("strace could not attach")

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=30)
        self.counts = parse(self._output.read_text())


def measure(world: World) -> Iterator[Record]:
    if find_program("strace") is None:
        world.absent["strace"] = "system calls are not counted: strace is not installed"
        return
    with world.running(*SERVERS) as servers:
        for mode in MODES:
            for server in servers:
                yield count(world, mode, server)


def count(world: World, mode: Mode, server: MailServer) -> Record:
    arguments = mode.quick if world.effort.quick else mode.load
    words = load.command(server.ports[mode.service], arguments, server.login_options)
    with world.alone(), tracing(world) as strace:
        loaded = load.drive(words, lambda: strace.start(server.pid), strace.stop)
    units = mode.unit.of(loaded.figures)
    figures = {name: calls / units for name, calls in strace.counts.items()}
    return Record(NAME, mode.name, server.name, 0, figures, tuple([loaded.complaint] if loaded.complaint else []))


@contextmanager
def tracing(world: World) -> Iterator[Strace]:
    output = world.directory / "strace"
    yield Strace(output)
    output.unlink(missing_ok=True)


def parse(table: str) -> dict[str, int]:
    """System call -> how often; "total" too."""
    counts = {row["name"]: int(row["calls"]) for row in ROW.finditer(table)}
    if TOTAL not in counts:
        raise ValueError(f"strace printed no table: {table}")
    return counts
