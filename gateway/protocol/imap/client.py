"""IMAP, CLIENT role: from the mail server's greeting to the end of our login.

How the credentials are sent:
1. LOGIN. A user name or password of printable ASCII without `"` and `\\`, up to MAX_QUOTED_OCTETS, is quoted; any
   other is a literal, which waits for the mail server's `+` unless LITERAL+ is announced.
2. AUTHENTICATE PLAIN, where that is announced, if there is no LOGIN (LOGINDISABLED), or if the credentials are not all
   printable ASCII: LOGIN has no charset, PLAIN has UTF-8. With SASL-IR the response goes with the command.
3. LOGINDISABLED without AUTH=PLAIN: nothing is sent, the login is refused.

Mail servers put what they like before the tagged OK (Gmail and SmarterMail a CAPABILITY); it is read and passed over.
A mail server that has not said its capabilities along with the OK is asked once, for the client has to be told them.

Errors: `Refused` with the answer's code, never its text, which may repeat what we sent; `ProtocolError`.
Limits: those of `script`; no literals.
Source: RFC 9051 sections 6.1 to 6.2.3 and 7.1, RFC 7888, RFC 4959, RFC 5530; RFC 2221 for the referrals not followed.
"""

from collections.abc import Generator
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.errors import ProtocolError
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol import sasl
from gateway.protocol.base import MAX_LINE_OCTETS
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import ClientStep
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import MailLogin
from gateway.protocol.base import StartTls
from gateway.protocol.base import UpstreamReady
from gateway.protocol.imap.grammar import UNTAGGED
from gateway.protocol.imap.grammar import Response
from gateway.protocol.imap.grammar import capabilities_in
from gateway.protocol.imap.grammar import is_quotable
from gateway.protocol.imap.grammar import parse_response
from gateway.protocol.script import Script
from gateway.protocol.script import ScriptedClient

# Codes (RFC 5530, RFC 2221) of a tagged NO that say something else than "wrong password".
_REFUSAL_BY_CODE: Final[Mapping[bytes, Refusal]] = MappingProxyType(
    {
        b"EXPIRED": Refusal.EXPIRED,
        b"LIMIT": Refusal.SESSION_LIMIT,
        b"UNAVAILABLE": Refusal.UPSTREAM_UNAVAILABLE,
        b"INUSE": Refusal.UPSTREAM_UNAVAILABLE,
        b"SERVERBUG": Refusal.UPSTREAM_UNAVAILABLE,
        b"PRIVACYREQUIRED": Refusal.UPSTREAM_UNAVAILABLE,
        b"REFERRAL": Refusal.UPSTREAM_UNAVAILABLE,
    }
)
_FORBIDDEN: Final = frozenset(b"\0\r\n")
_PRINTABLE: Final = range(0x20, 0x7F)

_Capabilities = tuple[bytes, ...] | None  # None: not said


@dataclass(frozen=True, slots=True)
class _Answer:
    """The tagged response to a command, and the capabilities said with or before it."""

    response: Response
    capabilities: _Capabilities


def client(settings: ClientSettings, login: MailLogin) -> ScriptedClient:
    """The `ClientDialogue` of IMAP. Raises Refused for a login that IMAP cannot carry."""
    if login.password is None:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "IMAP needs a password for the mail server")
    if not login.user or not login.password or _FORBIDDEN.intersection(login.user + login.password):
        raise Refused(Refusal.BAD_CREDENTIALS, "an empty credential, or NUL, CR or LF in one")
    return ScriptedClient(_script(settings, login, login.password))


def _script(settings: ClientSettings, login: MailLogin, password: bytes) -> Script:
    capabilities = yield from _greeting()
    if settings.start_tls:
        _require_ok((yield from _command(b"g1", b"STARTTLS")), "STARTTLS", otherwise=Refusal.UPSTREAM_UNAVAILABLE)
        yield ClientStep(event=StartTls())
        capabilities = None
    if capabilities is None:
        capabilities = yield from _ask_capabilities(b"g2")
    pieces = _login_pieces(login, password, {each.upper() for each in capabilities or ()})
    answer = yield from _command(b"g3", *pieces)
    _require_ok(answer, "the login")
    capabilities = answer.capabilities
    if capabilities is None:
        capabilities = yield from _ask_capabilities(b"g4")
    yield ClientStep(event=LoggedIn(UpstreamReady(capabilities)))


def _greeting() -> Generator[ClientStep, bytes, _Capabilities]:
    greeting = parse_response((yield ClientStep()))
    _check_untagged(greeting)
    if greeting.tag != UNTAGGED or greeting.status != b"OK":
        raise ProtocolError("the mail server's greeting is none of IMAP")
    return _capabilities_of(greeting)


def _ask_capabilities(tag: bytes) -> Generator[ClientStep, bytes, _Capabilities]:
    """None also when the mail server does not know the command: LOGIN needs none of them."""
    return (yield from _command(tag, b"CAPABILITY")).capabilities


def _command(tag: bytes, *pieces: bytes) -> Generator[ClientStep, bytes, _Answer]:
    """Send the first piece, each other one at a `+`, and read up to the tagged response."""
    capabilities: _Capabilities = None
    waiting = list(pieces[1:])
    send = tag + b" " + pieces[0] + b"\r\n"
    while True:
        response = parse_response((yield ClientStep(send)))
        send = b""
        if response.tag == b"+":
            if not waiting:
                raise ProtocolError("the mail server wants more than there is to say")
            send = waiting.pop(0) + b"\r\n"
            continue
        capabilities = _capabilities_of(response) or capabilities
        if response.tag == tag:
            return _Answer(response, capabilities)
        if response.tag != UNTAGGED:
            raise ProtocolError("the mail server answers what was not asked")
        _check_untagged(response)


def _check_untagged(response: Response) -> None:
    """PREAUTH would make us skip STARTTLS and give every user the same mailbox."""
    if response.status in (b"BYE", b"PREAUTH"):
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, f"the mail server said {response.status.decode()}")


def _capabilities_of(response: Response) -> _Capabilities:
    return capabilities_in(response.code_text) if response.code == b"CAPABILITY" else None


def _require_ok(answer: _Answer, to: str, otherwise: Refusal = Refusal.UPSTREAM_REJECTED) -> None:
    """otherwise: what a NO without a telling code means. BAD is a misunderstanding, not a wrong password."""
    status, code = answer.response.status, answer.response.code
    if status == b"NO":
        told = f" [{code.decode()}]" if code in _REFUSAL_BY_CODE else ""
        raise Refused(_REFUSAL_BY_CODE.get(code, otherwise), f"the mail server answered {to} with NO{told}")
    if status == b"BAD":
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, f"the mail server answered {to} with BAD")
    if status != b"OK":
        raise ProtocolError(f"the mail server answered {to} with neither OK, NO nor BAD")


def _login_pieces(login: MailLogin, password: bytes, capabilities: set[bytes]) -> tuple[bytes, ...]:
    """The command that logs in, without its tag, divided where the mail server's `+` is waited for."""
    has_login = b"LOGINDISABLED" not in capabilities
    if b"AUTH=PLAIN" in capabilities and not (has_login and _is_printable(login.user + password)):
        return _plain_pieces(login, has_initial_response=b"SASL-IR" in capabilities)
    if not has_login:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "the mail server has LOGINDISABLED and no AUTH=PLAIN")
    return _login_command(login.user, password, is_waiting=b"LITERAL+" not in capabilities)


def _plain_pieces(login: MailLogin, *, has_initial_response: bool) -> tuple[bytes, ...]:
    (response,) = sasl.encoded_responses(sasl.PLAIN, login)
    command = b"AUTHENTICATE PLAIN"
    if has_initial_response and len(response) < MAX_LINE_OCTETS - len(command):
        return (command + b" " + response,)
    return command, response


def _login_command(user: bytes, password: bytes, *, is_waiting: bool) -> tuple[bytes, ...]:
    pieces = [b"LOGIN"]
    for credential in (user, password):
        pieces[-1] += b" "
        if is_quotable(credential):
            pieces[-1] += b'"' + credential + b'"'
        elif is_waiting:
            pieces[-1] += b"{%d}" % len(credential)
            pieces.append(credential)
        else:
            pieces[-1] += b"{%d+}\r\n" % len(credential) + credential
    return tuple(pieces)


def _is_printable(octets: bytes) -> bool:
    return all(octet in _PRINTABLE for octet in octets)
