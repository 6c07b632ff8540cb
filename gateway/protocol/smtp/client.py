"""SMTP submission, CLIENT role: from the mail server's greeting to the end of our login.

Without a password there is no AUTH: the mail server trusts us by our address.

Errors: `Refused` with the reply's code, never its text, which may repeat what we sent; `ProtocolError`.
Limits: those of `script`.
Source: RFC 5321 sections 3.1, 3.2 and 4.2, RFC 3207 (STARTTLS), RFC 4954 (AUTH).
"""

from collections.abc import Generator
from dataclasses import dataclass
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
from gateway.protocol.script import Script
from gateway.protocol.script import ScriptedClient
from gateway.protocol.smtp.grammar import MAX_COMMAND_OCTETS
from gateway.protocol.smtp.grammar import parse_reply_line

# Answers to AUTH that are no verdict on the credentials: syntax, sequence, mechanism, encryption (RFC 4954 section 6).
_NOT_ABOUT_CREDENTIALS: Final = frozenset((500, 501, 502, 503, 504, 521, 523, 530, 534, 538))


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    texts: tuple[bytes, ...]


def client(settings: ClientSettings, login: MailLogin) -> ScriptedClient:
    """The `ClientDialogue` of SMTP."""
    return ScriptedClient(_script(settings, login))


def _script(settings: ClientSettings, login: MailLogin) -> Script:
    hello = b"EHLO " + settings.hostname + b"\r\n"
    _require(220, (yield from _say(b"")), "the greeting")
    extensions = _require(250, (yield from _say(hello)), "EHLO").texts[1:]
    if settings.start_tls:
        yield from _start_tls(extensions)
        extensions = _require(250, (yield from _say(hello)), "EHLO").texts[1:]
    if login.password is not None:
        yield from _authenticate(extensions, login)
    yield ClientStep(event=LoggedIn(UpstreamReady(extensions)))


def _start_tls(extensions: tuple[bytes, ...]) -> Script:
    if _parameters(extensions, b"STARTTLS") is None:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "the mail server offers no STARTTLS")
    _require(220, (yield from _say(b"STARTTLS\r\n")), "STARTTLS")
    yield ClientStep(event=StartTls())


def _authenticate(extensions: tuple[bytes, ...], login: MailLogin) -> Script:
    announced = _parameters(extensions, b"AUTH")
    if announced is None:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "the mail server offers no AUTH")
    mechanism = sasl.best(announced)
    if mechanism is None:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, "the mail server offers no AUTH mechanism that we know")
    command, *answers = _auth_lines(mechanism, login)
    reply = yield from _say(command)
    for answer in answers:
        _require_auth(334, reply)
        reply = yield from _say(answer)
    _require_auth(235, reply)


def _auth_lines(mechanism: sasl.Mechanism, login: MailLogin) -> list[bytes]:
    """The AUTH command and what answers each challenge after it. Raises Refused."""
    command = b"AUTH " + mechanism.name.encode()
    responses = [response + b"\r\n" for response in sasl.encoded_responses(mechanism, login)]
    # RFC 4954 section 4: an initial response is sent only when the command with it is of an ordinary length.
    if mechanism.client_first and len(command) + 1 + len(responses[0]) <= MAX_COMMAND_OCTETS:
        return [command + b" " + responses[0], *responses[1:]]
    return [command + b"\r\n", *responses]


def _parameters(extensions: tuple[bytes, ...], keyword: bytes) -> list[bytes] | None:
    """What the mail server says behind an EHLO keyword; None: it has not announced it."""
    for extension in extensions:
        name, *parameters = extension.upper().split() or [b""]
        if name == keyword:
            return parameters
    return None


def _say(octets: bytes) -> Generator[ClientStep, bytes, Reply]:
    """Say something and hear the whole of a perhaps many-lined reply."""
    line = parse_reply_line((yield ClientStep(octets)))
    code, texts = line.code, [line.text]
    while not line.is_last:
        line = parse_reply_line((yield ClientStep()))
        if line.code != code:
            raise ProtocolError(f"the mail server's reply begins with {code} and goes on with {line.code}")
        texts.append(line.text)
    return Reply(code, tuple(texts))


def _require(code: int, reply: Reply, to: str) -> Reply:
    """Of replies in which there is nothing of the user's."""
    if reply.code >= 400:
        raise Refused(Refusal.UPSTREAM_UNAVAILABLE, f"the mail server answered {to} with {reply.code}")
    if reply.code != code:
        raise ProtocolError(f"the mail server answered {to} with {reply.code}")
    return reply


def _require_auth(code: int, reply: Reply) -> None:
    if reply.code >= 500 and reply.code not in _NOT_ABOUT_CREDENTIALS:
        raise Refused(Refusal.UPSTREAM_REJECTED, f"the mail server answered AUTH with {reply.code}")
    _require(code, reply, "AUTH")
