"""The challenges that wait for an answer: each may be answered once, by the user at the address that it was put to.

Limits: MAX_OPEN challenges, the oldest is forgotten first; each for VALID_S.
Source: RFC 2865 section 4.4.
"""

import time
from dataclasses import dataclass
from typing import Final

from gateway.aaa.base import Challenge
from gateway.aaa.base import ClientFacts

MAX_OPEN: Final = 10_000
VALID_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Asked:
    state: bytes
    user: str
    address: str


class OpenChallenges:
    """Of one server in one process."""

    def __init__(self) -> None:
        self._expiries: dict[_Asked, float] = {}  # in the order of time

    def add(self, challenge: Challenge, user: str, facts: ClientFacts) -> None:
        """The server has put it to this user."""
        asked = _Asked(challenge.state, user, facts.address)
        self._expiries.pop(asked, None)
        if len(self._expiries) >= MAX_OPEN:
            del self._expiries[next(iter(self._expiries))]
        self._expiries[asked] = time.monotonic() + VALID_S

    def take(self, challenge: Challenge, user: str, facts: ClientFacts) -> bool:
        """Whether this user may answer it now; no more, after this."""
        expiry = self._expiries.pop(_Asked(challenge.state, user, facts.address), None)
        return expiry is not None and time.monotonic() < expiry
