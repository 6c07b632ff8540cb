"""How the AAA servers are doing, in the eyes of all workers; see `_health.pyx`."""

from enum import IntEnum
from typing import NamedTuple
from typing import final

from gateway._shared import SharedMemory

class Answer(IntEnum):
    ACCEPT = 0
    REJECT = 1
    CHALLENGE = 2
    ERROR = 3

class ServerHealth(NamedTuple):
    """attempts: failed ones in a row. since_ms and until_ms count only when `failed`. rtt_us: the sum over answers."""

    number: int
    group: str
    label: str
    failed: bool
    attempts: int
    since_ms: int
    until_ms: int
    requests: int
    accepts: int
    rejects: int
    challenges: int
    errors: int
    timeouts: int
    rtt_us: int
    rtt_max_us: int

@final
class HealthRecords:
    """Times are milliseconds of CLOCK_MONOTONIC."""

    def __new__(cls, memory: SharedMemory) -> HealthRecords: ...
    def register(self, group: str, label: str) -> int:
        """The server's index, the same in every process and after a reload. OverflowError: there are too many."""

    def forget(self, index: int) -> None:
        """The server is no longer configured, and nobody asks it any more."""

    def asked(self, index: int) -> None: ...
    def answered(self, index: int, answer: int, rtt_us: int) -> None:
        """Whatever it says, it lives: no failed attempts, not failed."""

    def timed_out(self, index: int, max_attempts: int, now_ms: int, until_ms: int) -> bool:
        """One more failed attempt; with `max_attempts` of them it has failed until then. True: by this one."""

    def fail(self, index: int, now_ms: int, until_ms: int) -> None: ...
    def revive(self, index: int) -> None: ...
    def health(self, index: int) -> ServerHealth | None: ...
    def all(self) -> list[ServerHealth]: ...
