"""What every authentication method, AAA server and AAA group speaks: facts in, an `Identity` out, or `Refused`.

Errors: `Refused(BAD_CREDENTIALS | EXPIRED | LOGIN_DISABLED)` is a server's no; `ServerFailed` is one server that could
not be asked (its group tries the next); `Refused(TEMPORARY)` means that nobody could be asked, which a client must
never take for a wrong password. `Challenged` is a question back, which no mail protocol can carry.
"""

from dataclasses import dataclass
from dataclasses import field
from typing import Protocol

from gateway.config.model.policy import Overrides as Overrides
from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """What is known of the client before any server is asked. protocol: `imap4s`, `pop3s` or `smtps`."""

    protocol: str
    interface: str
    address: str
    certificate_der: bytes | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the client is.

    group_policy: the one that AAA named (3076/25, Class, an LDAP map, a local user's), None: none.
    classes: RADIUS Class attributes as they came, for accounting (RFC 2865 section 5.25).
    """

    user: str
    group_policy: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    classes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Challenge:
    """A server's question back (RFC 2865 section 4.4). state goes back with the answer, to the same server, once."""

    server: str
    message: str
    state: bytes = field(repr=False)


class Challenged(GatewayError):
    """The server asks back."""

    def __init__(self, challenge: Challenge) -> None:
        super().__init__("the server asks back")
        self.challenge = challenge


class ServerFailed(GatewayError):
    """One server gave no answer that can be believed by its deadline."""


class AaaServer(Protocol):
    """One server of a group. label: its name in the configuration."""

    label: str

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """Check one user. The password is never empty. Raises Refused, ServerFailed, Challenged; by `deadline`."""

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        """What the server knows of a user who is authenticated already. Raises Refused (unknown user), ServerFailed."""


class Backend(Protocol):
    """One AAA server group: `radius`, `ldap` or `local`."""

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """Check one user. The password is never empty. Raises Refused, Challenged; by `deadline` (monotonic)."""

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        """What the group knows of a user who is authenticated already. Raises Refused."""
