"""Which server of a group is told: the first that has not failed; the failed ones in turn when all have.

A server has failed after so many unanswered reports in a row. With `reactivation-mode = timed` it is tried again after
30 seconds; with `depletion` once all have failed. Any answer makes it a good one again. Pure: the time comes in.
"""

import math
from dataclasses import dataclass
from typing import Final

TIMED_S: Final = 30.0


@dataclass(slots=True)
class _Server:
    label: str
    unanswered: int = 0
    failed_until: float | None = None  # None: not failed


class Targets:
    """The servers of one stream, in the order of use; at least one."""

    def __init__(self, labels: tuple[str, ...], max_failed_attempts: int, *, timed: bool) -> None:
        self._servers = [_Server(label) for label in labels]
        self._max_failed_attempts = max_failed_attempts
        self._dead_s = TIMED_S if timed else math.inf
        self._turn = 0

    def are_down(self, now: float) -> bool:
        """Whether all have failed."""
        return self._first(now) is None

    def choose(self, now: float) -> str:
        """The server for the next report."""
        first = self._first(now)
        if first is not None:
            return first.label
        self._turn += 1
        return self._servers[self._turn % len(self._servers)].label

    def answered(self, label: str) -> bool:
        """Whether it had failed before."""
        server = self._named(label)
        had_failed = server.failed_until is not None
        server.unanswered, server.failed_until = 0, None
        return had_failed

    def unanswered(self, label: str, now: float) -> bool:
        """Whether it has failed by this."""
        server = self._named(label)
        server.unanswered += 1
        had_failed = server.failed_until is not None
        if server.unanswered >= self._max_failed_attempts:
            server.failed_until = now + self._dead_s
        return server.failed_until is not None and not had_failed

    def _first(self, now: float) -> _Server | None:
        good = (server for server in self._servers if server.failed_until is None or now >= server.failed_until)
        return next(good, None)

    def _named(self, label: str) -> _Server:
        return next(server for server in self._servers if server.label == label)
