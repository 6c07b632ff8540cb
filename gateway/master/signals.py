"""Signals as a queue: a handler only notes the number and writes one octet to a pipe that the main loop waits on.

SIGTERM, SIGINT: stop now. SIGQUIT: stop once the sessions are over, or `shutdown-grace` has passed. SIGCHLD: a worker
ended. SIGHUP and SIGUSR1, SIGUSR2 are reserved (reload, logs, upgrade) and only noted.
"""

import contextlib
import os
import select
import signal
from collections import deque
from types import FrameType
from typing import Final

HANDLED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class SignalQueue:
    """The signals of this process, taken one at a time, in order."""

    def __init__(self) -> None:
        self._queue: deque[signal.Signals] = deque()
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in HANDLED:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._queue.append(signal.Signals(number))
        with contextlib.suppress(BlockingIOError):  # the pipe is full of wake-ups already
            os.write(self._write_end, b"\0")

    def wait(self, seconds: float | None, also: tuple[int, ...] = ()) -> tuple[signal.Signals | None, list[int]]:
        """The next signal, if any, and the readable descriptors of `also`; waits at most `seconds` (None: for ever)."""
        poll = select.poll()
        for descriptor in (self._read_end, *also):
            poll.register(descriptor, select.POLLIN)
        timeout_ms = None if seconds is None else max(int(seconds * 1000) + 1, 0)
        ready = [descriptor for descriptor, _ in poll.poll(0 if self._queue else timeout_ms)]
        if self._read_end in ready:
            ready.remove(self._read_end)
            os.read(self._read_end, 4096)
        return (self._queue.popleft() if self._queue else None), ready

    def forget(self) -> None:
        """In a forked child: back to the defaults, nothing queued is ours."""
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        self._queue.clear()
        os.close(self._read_end)
        os.close(self._write_end)
