"""Accounting servers in the test's own process: what they were told, and when they are silent."""

import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field

import gevent

from gateway.accounting.attributes import Attributes
from gateway.accounting.stream import Undeliverable


@dataclass(slots=True)
class FakeServers:
    """A `Deliver`. silent: labels of servers that do not answer; unloved: sessions that no server acknowledges.

    told: label, status and session of each request that was answered; asked: of every request.
    """

    silent: set[str] = field(default_factory=set)
    unloved: set[str] = field(default_factory=set)
    impossible: set[str] = field(default_factory=set)
    round_trip_s: float = 0.0
    told: list[tuple[str, str, str]] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    requests: list[Attributes] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0

    def __call__(self, label: str, attributes: Attributes, timeout_s: float) -> bool:
        session, status = str(attributes["Acct-Session-Id"]), str(attributes["Acct-Status-Type"])
        if session in self.impossible:
            raise Undeliverable("too long")
        self.requests.append(attributes)
        self.asked.append((label, status, session))
        with self._counted():
            if label in self.silent or session in self.unloved:
                gevent.sleep(timeout_s)
                return False
            gevent.sleep(self.round_trip_s)
        self.told.append((label, status, session))
        return True

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            self._at_once -= 1

    def sessions(self, label: str, status: str) -> list[str]:
        """The sessions of which that server was told that."""
        return [session for where, what, session in self.told if (where, what) == (label, status)]


def turn_until(turn: Callable[[], object], condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Call `turn` and let greenlets run, until the condition is true; AssertionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        turn()
        gevent.sleep(0.002)
