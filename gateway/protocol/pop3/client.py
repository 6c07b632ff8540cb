"""POP3, CLIENT role: from the mail server's greeting to the end of our login.

USER and PASS where both can be said so by every server, else AUTH PLAIN: spaces, 8-bit and long credentials are safe in
base64 only. CAPA is asked only then; a mail server's words before STLS are never used.

Errors: `Refused` with the reply's code, never its text, which may repeat what we sent; `ProtocolError`.
Limits: those of `script`.
Source: RFC 1939, RFC 2449, RFC 2595 section 4 (STLS), RFC 5034 (AUTH), RFC 3206 (codes).
"""

from collections.abc import Generator
from typing import Final

from gateway.errors import ProtocolError
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol import sasl
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import ClientStep
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import MailLogin
from gateway.protocol.base import StartTls
from gateway.protocol.base import UpstreamReady
from gateway.protocol.pop3.grammar import MAX_COMMAND_OCTETS
from gateway.protocol.pop3.grammar import Reply
from gateway.protocol.pop3.grammar import Status
from gateway.protocol.pop3.grammar import parse_reply
from gateway.protocol.script import Script
from gateway.protocol.script import ScriptedClient

# Codes (RFC 2449 section 8, RFC 3206) that say something else than "wrong password".
_REFUSAL_BY_CODE: Final = {
    b"IN-USE": Refusal.SESSION_LIMIT,
    b"LOGIN-DELAY": Refusal.UPSTREAM_UNAVAILABLE,
    b"SYS/TEMP": Refusal.UPSTREAM_UNAVAILABLE,
    b"SYS/PERM": Refusal.UPSTREAM_UNAVAILABLE,
}
_PRINTABLE: Final = range(0x20, 0x7F)
_MAX_ARGUMENT_OCTETS: Final = MAX_COMMAND_OCTETS - len(b"USER \r\n")


def client(settings: ClientSettings, login: MailLogin) -> ScriptedClient:
    """The `ClientDialogue` of POP3. Raises Refused for a login without a password, which POP3 does not know."""
    if login.password is None:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "POP3 needs a password for the mail server")
    return ScriptedClient(_script(settings, login, login.password))


def _script(settings: ClientSettings, login: MailLogin, password: bytes) -> Script:
    _require(Status.OK, (yield from _say(b"")), "the greeting", otherwise=Refusal.UPSTREAM_UNAVAILABLE)
    if settings.start_tls:
        _require(Status.OK, (yield from _say(b"STLS\r\n")), "STLS", otherwise=Refusal.UPSTREAM_UNAVAILABLE)
        yield ClientStep(event=StartTls())
    if _is_plainly_sayable(login.user, password):
        _require(Status.OK, (yield from _say(b"USER " + login.user + b"\r\n")), "USER")
        _require(Status.OK, (yield from _say(b"PASS " + password + b"\r\n")), "PASS")
    else:
        yield from _auth_plain(login)
    yield ClientStep(event=LoggedIn(UpstreamReady()))


def _auth_plain(login: MailLogin) -> Script:
    """Raises Refused before anything is said when AUTH PLAIN cannot carry the login."""
    (response,) = sasl.encoded_responses(sasl.PLAIN, login)
    if b"PLAIN" not in (yield from _sasl_capability()):
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "the mail server has no AUTH PLAIN, which these credentials need")
    command = b"AUTH PLAIN " + response + b"\r\n"
    if len(command) > MAX_COMMAND_OCTETS:  # RFC 5034 section 4: then without its initial response
        challenge = yield from _say(b"AUTH PLAIN\r\n")
        _require(Status.CHALLENGE, challenge, "AUTH PLAIN", otherwise=Refusal.UPSTREAM_UNAVAILABLE)
        command = response + b"\r\n"
    _require(Status.OK, (yield from _say(command)), "AUTH PLAIN")


def _sasl_capability() -> Generator[ClientStep, bytes, list[bytes]]:
    """The mechanisms of CAPA; empty when the mail server has none, or no CAPA."""
    mechanisms: list[bytes] = []
    if (yield from _say(b"CAPA\r\n")).status is not Status.OK:
        return mechanisms
    while (line := (yield ClientStep())) != b".":
        keyword, *arguments = line.upper().split() or [b""]
        if keyword == b"SASL":
            mechanisms += arguments
    return mechanisms


def _say(octets: bytes) -> Generator[ClientStep, bytes, Reply]:
    return parse_reply((yield ClientStep(octets)))


def _require(status: Status, reply: Reply, to: str, otherwise: Refusal = Refusal.UPSTREAM_REJECTED) -> None:
    """otherwise: what an -ERR without a telling code means."""
    if reply.status is Status.ERR:
        code = f" [{reply.code.decode()}]" if reply.code in _REFUSAL_BY_CODE else ""
        raise Refused(_REFUSAL_BY_CODE.get(reply.code, otherwise), f"the mail server answered {to} with -ERR{code}")
    if reply.status is not status:
        raise ProtocolError(f"the mail server answered {to} with {reply.status.name}")


def _is_plainly_sayable(user: bytes, password: bytes) -> bool:
    """Whether USER and PASS carry these to every mail server, octet for octet."""
    return (
        b" " not in user
        and password.strip() == password
        and all(0 < len(each) <= _MAX_ARGUMENT_OCTETS for each in (user, password))
        and all(octet in _PRINTABLE for octet in user + password)
    )
