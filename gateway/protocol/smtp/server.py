"""SMTP submission, SERVER role: the dialogue before login.

Nothing but AUTH gets anywhere. Commands that would do work are known, and answered by 530, without counting as errors:
a client that pipelines them behind a failed AUTH has done nothing wrong.

Errors: never raises on client input; a bad line is a reply, a flood is `Closed`.
Limits: MAX_LINE_OCTETS a line, MAX_AUTH_LINE_OCTETS for AUTH and what belongs to it; the budget of `ServerSettings`.
Source: RFC 5321 section 4, RFC 6409 section 4, RFC 4954 (AUTH), RFC 2034 and 3463 (enhanced codes), RFC 8314.
"""

from collections.abc import Callable
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol import sasl
from gateway.protocol.base import MAX_AUTH_LINE_OCTETS
from gateway.protocol.base import MAX_LINE_OCTETS
from gateway.protocol.base import Closed
from gateway.protocol.base import Line
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import Step
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from gateway.protocol.budget import Budget
from gateway.protocol.hostile import is_hostile
from gateway.protocol.smtp.grammar import multi_line
from gateway.protocol.smtp.grammar import parse_command
from gateway.protocol.smtp.replies import FAREWELLS
from gateway.protocol.smtp.replies import REFUSALS

_AUTHENTICATION_REQUIRED: Final = b"530 5.7.0 Authentication required\r\n"
_OK: Final = b"250 2.0.0 OK\r\n"


class Server:
    """The `ServerDialogue` of SMTP."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._budget = Budget(settings)
        self._is_first = True
        self._has_greeted = False
        self._exchange: sasl.Exchange | None = None

    @property
    def want(self) -> Line:
        return Line(MAX_AUTH_LINE_OCTETS)

    def greeting(self) -> bytes:
        return b"220 " + self._settings.hostname + b" ESMTP\r\n"

    def receive(self, frame: bytes) -> Step:
        if is_hostile(frame, first=self._is_first):
            return self._close(EndReason.NOT_THIS_PROTOCOL)
        self._is_first = False
        if self._exchange is not None:
            return self._follow(self._exchange, self._exchange.respond(frame))
        return self._command(frame)

    def too_long(self) -> Step:
        return self._close(EndReason.LINE_TOO_LONG)

    def accept(self, upstream: UpstreamReady, banner: str | None = None) -> bytes:
        """The capabilities stay those of our EHLO: a client need not ask again (RFC 4954 section 4)."""
        return b"235 2.7.0 Authentication successful\r\n"

    def refuse(self, refusal: Refusal) -> bytes:
        return REFUSALS[refusal]

    def farewell(self, reason: EndReason) -> bytes:
        return FAREWELLS[reason]

    def _close(self, reason: EndReason) -> Step:
        return Step(FAREWELLS[reason], Closed(reason))

    def _error(self, reply: bytes) -> Step:
        return self._close(EndReason.TOO_MANY_ERRORS) if self._budget.spend_error() else Step(reply)

    def _command(self, line: bytes) -> Step:
        command = parse_command(line)
        if len(line) > MAX_LINE_OCTETS and command.verb != b"AUTH":
            return self.too_long()
        if self._budget.spend_command():
            return self._close(EndReason.TOO_MUCH_INPUT)
        handler = _COMMANDS.get(command.verb)
        if handler is None:
            return self._error(b"500 5.5.2 Unknown command\r\n")
        return handler(self, command.argument)

    def _ehlo(self, domain: bytes) -> Step:
        if not domain:
            return self._error(b"501 5.5.4 EHLO needs a name\r\n")
        self._has_greeted = True
        auth = b" ".join((b"AUTH", *(name.encode() for name in self._settings.mechanisms)))
        return Step(multi_line(b"250", (self._settings.hostname, *self._settings.capabilities, auth)))

    def _helo(self, domain: bytes) -> Step:
        if not domain:
            return self._error(b"501 5.5.4 HELO needs a name\r\n")
        self._has_greeted = True
        return Step(multi_line(b"250", (self._settings.hostname,)))

    def _ok(self, _: bytes) -> Step:
        return Step(_OK)

    def _quit(self, _: bytes) -> Step:
        return self._close(EndReason.LOGOUT)

    def _starttls(self, _: bytes) -> Step:
        return self._error(b"502 5.5.1 TLS is already on\r\n")

    def _after_login_only(self, _: bytes) -> Step:
        return Step(_AUTHENTICATION_REQUIRED)

    def _bdat(self, _: bytes) -> Step:
        """Its octets follow unasked (RFC 3030 section 2); read as lines they would be commands."""
        return Step(_AUTHENTICATION_REQUIRED, Closed(EndReason.TOO_MUCH_INPUT))

    def _auth(self, argument: bytes) -> Step:
        name, _, initial = argument.partition(b" ")
        if not self._has_greeted:
            return self._error(b"503 5.5.1 EHLO first\r\n")
        if not name:
            return self._error(b"501 5.5.4 AUTH needs a mechanism\r\n")
        mechanism = sasl.find(name, self._settings.mechanisms)
        if mechanism is None:
            return self._error(b"504 5.5.4 Unknown mechanism\r\n")
        exchange = sasl.Exchange(mechanism)
        return self._follow(exchange, exchange.start(initial or None))

    def _follow(self, exchange: sasl.Exchange, outcome: sasl.Outcome) -> Step:
        if isinstance(outcome, sasl.Ask):
            self._exchange = exchange
            return Step(b"334 " + outcome.challenge + b"\r\n", UserNamed() if outcome.user_named else None)
        self._exchange = None
        if isinstance(outcome, LoginAttempt):
            return Step(event=outcome)
        if outcome is sasl.Aborted.CANCELLED:
            return Step(b"501 5.5.2 Authentication cancelled\r\n")
        return self._error(b"501 5.5.2 Malformed authentication data\r\n")


_COMMANDS: Final[Mapping[bytes, Callable[[Server, bytes], Step]]] = MappingProxyType(
    {
        b"AUTH": Server._auth,
        b"BDAT": Server._bdat,
        b"EHLO": Server._ehlo,
        b"HELO": Server._helo,
        b"NOOP": Server._ok,
        b"QUIT": Server._quit,
        b"RSET": Server._ok,
        b"STARTTLS": Server._starttls,
        # RFC 4954 section 6: 530 is due to any other command
        **dict.fromkeys(
            (b"BURL", b"DATA", b"ETRN", b"EXPN", b"HELP", b"MAIL", b"RCPT", b"VRFY"), Server._after_login_only
        ),
    }
)
