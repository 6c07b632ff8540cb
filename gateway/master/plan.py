"""When to fork which worker. Pure: what is known of the workers and the time in, decisions out.

A worker that was ready and lived MIN_LIFE_S is replaced at once. One that died sooner waits, twice as long each time,
so that a fault at start makes no storm of forks; when no worker ever became ready, the master gives up.
"""

from dataclasses import dataclass
from dataclasses import replace
from typing import Final

MIN_LIFE_S: Final = 5.0
FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0
MAX_FAILED_STARTS: Final = 5  # in a row, for each worker, while none was ever ready


@dataclass(frozen=True, slots=True)
class Seat:
    """One worker's place. Times are monotonic. due_at: when to fork, if pid is None."""

    index: int
    pid: int | None = None
    started_at: float = 0.0
    ready: bool = False
    early_deaths: int = 0
    due_at: float = 0.0


def seated(seat: Seat, pid: int, now: float) -> Seat:
    """The seat after its worker was forked."""
    return replace(seat, pid=pid, started_at=now, ready=False)


def readied(seat: Seat) -> Seat:
    """The seat once its worker accepts connections."""
    return replace(seat, ready=True)


def vacated(seat: Seat, now: float) -> Seat:
    """The seat after its worker died."""
    if seat.ready and now - seat.started_at >= MIN_LIFE_S:
        return replace(seat, pid=None, ready=False, early_deaths=0, due_at=now)
    delay_s = min(FIRST_DELAY_S * 2**seat.early_deaths, MAX_DELAY_S)
    return replace(seat, pid=None, ready=False, early_deaths=seat.early_deaths + 1, due_at=now + delay_s)


def is_due(seat: Seat, now: float) -> bool:
    """Whether to fork for this seat now."""
    return seat.pid is None and now >= seat.due_at


def next_due_s(seats: list[Seat], now: float) -> float | None:
    """Seconds until the next seat is due; None: all are taken."""
    waits = [max(seat.due_at - now, 0.0) for seat in seats if seat.pid is None]
    return min(waits) if waits else None


def is_hopeless(seats: list[Seat]) -> bool:
    """Whether every seat failed too often to go on (asked only while no worker was ever ready)."""
    return all(seat.early_deaths >= MAX_FAILED_STARTS for seat in seats)
