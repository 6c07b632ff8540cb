"""The exceptions that cross a module's border. Their detail is for the log; a client never sees it.

No message here may hold a password or an octet of one: what is said about input is said by its length or its name.
"""

from gateway.outcome import EndReason
from gateway.outcome import Refusal


class GatewayError(Exception):
    """The root of all of them."""


class ConfigError(GatewayError):
    """The configuration cannot be used; the message names file, line, reason and remedy."""


class Refused(GatewayError):
    """One login attempt is refused: the planned end of every stage from the split to the upstream login."""

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(f"{refusal.value}: {detail}" if detail else refusal.value)
        self.refusal = refusal
        self.detail = detail


class SessionEnded(GatewayError):
    """The session is over (the client left, a deadline passed, somebody ended it); unwinds its owner."""

    def __init__(self, reason: EndReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class FrameTooLong(GatewayError):
    """A line without an end within its limit; raised by the framing before it has stored more than that."""

    def __init__(self, limit_octets: int) -> None:
        super().__init__(f"no line end within {limit_octets} octets")
        self.limit_octets = limit_octets


class UpstreamLost(GatewayError):
    """The mail server could not be reached, closed, reset, failed its TLS checks, or was silent past the deadline."""


class ProtocolError(GatewayError):
    """The peer broke its protocol; raised low, translated once at the dialogue's rim."""
