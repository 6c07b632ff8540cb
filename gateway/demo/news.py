"""What the demo waits for. Threads and signal handlers put it into one queue, the main thread takes it out.

A `SimpleQueue` may be put into from a signal handler, unlike an Event or a Queue (its documentation says so).
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class GatewayReady:
    """Every listener accepts."""


@dataclass(frozen=True, slots=True)
class GatewayEnded:
    """It closed its log: it has ended, or is about to."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Ctrl-C, or told to end by a signal."""


@dataclass(frozen=True, slots=True)
class SessionsDone:
    """`--once` is through."""

    as_expected: bool


News = GatewayReady | GatewayEnded | Interrupted | SessionsDone
NewsQueue = SimpleQueue[News]


@contextmanager
def signals_as(news: NewsQueue) -> Iterator[None]:
    """Within, the signals that end a program are news and do nothing else."""

    def note(_number: int, _frame: FrameType | None) -> None:
        news.put(Interrupted())

    before = {number: signal.signal(number, note) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
