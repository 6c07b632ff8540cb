"""How many instructions does a login take, and a GiB, and a round trip? Counted, so the same on every run and machine.

The proxy runs on the simulated processor of callgrind, with one worker, and is ended in order so that it prints its
count: once after a little of every load, once more for each mode with more of that one. The difference is what the more
cost; start and end cancel out. Kernel code is not counted, and the simulated processor lacks the newest vector
instructions, so that ciphers take more than in reality, with all proxies alike.
"""

import os
import re
import signal
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from perf.suite import load
from perf.suite.records import Record
from perf.suite.servers import Proxy
from perf.suite.trial import GIB
from perf.suite.trial import ROUND_TRIPS
from perf.suite.trial import Unit
from perf.suite.world import MAKE
from perf.suite.world import World
from tests.support.peers.base import find_program
from tests.support.processes import tree
from tests.support.waiting import wait_until

NAME: Final = "instructions"
SERVERS: Final = ("gateway", "nginx-64k", "haproxy")
ANYBODY_WRITES: Final = 0o1777
OUTPUT: Final = "callgrind."
TOTALS: Final = re.compile(r"^totals: (\d+)", re.MULTILINE)
START_TIMEOUT_S: Final = 120.0  # callgrind slows it down fifty times
END_TIMEOUT_S: Final = 60.0
LOADS: Final = {
    "login-one": "login -c 1 -n {} -T 60",
    "down-8": "bulk -c 8 -k 512 -n {} -T 60",
    "up-8": "bulk -c 8 -k 512 -n {} -U -T 60",
    "ping-64": "pingpong -c 64 -n {} -T 60",
}
LITTLE: Final = {"login-one": 10, "down-8": 16, "up-8": 16, "ping-64": 200}
MORE: Final = {"login-one": 60, "down-8": 144, "up-8": 144, "ping-64": 4200}
UNITS: Final = {"login-one": Unit(1, "login", "logins/s"), "down-8": GIB, "up-8": GIB, "ping-64": ROUND_TRIPS}


def measure(world: World) -> Iterator[Record]:
    if world.effort.quick:
        return
    if find_program("valgrind") is None:
        world.absent["valgrind"] = "instructions are not counted: valgrind is not installed"
        return
    for name in world.available(*SERVERS):
        with world.alone():
            base, done_before = counted(world, name, LITTLE)
            for mode in LOADS:
                total, done = counted(world, name, {**LITTLE, mode: MORE[mode]})
                units = UNITS[mode].of(done[mode]) - UNITS[mode].of(done_before[mode])
                yield Record(NAME, mode, name, 0, {"instructions": (total - base) / units})


def counted(world: World, name: str, sizes: Mapping[str, int]) -> tuple[int, dict[str, Mapping[str, float]]]:
    """The instructions of the whole life of a proxy, and the figures of each load."""
    one_worker = World(world.directory, world.certificate, world.backend, replace(world.effort, workers=1))
    server = MAKE[name](one_worker)
    assert isinstance(server, Proxy)
    server.start_timeout_s = START_TIMEOUT_S
    directory = world.directory / f"{len(list(world.directory.iterdir()))}"
    directory.mkdir()
    directory.chmod(ANYBODY_WRITES)  # the workers of nginx write their counts as another user
    server.tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/{OUTPUT}%p"]
    done: dict[str, Mapping[str, float]] = {}
    with server.start(directory):
        for mode, arguments in LOADS.items():
            words = load.command(server.ports["imap"], arguments.format(sizes[mode]), server.login_options)
            done[mode] = load.drive(words, lambda: None, lambda: None).figures
        end(server)
    return sum(total_of(path) for path in directory.glob(f"{OUTPUT}*")), done


def end(server: Proxy) -> None:
    processes = tree(server.pid)
    os.kill(server.pid, signal.SIGTERM)
    wait_until(lambda: not any(process.is_alive() for process in processes), END_TIMEOUT_S, "the end of the proxy")


def total_of(path: Path) -> int:
    found = TOTALS.search(path.read_text())
    return int(found[1]) if found else 0
