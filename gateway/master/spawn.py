"""The fork: what a worker is given, and how its life and death show.

The worker's code is imported here, before the fork, so that its pages are shared; importing makes no hub.

Each worker has a pipe on which it says one octet when it accepts connections. All workers share the read end of one
pipe whose write end only the master holds: its end-of-file tells them that the master is gone.
"""

import os
import signal
import sys
from dataclasses import dataclass

from gateway.log import fault
from gateway.master.privileges import drop_to
from gateway.master.signals import HANDLED
from gateway.master.signals import SignalQueue
from gateway.worker.inheritance import Inheritance
from gateway.worker.main import run


@dataclass(frozen=True, slots=True)
class Spawned:
    """pid, and the descriptor that becomes readable when the worker is ready (or dead)."""

    pid: int
    ready_fd: int


def make_life_line() -> tuple[int, int]:
    """The pipe of the master's life: read end for the workers, write end for the master alone."""
    return os.pipe2(os.O_CLOEXEC)


def spawn(index: int, inheritance: Inheritance, signals: SignalQueue, private_fds: tuple[int, ...]) -> Spawned:
    """Fork one worker, which closes `private_fds`. Returns in the master only."""
    ready_fd, ready_write_fd = os.pipe2(os.O_CLOEXEC)
    # A signal between the fork and the child's own handlers would be queued where nobody looks: it waits instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        os.close(ready_write_fd)
        return Spawned(pid, ready_fd)
    os._exit(_live(index, inheritance, signals, (ready_fd, *private_fds), ready_write_fd))


def _live(
    index: int, inheritance: Inheritance, signals: SignalQueue, private_fds: tuple[int, ...], ready_write_fd: int
) -> int:
    """The worker's whole life, in the child; returns its exit code and never raises."""
    try:
        signals.forget()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        for descriptor in private_fds:
            os.close(descriptor)
        drop_to(inheritance.account)
        return run(index, inheritance, ready_write_fd)
    except BaseException as error:  # noqa: BLE001  nothing may fall through into the master's code
        inheritance.log.error("worker_failed", worker=index, detail=f"{error}: {fault(error)}")
        return 1
    finally:
        sys.stderr.flush()
