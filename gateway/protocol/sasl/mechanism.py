"""What a SASL mechanism is here: one exchange for each role, without base64 and without a protocol around it.

SERVER role: a generator. It yields each `Challenge`, is sent the client's response to it, and returns the
`LoginAttempt`. A client that spoke first (initial response) has answered the first challenge, which is never sent.
CLIENT role: the responses to the mail server's challenges, in their order.

Errors: the generator raises `ProtocolError` for a malformed response; `responses` raises nothing.
Source: RFC 4422 sections 3 and 5.
"""

from collections.abc import Callable
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the client is asked. user_named: its last response was a user name, the password is still to come."""

    octets: bytes
    user_named: bool = False


ServerExchange: TypeAlias = Generator[Challenge, bytes, LoginAttempt]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """client_first: the first response may go with the command (RFC 4422 section 3.3)."""

    name: str
    client_first: bool
    server: Callable[[], ServerExchange]
    responses: Callable[[MailLogin], tuple[bytes, ...]]
