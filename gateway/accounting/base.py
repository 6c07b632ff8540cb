"""What the session layer knows of accounting: it begins, and it ends.

Errors: `begin` raises Refused(TEMPORARY) where no session may go unaccounted and the journal has no room; nothing else
raises.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from typing import Protocol

from gateway.outcome import EndReason

Counts = Callable[[], tuple[int, int]]
"""The octets relayed so far: from the client, to the client."""


class Authentic(IntEnum):
    """Who authenticated the user (Acct-Authentic, RFC 2866 section 5.6). REMOTE: LDAP, or the mail server."""

    RADIUS = 1
    LOCAL = 2
    REMOTE = 3


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is the same in every report of a session.

    session_id: at most MAX_SESSION_ID printable ASCII characters, never used again; the `session` of the log.
    protocol: `imap4s`, `pop3s` or `smtps`. client: numeric address. classes: as they came (RFC 2865 section 5.25).
    """

    session_id: str
    user: str
    protocol: str
    interface: str
    client: str
    classes: tuple[bytes, ...] = ()
    authentic: Authentic = Authentic.RADIUS


class AccountedSession(Protocol):
    """A session whose start is in the journal."""

    def relaying(self, counts: Counts) -> None:
        """Octets flow from now on: `counts` is asked whenever an interim update is due, until the end."""

    def end(self, reason: EndReason, octets_in: int, octets_out: int) -> None:
        """The last word, in the journal when this returns. Only the first call counts. Never raises."""


class Accounting(Protocol):
    """One protocol's."""

    def begin(self, facts: SessionFacts) -> AccountedSession:
        """The session is authenticated and about to relay: its start is in the journal when this returns."""


class NoAccounting:
    """Where no group is to be told: both an `Accounting` and its sessions."""

    def begin(self, facts: SessionFacts) -> AccountedSession:
        """See `Accounting`."""
        return self

    def relaying(self, counts: Counts) -> None:
        """See `AccountedSession`."""

    def end(self, reason: EndReason, octets_in: int, octets_out: int) -> None:
        """See `AccountedSession`."""


NO_ACCOUNTING: Final = NoAccounting()
