"""Accounting under kill -9, of workers and of the accountant, on a bad line and on a full disk: nothing is lost.

Each scenario runs in an interpreter of its own, forks what the gateway forks, and asks the history checker.
"""

import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import gevent
import pytest

from gateway.accountant.assemble import make_groups
from gateway.accountant.inheritance import Inheritance
from gateway.accountant.main import Accountant
from gateway.accountant.main import run
from gateway.accounting.base import AccountedSession
from gateway.accounting.base import SessionFacts
from gateway.accounting.causes import cause_of
from gateway.accounting.pace import Timing
from gateway.accounting.records import Kind
from gateway.accounting.records import Record
from gateway.accounting.segments import group_directory
from gateway.accounting.segments import writer_name
from gateway.accounting.setup import make_spool
from gateway.accounting.status import read_status
from gateway.accounting.worker import WorkerAccounting
from gateway.config.model import Config
from gateway.config.model.words import AccountingMode
from gateway.errors import Refused
from gateway.log import Log
from gateway.outcome import EndReason
from tests.support.accounting_config import SECRET
from tests.support.accounting_config import configuration
from tests.support.forks import fork_and_run
from tests.support.fresh import run_fresh
from tests.support.history import Event
from tests.support.history import History
from tests.support.history import faults_of
from tests.support.history import read_history
from tests.support.journals import records
from tests.support.lossy_radius import Faults
from tests.support.lossy_radius import serve
from tests.support.waiting import wait_until

FAST: Final = Timing(first_s=0.1, max_s=0.3, quick_attempts=4, forever_s=0.5)
REASONS: Final = (EndReason.CLIENT_CLOSED, EndReason.CLIENT_LOST, EndReason.IDLE_TIMEOUT, EndReason.UPSTREAM_CLOSED)
NO_FAULTS: Final = Faults()
BAD_LINE: Final = Faults(lost=0.15, unanswered=0.15, repeated=0.3, delayed=0.3)  # 30 % of the answers never come


class World:
    """A spool, a history, and the processes that have to do with them."""

    def __init__(
        self,
        directory: Path,
        servers: int = 1,
        faults: Faults = NO_FAULTS,
        *,
        state: Path | None = None,
        **more: object,
    ) -> None:
        """state: another place for the spool than below `directory`."""
        self.history = directory / "history.jsonl"
        self.sockets = [_udp_socket() for _ in range(servers)]
        ports = [bound.getsockname()[1] for bound in self.sockets]
        self.config = configuration(state or directory / "state", ports, **more)  # type: ignore[arg-type]
        spool = make_spool(self.config)
        assert spool is not None
        self.spool = spool
        self.log = Log(descriptor=os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        self.life_line = os.pipe()
        self.faults = faults
        self.chance = random.Random(1812)  # noqa: S311
        self.ours = History(self.history)

    def fork(self, function: Callable[..., None], *arguments: object) -> int:
        """Only this process keeps the life line's end."""

        def live() -> None:
            os.close(self.life_line[1])
            function(*arguments)

        return fork_and_run(live)

    def start_server(self, number: int = 0) -> int:
        seed = self.chance.randrange(1 << 30)
        return self.fork(serve, self.sockets[number], SECRET.encode(), self.history, self.faults, seed)

    def start_worker(self, number: int, rate: float) -> int:
        return self.fork(work, self.config, number, self.history, self.chance.randrange(1 << 30), rate, self.log)

    def start_accountant(self, node: str, *, as_node: bool) -> int:
        return self.fork(keep_accounts, self.inheritance(node, as_node=as_node))

    def inheritance(self, node: str, *, as_node: bool) -> Inheritance:
        return Inheritance(self.config, self.spool, node, as_node, self.log, self.life_line[0])

    def journaled(self) -> list[Record]:
        """All records in the spool."""
        directories = sorted(group_directory(self.spool, "RAD").iterdir())
        return [one for directory in directories for one in records(directory)]

    def note_spool(self) -> None:
        for one in self.journaled():
            if one.kind in (Kind.START, Kind.STOP):
                end = [one.cause, one.usage.octets_in, one.usage.octets_out] if one.kind is Kind.STOP else []
                self.ours.say(Event.SPOOLED, one.session_id, status=one.kind.name.title(), end=end)

    def check(self) -> None:
        faults = faults_of(read_history(self.history))
        assert not faults, f"{len(faults)} faults: {faults[:10]}"


def _udp_socket() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    bound.bind(("127.0.0.1", 0))
    return bound


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it had ended before"


# ---- what the processes do ----


def work(config: Config, number: int, history: Path, seed: int, rate: float, log: Log) -> None:
    """A worker, until it is told to end: sessions begin, report and end. rate: events a second, 0 as many as can be."""
    over = gevent.event.Event()
    gevent.signal_handler(signal.SIGTERM, over.set)
    accounting = WorkerAccounting(config, number, log)
    accounting.start()
    imap, told, chance = accounting.of("imap4s"), History(history), random.Random(seed)  # noqa: S311
    running: dict[str, tuple[AccountedSession, list[int]]] = {}
    for count in itertools.count():
        if chance.random() < 0.5 or not running:
            name = f"{os.getpid():x}-{seed:x}-{count:x}"
            told.say(Event.LOGIN, name)
            session = imap.begin(SessionFacts(name, f"user{count % 7}", "imap4s", "outside", "192.0.2.1", (b"OU=A;",)))
            told.say(Event.STARTED, name)
            running[name] = (session, counts := [0, 0])
            session.relaying(lambda counts=counts: (counts[0], counts[1]))
        else:
            _end(told, running, chance)
        if over.wait(chance.expovariate(rate) if rate else 0):
            break
    while running:
        _end(told, running, chance)
    accounting.close()


def _end(told: History, running: dict[str, tuple[AccountedSession, list[int]]], chance: random.Random) -> None:
    name = chance.choice(list(running))
    session, counts = running.pop(name)
    counts[:] = chance.randrange(1 << 32), chance.randrange(1 << 32)
    reason = chance.choice(REASONS)
    session.end(reason, *counts)
    told.say(Event.ENDED, name, end=[int(cause_of(reason)), *counts])


def keep_accounts(inheritance: Inheritance) -> None:
    """An accountant that is quicker to try again."""
    over = gevent.event.Event()
    gevent.signal_handler(signal.SIGTERM, over.set)
    accountant = Accountant(make_groups(inheritance, FAST), inheritance.spool)
    accountant.start(as_node=inheritance.as_node)
    accountant.serve(over.is_set)
    accountant.finish(2.0)
    accountant.close()


def live_accountant(inheritance: Inheritance) -> None:
    """The real one."""
    read_end, write_end = os.pipe()
    assert run(inheritance, write_end) == 0
    assert os.read(read_end, 1) == b"R"


# ---- scenarios ----


def workers_are_killed_while_they_write(path: str, rounds: str) -> None:
    world = World(Path(path))
    for _ in range(int(rounds)):
        workers = [world.start_worker(number, rate=0) for number in range(4)]
        time.sleep(world.chance.uniform(0.0, 0.03))
        for pid in workers:
            kill(pid)
    journaled = {(one.kind, one.session_id) for one in world.journaled()}
    history = read_history(world.history)
    started = {line.session for line in history if line.event is Event.STARTED}
    ended = {line.session for line in history if line.event is Event.ENDED}
    assert len(started) > 500
    assert {(Kind.START, session) for session in started} <= journaled
    assert {(Kind.STOP, session) for session in ended} <= journaled
    _end_the_dead(world)
    world.check()


def _end_the_dead(world: World) -> None:
    """An accountant whose server is silent: all stays in the spool."""
    accountant = Accountant(make_groups(world.inheritance(writer_name("node"), as_node=False), FAST), world.spool)
    accountant.start(as_node=False)
    deadline = time.monotonic() + 2
    accountant.serve(lambda: time.monotonic() > deadline)
    accountant.close()
    world.note_spool()


def everybody_is_killed_on_a_bad_line(path: str, seconds: str, mode: str) -> None:
    simultaneous = AccountingMode(mode) is AccountingMode.SIMULTANEOUS
    world = World(Path(path), 2 if simultaneous else 1, BAD_LINE, mode=AccountingMode(mode))
    servers = [world.start_server(number) for number in range(len(world.sockets))]
    node = writer_name("node")
    workers = {number: world.start_worker(number, rate=50) for number in range(2)}
    accountant = world.start_accountant(node, as_node=True)
    until = time.monotonic() + float(seconds)
    while time.monotonic() < until:
        time.sleep(world.chance.uniform(0.1, 0.5))
        kill(accountant)
        accountant = world.start_accountant(writer_name("node"), as_node=False)
        if world.chance.random() < 0.4:
            number = world.chance.choice(list(workers))
            kill(workers[number])
            workers[number] = world.start_worker(number, rate=50)
    for pid in workers.values():
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    _wait_until_all_is_told(world)
    os.kill(accountant, signal.SIGTERM)
    assert os.waitpid(accountant, 0)[1] == 0
    for pid in servers:
        kill(pid)
    status = read_status(world.spool)
    assert status is not None
    world.ours.say(Event.RUNNING, view="status", count=sum(status.running.values()))
    world.note_spool()
    world.check()
    assert len({line.session for line in read_history(world.history) if line.event is Event.STARTED}) > 50


def _wait_until_all_is_told(world: World) -> None:
    """The directories of all workers are gone: whatever was in them is acknowledged by every server."""
    group = group_directory(world.spool, "RAD")
    wait_until(lambda: not list(group.glob("*-worker-*")), 35.0, "the last acknowledgement")


def disk_is_full(path: str, small: str) -> None:
    """Something else fills up the file system `small`."""
    world = World(Path(path), state=Path(small) / "state")
    ballast = Path(small) / "ballast"
    accounting = WorkerAccounting(world.config, 0, world.log)
    accounting.start()
    imap = accounting.of("imap4s")
    gevent.sleep(0.3)  # until the spares are there
    _fill(ballast)
    running = _begin_until_refused(world, imap.begin)
    assert len(running) > 2000
    for name in itertools.islice(list(running), 1000):
        running.pop(name).end(EndReason.CLIENT_CLOSED, 1, 2)
        world.ours.say(Event.ENDED, name, end=[1, 1, 2])
    ballast.unlink()
    world.ours.say(Event.LOGIN, "probe")
    deadline = time.monotonic() + 10
    while not _begins(imap.begin) and time.monotonic() < deadline:
        gevent.sleep(0.05)
    for name, session in running.items():
        session.end(EndReason.CLIENT_CLOSED, 1, 2)
        world.ours.say(Event.ENDED, name, end=[1, 1, 2])
    accounting.close()
    assert time.monotonic() < deadline, "logins were refused for ever"
    world.note_spool()
    world.check()
    assert (Path(path) / "log").read_text().count("event=accounting_full") == 1


def worker_is_killed_on_a_full_disk(path: str, small: str) -> None:
    """The ends that the accountant writes for it are in the room that the worker kept."""
    world = World(Path(path), state=Path(small) / "state")
    ready, done = os.pipe()

    def serve_until_full() -> None:
        accounting = WorkerAccounting(world.config, 0, world.log)
        accounting.start()
        gevent.sleep(0.3)
        _fill(Path(small) / "ballast")
        _begin_until_refused(world, accounting.of("imap4s").begin)
        os.write(done, b"R")
        signal.pause()

    worker = world.fork(serve_until_full)
    os.close(done)
    assert os.read(ready, 1) == b"R"
    kill(worker)
    with pytest.raises(OSError, match="No space left"):
        (Path(small) / "more").write_bytes(bytes(8192))
    _end_the_dead(world)
    world.check()
    assert len({line.session for line in read_history(world.history) if line.event is Event.STARTED}) > 2000


def _fill(ballast: Path) -> None:
    """All the space there is."""
    with ballast.open("wb", buffering=0) as file:
        for octets in (1 << 16, 1 << 12):
            try:
                while file.write(bytes(octets)) == octets:
                    pass
            except OSError:
                continue


def _begin_until_refused(
    world: World, begin: Callable[[SessionFacts], AccountedSession]
) -> dict[str, AccountedSession]:
    running: dict[str, AccountedSession] = {}
    while True:
        name = f"s{len(running)}"
        try:
            running[name] = begin(SessionFacts(name, "alice", "imap4s", "outside", "192.0.2.1"))
        except Refused:
            return running
        world.ours.say(Event.LOGIN, name)
        world.ours.say(Event.STARTED, name)


def _begins(begin: Callable[[SessionFacts], AccountedSession]) -> bool:
    try:
        begin(SessionFacts("probe", "alice", "imap4s", "outside", "192.0.2.1")).end(EndReason.CLIENT_CLOSED, 0, 0)
    except Refused:
        return False
    return True


def accountant_lives_and_ends(path: str) -> None:
    """The real one: it is alone with the spool, says Accounting-On and -Off, and leaves when the master is gone."""
    world = World(Path(path))
    server = world.start_server()
    first = world.fork(live_accountant, world.inheritance(writer_name("node"), as_node=True))
    worker = world.start_worker(0, rate=50)
    second = world.fork(live_accountant, world.inheritance(writer_name("node"), as_node=False))
    time.sleep(1.0)
    os.kill(worker, signal.SIGTERM)
    os.waitpid(worker, 0)
    os.kill(first, signal.SIGQUIT)  # hands over to the second, which waits for the lock
    assert os.waitpid(first, 0)[1] == 0
    _wait_until_all_is_told(world)
    os.close(world.life_line[1])
    assert os.waitpid(second, 0)[1] == 0
    kill(server)
    world.note_spool()
    world.check()


@contextmanager
def small_file_system(directory: Path, octets: int) -> Iterator[Path]:
    """Skips where the kernel lets us mount none."""
    directory.mkdir()
    options = ["-o", f"size={octets},mode=0700"]
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mount: {mounted.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


# ---- tests ----


def test_hundreds_of_workers_killed_while_they_write_lose_no_record(tmp_path: Path) -> None:
    run_fresh(workers_are_killed_while_they_write, tmp_path, 50)


@pytest.mark.parametrize("mode", AccountingMode)
def test_everybody_killed_at_random_on_a_bad_line_then_one_end_for_each_start(
    tmp_path: Path, mode: AccountingMode
) -> None:
    run_fresh(everybody_is_killed_on_a_bad_line, tmp_path, 1.5, mode.value)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_everybody_killed_at_random_for_a_long_time(tmp_path: Path) -> None:
    run_fresh(everybody_is_killed_on_a_bad_line, tmp_path, 60, AccountingMode.SINGLE.value, timeout_s=200)


def test_full_disk_refuses_newcomers_and_loses_no_end(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small", 3 << 20) as directory:
        run_fresh(disk_is_full, tmp_path, directory)


def test_worker_killed_on_a_full_disk_then_its_sessions_end_in_the_room_it_kept(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small", 3 << 20) as directory:
        run_fresh(worker_is_killed_on_a_full_disk, tmp_path, directory)


def test_accountant_hands_over_and_leaves_with_the_master(tmp_path: Path) -> None:
    run_fresh(accountant_lives_and_ends, tmp_path)
