"""SASL as the line protocols carry it: base64 lines, `=` for an empty initial response, `*` to cancel.

`Exchange` is the SERVER role of one AUTH or AUTHENTICATE command; `encoded_responses` is the CLIENT role.

Errors: nothing that a client sends makes an `Exchange` raise; `encoded_responses` raises `Refused`.
Limits: a line's length is the framing's business (`MAX_AUTH_LINE_OCTETS`).
Source: RFC 4954 section 4 (SMTP), RFC 5034 section 4 (POP3), RFC 9051 section 6.2.2 and RFC 4959 (IMAP).
"""

import binascii
from dataclasses import dataclass
from enum import Enum
from enum import unique
from typing import Final
from typing import TypeAlias

from gateway.errors import ProtocolError
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol.base import MAX_AUTH_LINE_OCTETS
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.sasl.mechanism import Challenge
from gateway.protocol.sasl.mechanism import Mechanism

# NUL divides PLAIN; what a mail server makes of a line end that comes out of base64 nobody knows (CVE-2025-15367).
_UNSAYABLE: Final = frozenset(b"\0\r\n")


@dataclass(frozen=True, slots=True)
class Ask:
    """The next challenge, in base64, to be sent behind the protocol's `+ ` or `334 `.

    user_named: the client has just given its user name (event `UserNamed`).
    """

    challenge: bytes
    user_named: bool = False


@unique
class Aborted(Enum):
    """The exchange came to nothing; the client may begin another."""

    CANCELLED = "cancelled"  # the client said "*"
    MALFORMED = "malformed"  # not base64, or not a message of this mechanism


Outcome: TypeAlias = Ask | LoginAttempt | Aborted


class Exchange:
    """One exchange; of no more use once its outcome was not an `Ask`."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._server = mechanism.server()

    def start(self, initial: bytes | None) -> Outcome:
        """`initial` is the initial response as it stood in the command, None: there was none."""
        challenge = next(self._server)
        if initial is None:
            return _ask(challenge)
        return self._advance(b"" if initial == b"=" else initial)

    def respond(self, line: bytes) -> Outcome:
        """`line` is the client's answer to the last challenge."""
        if line == b"*":
            return Aborted.CANCELLED
        return self._advance(line)

    def _advance(self, encoded: bytes) -> Outcome:
        try:
            return _ask(self._server.send(_decode(encoded)))
        except StopIteration as done:
            attempt: LoginAttempt = done.value
            return attempt
        except ProtocolError:
            return Aborted.MALFORMED


def encoded_responses(mechanism: Mechanism, login: MailLogin) -> tuple[bytes, ...]:
    """What answers the mail server's challenges, in base64. Raises Refused."""
    if login.password is None:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "no password for the mail server")
    if not login.user or not login.password:
        raise Refused(Refusal.BAD_CREDENTIALS, "an empty credential")
    if _UNSAYABLE.intersection(login.user + login.password):
        raise Refused(Refusal.BAD_CREDENTIALS, "NUL, CR or LF in a credential")
    responses = tuple(binascii.b2a_base64(octets, newline=False) for octets in mechanism.responses(login))
    if any(len(response) > MAX_AUTH_LINE_OCTETS for response in responses):
        raise Refused(Refusal.BAD_CREDENTIALS, "a credential too long for an AUTH line")
    return responses


def _ask(challenge: Challenge) -> Ask:
    return Ask(binascii.b2a_base64(challenge.octets, newline=False), challenge.user_named)


def _decode(encoded: bytes) -> bytes:
    try:
        octets = binascii.a2b_base64(encoded)
    except binascii.Error:
        octets = b""
    # The decoder skips foreign octets and forgives padding; only what encodes back to the same line is base64.
    if binascii.b2a_base64(octets, newline=False) != encoded:
        raise ProtocolError(f"{len(encoded)} octets that are not base64")
    return octets
