"""How fast a server is told: when a report is sent again, how many are on their way at once.

A report is sent again after 2, 4, 8 and 16 seconds, then every 60, each within 10 %, for ever. Each answer lets one
more report be on its way, each silence one fewer, so that a server that returns is not overrun by what has gathered,
and one on a bad line is used as well as that line allows (with 30 % lost the window still opens).

Source: RFC 5080 section 2.2.1 (IRT 2 s, MRT 16 s, no end for accounting).
"""

import random
from dataclasses import dataclass
from typing import Final

FIRST_WINDOW: Final = 8
MAX_WINDOW: Final = 64
_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Timing:
    """quick_attempts: so many double the time from the first on, up to max_s."""

    first_s: float = 2.0
    max_s: float = 16.0
    quick_attempts: int = 4
    forever_s: float = 60.0

    def retry_s(self, attempts: int) -> float:
        """From the beginning of the last attempt until the next; attempts: made so far, at least 1."""
        quick = attempts <= self.quick_attempts
        due_s = min(self.first_s * 2 ** (attempts - 1), self.max_s) if quick else self.forever_s
        return due_s * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 no secret


TIMING: Final = Timing()


class Window:
    """How many reports may be on their way."""

    def __init__(self) -> None:
        self.size = FIRST_WINDOW

    def answered(self) -> None:
        self.size = min(self.size + 1, MAX_WINDOW)

    def unanswered(self) -> None:
        self.size = max(self.size - 1, 1)

    def close(self) -> None:
        """Nobody answers any more: begin anew when somebody does."""
        self.size = FIRST_WINDOW
