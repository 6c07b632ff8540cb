"""The accountant's life after the fork: wait until no other has the spool, read, send, end.

Signals: SIGTERM is the end of the gateway: what the workers still write is sent, then Accounting-Off, within STOP_S.
SIGQUIT is the end of this accountant alone (another one takes over), and so is the end of the master. Whatever is not
acknowledged by then stays in the spool for the next one.

Errors: OSError when the spool cannot be used, which ends the process.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import gevent
from gevent.event import Event
from gevent.socket import wait_read

from gateway.accountant.assemble import make_groups
from gateway.accountant.inheritance import Inheritance
from gateway.accounting.causes import TerminateCause
from gateway.accounting.group import POLL_S
from gateway.accounting.group import Group
from gateway.accounting.status import SpoolStatus
from gateway.accounting.status import write_status

# Less than the master's patience with whom it has told to stop.
STOP_S: Final = 4.0
_LAST_WORDS_S: Final = 1.0  # of it for Accounting-Off
_STATUS_EVERY_S: Final = 1.0
_LOCK_EVERY_S: Final = 0.2


def run(inheritance: Inheritance, ready_fd: int) -> int:
    """Serve until told to stop; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop, leave = Event(), Event()
    gevent.signal_handler(signal.SIGTERM, stop.set)
    gevent.signal_handler(signal.SIGQUIT, leave.set)
    gevent.spawn(_watch_master, inheritance, leave)
    os.write(ready_fd, b"R")
    os.close(ready_fd)
    if _wait_for_spool(inheritance.spool, lambda: stop.is_set() or leave.is_set()):
        accountant = Accountant(make_groups(inheritance), inheritance.spool)
        accountant.start(as_node=inheritance.as_node)
        accountant.serve(lambda: stop.is_set() or leave.is_set())
        if stop.is_set():
            accountant.finish(STOP_S)
        accountant.close()
    return 0


class Accountant:
    """All groups, in one greenlet; their deliveries have greenlets of their own."""

    def __init__(self, groups: list[Group], spool: Path) -> None:
        self._groups = groups
        self._spool = spool
        self._status_at = 0.0

    def start(self, *, as_node: bool) -> None:
        """See `Group.start`."""
        for group in self._groups:
            group.start(as_node=as_node)

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Until it is."""
        while not is_over():
            self._turn(TerminateCause.NAS_ERROR)

    def finish(self, patience_s: float) -> None:
        """The gateway ends: send what there is, and Accounting-Off last."""
        deadline = time.monotonic() + patience_s
        self._send_rest(deadline - _LAST_WORDS_S)
        for group in self._groups:
            group.go_down()
        self._send_rest(deadline)

    def close(self) -> None:
        self._tell_status()
        for group in self._groups:
            group.close()

    def _send_rest(self, deadline: float) -> None:
        """Once the writers are gone and everything is told, or the time is over."""
        while time.monotonic() < deadline and any(group.is_busy for group in self._groups):
            self._turn(TerminateCause.ADMIN_REBOOT)

    def _turn(self, cause: TerminateCause) -> None:
        for group in self._groups:
            group.tick(cause)
        if time.monotonic() >= self._status_at:
            self._status_at = time.monotonic() + _STATUS_EVERY_S
            self._tell_status()
        gevent.sleep(POLL_S)

    def _tell_status(self) -> None:
        waiting = {group.name: group.waiting for group in self._groups}
        running = {group.name: group.running for group in self._groups}
        write_status(self._spool, SpoolStatus(waiting, running, time.time()))


def _wait_for_spool(spool: Path, is_over: Callable[[], bool]) -> bool:
    """Whether it is ours, for the rest of this process: the lock is never let go of by hand."""
    descriptor = os.open(spool, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    while not is_over():
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            gevent.sleep(_LOCK_EVERY_S)
        else:
            return True
    return False


def _watch_master(inheritance: Inheritance, leave: Event) -> None:
    wait_read(inheritance.life_line)
    leave.set()
