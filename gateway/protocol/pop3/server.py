"""POP3, SERVER role: the dialogue before login (the AUTHORIZATION state).

USER is always welcome, so that nobody learns who exists. APOP is not offered: its secret would have to be readable,
and its time stamp be the mail server's. STLS is not either: TLS is on.

Errors: never raises on client input; a bad line is a reply, a flood is `Closed`.
Limits: MAX_LINE_OCTETS a line, MAX_AUTH_LINE_OCTETS for AUTH and what belongs to it; the budget of `ServerSettings`.
Source: RFC 1939 sections 4 and 7, RFC 2449 (CAPA), RFC 5034 (AUTH), RFC 3206 (AUTH, SYS/TEMP), RFC 2449 (IN-USE).
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
from gateway.protocol.pop3.grammar import multi_line
from gateway.protocol.pop3.grammar import parse_command
from gateway.protocol.pop3.replies import FAREWELLS
from gateway.protocol.pop3.replies import REFUSALS


class Server:
    """The `ServerDialogue` of POP3."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._budget = Budget(settings)
        self._is_first = True
        self._user: bytes | None = None  # what USER gave, until PASS
        self._exchange: sasl.Exchange | None = None

    @property
    def want(self) -> Line:
        return Line(MAX_AUTH_LINE_OCTETS)

    def greeting(self) -> bytes:
        return b"+OK " + self._settings.hostname + b" ready.\r\n"

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
        return b"+OK Logged in.\r\n"

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
        if len(line) > MAX_LINE_OCTETS and command.keyword != b"AUTH":
            return self.too_long()
        if self._budget.spend_command():
            return self._close(EndReason.TOO_MUCH_INPUT)
        handler = _COMMANDS.get(command.keyword)
        if handler is None:
            return self._error(b"-ERR Unknown command.\r\n")
        return handler(self, command.argument)

    def _capa(self, _: bytes) -> Step:
        sasl_line = b" ".join((b"SASL", *self._mechanism_names()))
        return Step(multi_line(b"+OK Capability list follows.", (*self._settings.capabilities, sasl_line)))

    def _noop(self, _: bytes) -> Step:
        return Step(b"+OK\r\n")

    def _quit(self, _: bytes) -> Step:
        return self._close(EndReason.LOGOUT)

    def _stls(self, _: bytes) -> Step:
        return self._error(b"-ERR TLS is already on.\r\n")

    def _apop(self, _: bytes) -> Step:
        return self._error(b"-ERR APOP is not offered.\r\n")

    def _name_user(self, user: bytes) -> Step:
        if not user:
            return self._error(b"-ERR USER needs a name.\r\n")
        self._user = user
        return Step(b"+OK\r\n", UserNamed())

    def _pass(self, password: bytes) -> Step:
        user, self._user = self._user, None
        if user is None:
            return self._error(b"-ERR USER first.\r\n")
        return Step(event=LoginAttempt("USER", user, password))

    def _auth(self, argument: bytes) -> Step:
        name, _, initial = argument.partition(b" ")
        if not name:
            return Step(multi_line(b"+OK Mechanisms follow.", self._mechanism_names()))
        mechanism = sasl.find(name, self._settings.mechanisms)
        if mechanism is None:
            return self._error(b"-ERR Unknown mechanism.\r\n")
        self._user = None
        exchange = sasl.Exchange(mechanism)
        return self._follow(exchange, exchange.start(initial or None))

    def _follow(self, exchange: sasl.Exchange, outcome: sasl.Outcome) -> Step:
        if isinstance(outcome, sasl.Ask):
            self._exchange = exchange
            return Step(b"+ " + outcome.challenge + b"\r\n", UserNamed() if outcome.user_named else None)
        self._exchange = None
        if isinstance(outcome, LoginAttempt):
            return Step(event=outcome)
        if outcome is sasl.Aborted.CANCELLED:
            return Step(b"-ERR Authentication cancelled.\r\n")
        return self._error(b"-ERR Malformed authentication data.\r\n")

    def _mechanism_names(self) -> tuple[bytes, ...]:
        return tuple(name.encode() for name in self._settings.mechanisms)


_COMMANDS: Final[Mapping[bytes, Callable[[Server, bytes], Step]]] = MappingProxyType(
    {
        b"APOP": Server._apop,
        b"AUTH": Server._auth,
        b"CAPA": Server._capa,
        b"NOOP": Server._noop,
        b"PASS": Server._pass,
        b"QUIT": Server._quit,
        b"STLS": Server._stls,
        b"USER": Server._name_user,
    }
)
