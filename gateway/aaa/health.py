"""How the servers of a group are doing, as all that ask them see it: who has failed, and until when.

`HealthBoard` is what a group needs; `gateway._health.HealthRecords` is one in memory that all workers share, so that
one worker's time-outs spare the others theirs, and `OwnHealth` is one for a process by itself. What to do about a
failed server is the group's decision; a board only remembers.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Reply(IntEnum):
    """How a request ended that got an answer. The numbers are those of `gateway._health.Answer`."""

    ACCEPT = 0
    REJECT = 1
    CHALLENGE = 2
    ERROR = 3


class Health(Protocol):
    """until_ms counts only when `failed`."""

    @property
    def failed(self) -> bool: ...

    @property
    def until_ms(self) -> int: ...


class HealthBoard(Protocol):
    """Servers are known by an index. Times are milliseconds of the monotonic clock."""

    def register(self, group: str, label: str, /) -> int:
        """The server's index, the same whoever asks."""

    def asked(self, index: int, /) -> None: ...

    def answered(self, index: int, answer: int, rtt_us: int, /) -> None:
        """Whatever it says, it lives: no failed attempts, not failed."""

    def timed_out(self, index: int, max_attempts: int, now_ms: int, until_ms: int, /) -> bool:
        """One more failed attempt; with `max_attempts` of them it has failed until then. True: by this one."""

    def fail(self, index: int, now_ms: int, until_ms: int, /) -> None: ...

    def revive(self, index: int, /) -> None: ...

    def health(self, index: int, /) -> Health | None:
        """None: nothing is known any more."""


@dataclass(slots=True)
class OwnServer:
    """What `OwnHealth` knows of one server."""

    failed: bool = False
    attempts: int = 0
    until_ms: int = 0


class OwnHealth:
    """A `HealthBoard` of one process: what a command asks a group with, while no gateway runs."""

    def __init__(self) -> None:
        self._indices: dict[tuple[str, str], int] = {}
        self._servers: list[OwnServer] = []

    def register(self, group: str, label: str, /) -> int:
        """See `HealthBoard`."""
        index = self._indices.setdefault((group, label), len(self._servers))
        if index == len(self._servers):
            self._servers.append(OwnServer())
        return index

    def asked(self, index: int, /) -> None:
        """See `HealthBoard`. Nothing is counted here."""

    def answered(self, index: int, answer: int, rtt_us: int, /) -> None:
        """See `HealthBoard`."""
        self.revive(index)

    def timed_out(self, index: int, max_attempts: int, now_ms: int, until_ms: int, /) -> bool:
        """See `HealthBoard`."""
        server = self._servers[index]
        server.attempts += 1
        fails_now = server.attempts >= max_attempts and not server.failed
        if server.attempts >= max_attempts:
            self.fail(index, now_ms, until_ms)
        return fails_now

    def fail(self, index: int, now_ms: int, until_ms: int, /) -> None:
        """See `HealthBoard`."""
        self._servers[index].failed, self._servers[index].until_ms = True, until_ms

    def revive(self, index: int, /) -> None:
        """See `HealthBoard`."""
        self._servers[index] = OwnServer()

    def health(self, index: int, /) -> OwnServer:
        """See `HealthBoard`."""
        return self._servers[index]
