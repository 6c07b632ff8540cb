"""The master's life: prepare, fork, then one loop that takes signals and deaths in and gives forks and signals out.

Errors: `ConfigError` before the first fork, when the configuration cannot be used; afterwards only an exit code.
"""

import gc
import math
import os
import resource
import signal
import time
from typing import Final

from gateway._counters import SharedCounters
from gateway._sessions import SessionTable
from gateway.config.model import Config
from gateway.log import Log
from gateway.master.listeners import bind_all
from gateway.master.plan import Seat
from gateway.master.plan import is_due
from gateway.master.plan import is_hopeless
from gateway.master.plan import next_due_s
from gateway.master.plan import readied
from gateway.master.plan import seated
from gateway.master.plan import vacated
from gateway.master.privileges import find_account
from gateway.master.signals import SignalQueue
from gateway.master.spawn import make_life_line
from gateway.master.spawn import spawn
from gateway.protocol.registry import NUMBERS
from gateway.worker.inheritance import Inheritance
from gateway.worker.inheritance import TlsSetup

# How long a worker may take to say its farewells after SIGTERM, before SIGKILL.
STOP_S: Final = 5.0


class Arbiter:
    """Supervises the workers of one configuration."""

    def __init__(self, config: Config, workers: int, tls: TlsSetup, log: Log) -> None:
        self._log = log
        self._grace_s = config.gateway.shutdown_grace_s
        self._seats = [Seat(index) for index in range(workers)]
        self._ready_fds: dict[int, int] = {}  # descriptor -> pid
        self._announced = False
        self._kill_at: float | None = None
        self._stopping = False
        raise_descriptor_limit()
        account = find_account(config.gateway.user, config.gateway.group)
        self._signals = SignalQueue()
        self._table = make_table(config, workers)
        self._counters = SharedCounters(self._table)
        life_line = make_life_line()
        self._life_line_end = life_line[1]
        self._inheritance = Inheritance(config, bind_all(config), tls, account, self._table, log, life_line[0])

    def run(self) -> int:
        """Serve until told to stop; the exit code."""
        for bound in self._inheritance.listeners:
            self._log.info(
                "listening",
                protocol=bound.protocol,
                interface=bound.interface,
                address=bound.address,
                port=bound.port,
            )
        gc.collect()
        gc.freeze()  # the workers then share these pages instead of copying them at their first collection
        while True:
            self._fork_due()
            if self._stopping and all(seat.pid is None for seat in self._seats):
                self._log.info("stopped")
                return 0
            if not self._announced and is_hopeless(self._seats):
                self._log.error("giving_up", detail="no worker could start; the lines above say why")
                return 1
            self._take_one_event()

    def _fork_due(self) -> None:
        now = time.monotonic()
        for place, seat in enumerate(self._seats):
            if not self._stopping and is_due(seat, now):
                spawned = spawn(seat.index, self._inheritance, self._signals, self._private_fds())
                self._seats[place] = seated(seat, spawned.pid, now)
                self._ready_fds[spawned.ready_fd] = spawned.pid
                self._log.info("worker_started", worker=seat.index, pid=spawned.pid)

    def _private_fds(self) -> tuple[int, ...]:
        """What a worker must not keep: the master's end of the life line, and its ears for the other workers."""
        return (self._life_line_end, *self._ready_fds)

    def _take_one_event(self) -> None:
        number, ready = self._signals.wait(self._patience_s(), tuple(self._ready_fds))
        for descriptor in ready:
            self._note_ready(descriptor)
        match number:
            case signal.SIGTERM | signal.SIGINT:
                self._stop(signal.SIGTERM, STOP_S)
            case signal.SIGQUIT:
                self._stop(signal.SIGQUIT, None if self._grace_s is None else self._grace_s + STOP_S)
            case signal.SIGHUP | signal.SIGUSR1 | signal.SIGUSR2:
                self._log.warning("signal_ignored", signal=number.name, detail="not yet in effect in this version")
        self._reap()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._kill_at = None
            self._signal_workers(signal.SIGKILL)

    def _patience_s(self) -> float | None:
        now = time.monotonic()
        due_s = None if self._stopping else next_due_s(self._seats, now)
        kill_s = None if self._kill_at is None else max(self._kill_at - now, 0.0)
        waits = [wait for wait in (due_s, kill_s) if wait is not None]
        return min(waits) if waits else None

    def _note_ready(self, descriptor: int) -> None:
        """A worker said that it accepts; end-of-file instead means that it died, which SIGCHLD tells as well."""
        pid = self._ready_fds.pop(descriptor)
        said = os.read(descriptor, 1)
        os.close(descriptor)
        if not said:
            return
        self._seats = [seat if seat.pid != pid else readied(seat) for seat in self._seats]
        if not self._announced and all(seat.ready for seat in self._seats):
            self._announced = True
            self._log.info("ready", workers=len(self._seats), pid=os.getpid())

    def _stop(self, number: signal.Signals, patience_s: float | None) -> None:
        self._log.info("stopping", signal=number.name)
        self._stopping = True
        if patience_s is not None:  # the sooner of two signals' limits holds
            self._kill_at = min(self._kill_at or math.inf, time.monotonic() + patience_s)
        for bound in self._inheritance.listeners:
            bound.socket.close()
        self._signal_workers(number)

    def _signal_workers(self, number: signal.Signals) -> None:
        for seat in self._seats:
            if seat.pid is not None:
                os.kill(seat.pid, number)

    def _reap(self) -> None:
        while any(seat.pid is not None for seat in self._seats):
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._bury(pid, status)

    def _bury(self, pid: int, status: int) -> None:
        for place, seat in enumerate(self._seats):
            if seat.pid == pid:
                code = os.waitstatus_to_exitcode(status)
                tell = self._log.info if self._stopping and code == 0 else self._log.error
                tell("worker_exited", worker=seat.index, pid=pid, exit_code=code)
                lost = self._table.reap(seat.index)
                if lost:
                    self._log.warning("sessions_lost", worker=seat.index, sessions=len(lost))
                self._counters.restarted(seat.index)
                self._seats[place] = vacated(seat, time.monotonic())


def raise_descriptor_limit() -> None:
    """Use all the descriptors that the hard limit allows: a relayed session takes two."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def make_table(config: Config, workers: int) -> SessionTable:
    """The sessions of all workers, in memory that they will share; with the caps of each protocol."""
    table = SessionTable.create(config.gateway.maximum_sessions, workers, len(NUMBERS))
    for name, number in NUMBERS.items():
        settings = config.protocols[name]
        table.set_caps(number, settings.outstanding, settings.outstanding_per_address)
    return table
