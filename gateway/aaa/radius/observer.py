"""What a server's health and counters are made from; whoever keeps them (shared memory, metrics) observes."""

from collections import Counter
from enum import StrEnum
from typing import Final
from typing import Protocol

from gateway.aaa.radius.answers import Drop

_SMOOTHING: Final = 0.125  # RFC 6298 section 2


class ServerEvent(StrEnum):
    """The value is the word in counters."""

    REQUEST = "requests"
    RETRANSMISSION = "retransmissions"
    ACCEPT = "accepts"
    REJECT = "rejects"
    CHALLENGE = "challenges"
    ACCOUNTED = "accounting-responses"
    UNSIGNED = "unsigned-answers"  # believed, as message-authenticator = allow wants it
    TIMEOUT = "timeouts"
    UNREACHABLE = "unreachable"  # the network or the server's kernel said so


class ServerObserver(Protocol):
    """Told of everything by callbacks that may run in the hub: they must neither wait nor raise."""

    def happened(self, event: ServerEvent) -> None:
        """Once for each event."""

    def answered_after(self, round_trip_s: float) -> None:
        """The time from the first transmission of a request to its answer."""

    def dropped(self, reason: Drop) -> None:
        """A datagram was not believed."""


class Tally:
    """A `ServerObserver` that counts in this process. round_trip_s: smoothed; None before the first answer."""

    def __init__(self) -> None:
        self.events: Counter[ServerEvent] = Counter()
        self.drops: Counter[Drop] = Counter()
        self.round_trip_s: float | None = None

    def happened(self, event: ServerEvent) -> None:
        """See `ServerObserver`."""
        self.events[event] += 1

    def answered_after(self, round_trip_s: float) -> None:
        """See `ServerObserver`."""
        before = round_trip_s if self.round_trip_s is None else self.round_trip_s
        self.round_trip_s = before + _SMOOTHING * (round_trip_s - before)

    def dropped(self, reason: Drop) -> None:
        """See `ServerObserver`."""
        self.drops[reason] += 1
