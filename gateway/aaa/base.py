"""What every authentication method and every AAA backend speaks: facts in, an `Identity` out, or `Refused`.

Errors: `Refused(BAD_CREDENTIALS | EXPIRED | LOGIN_DISABLED)` is the backend's no; `Refused(TEMPORARY)` means nobody
could be asked, which a client must never take for a wrong password.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """What is known of the client before any backend is asked. protocol: `imap4s`, `pop3s` or `smtps`."""

    protocol: str
    interface: str
    address: str
    certificate_der: bytes | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the client is. group_policy: the one that AAA named (Class, 3076/25, a local user's), None: none."""

    user: str
    group_policy: str | None = None


class Backend(Protocol):
    """One AAA server group: `radius`, `ldap` or `local`."""

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """Check one user. The password is never empty. Raises Refused; returns by `deadline` (monotonic)."""
