"""IMAP, SERVER role: the dialogue before login.

Frames make up commands (`Draft`), a complete command is looked up in COMMANDS; whatever is not in it is BAD.
Of the client's octets only a valid tag ever comes back to it.
Errors: never raises on client input; a bad command is a reply, a flood or NUL is `Closed`.
Limits: those of grammar.py; a command's text is at most MAX_LINE_OCTETS long, however many literals divide it
(AUTHENTICATE: MAX_AUTH_LINE_OCTETS); the budget of `ServerSettings`.
Source: RFC 9051 sections 6.1, 6.2 and 7.1, RFC 7888 (LITERAL+), RFC 4959 (SASL-IR), RFC 2971 (ID), RFC 5530 (codes).
"""

from collections.abc import Callable
from collections.abc import Mapping
from enum import Enum
from enum import unique
from types import MappingProxyType
from typing import Final
from typing import TypeAlias

from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol import sasl
from gateway.protocol.base import MAX_AUTH_LINE_OCTETS
from gateway.protocol.base import MAX_LINE_OCTETS
from gateway.protocol.base import Closed
from gateway.protocol.base import Line
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import Octets
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import Step
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from gateway.protocol.base import Want
from gateway.protocol.budget import Budget
from gateway.protocol.hostile import is_hostile
from gateway.protocol.imap.grammar import MAX_LITERALS_OCTETS
from gateway.protocol.imap.grammar import MAX_TOKENS
from gateway.protocol.imap.grammar import UNTAGGED
from gateway.protocol.imap.grammar import Draft
from gateway.protocol.imap.grammar import Kind
from gateway.protocol.imap.grammar import LiteralHead
from gateway.protocol.imap.grammar import Token
from gateway.protocol.imap.grammar import is_astring
from gateway.protocol.imap.grammar import is_id_list
from gateway.protocol.imap.grammar import literal_head
from gateway.protocol.imap.replies import FAREWELLS
from gateway.protocol.imap.replies import REFUSALS

# What the mail server announces and the client must not see: done already, not ours to offer, a way round us
# (RFC 2221, 2193), a change of user behind our back (RFC 8437), a length oracle under TLS (RFC 4978, as CRIME).
_HIDDEN_CAPABILITIES: Final = frozenset(
    {
        b"STARTTLS",
        b"LOGINDISABLED",
        b"SASL-IR",
        b"LOGIN-REFERRALS",
        b"MAILBOX-REFERRALS",
        b"UNAUTHENTICATE",
        b"COMPRESS=DEFLATE",
    }
)
# The commands that may have literals, with the number of tokens before which one may stand.
_TOKENS_BEFORE_LITERAL: Final[Mapping[bytes, int]] = MappingProxyType({b"LOGIN": 2, b"ID": MAX_TOKENS - 1})


@unique
class State(Enum):
    """Which frame comes next."""

    TEXT = "text"  # a command's first line, or what follows a literal
    LITERAL = "literal"
    RESPONSE = "response"  # to a SASL challenge


class Server:
    """The `ServerDialogue` of IMAP."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        mechanisms = [b"AUTH=" + name.encode() for name in settings.mechanisms]
        self._capabilities = b" ".join((b"CAPABILITY", *settings.capabilities, *mechanisms))
        self._state = State.TEXT
        self._draft = Draft()
        self._literal_octets = 0  # of the literal that comes next
        self._tag = UNTAGGED  # of the command that is answered
        self._exchange: sasl.Exchange | None = None  # the one whose response comes next
        self._is_first_frame = True
        self._knows_capabilities = False  # the client has asked for them
        self._budget = Budget(settings)

    @property
    def want(self) -> Want:
        if self._state is State.LITERAL:
            return Octets(self._literal_octets)
        return Line(max(0, MAX_AUTH_LINE_OCTETS - self._draft.text_octets))

    def greeting(self) -> bytes:
        return b"* OK [" + self._capabilities + b"] " + self._settings.hostname + b" ready.\r\n"

    def receive(self, frame: bytes) -> Step:
        if is_hostile(frame, first=self._is_first_frame):
            return _close(EndReason.NOT_THIS_PROTOCOL)
        self._is_first_frame = False
        return _RECEIVERS[self._state](self, frame)

    def too_long(self) -> Step:
        return _close(EndReason.LINE_TOO_LONG)

    def accept(self, upstream: UpstreamReady, banner: str | None = None) -> bytes:
        """A client that asked for capabilities ignores those in the OK, so it gets them before (as Dovecot does)."""
        return _alert(banner) + self._logged_in(upstream)

    def _logged_in(self, upstream: UpstreamReady) -> bytes:
        if upstream.capabilities is None:
            return self._tag + b" OK Logged in.\r\n"
        shown = b" ".join((b"CAPABILITY", *(each for each in upstream.capabilities if not _is_hidden(each))))
        if self._knows_capabilities:
            return b"* " + shown + b"\r\n" + self._tag + b" OK Logged in.\r\n"
        return self._tag + b" OK [" + shown + b"] Logged in.\r\n"

    def refuse(self, refusal: Refusal) -> bytes:
        return self._tag + b" " + REFUSALS[refusal]

    def farewell(self, reason: EndReason) -> bytes:
        return FAREWELLS[reason]

    # Frames

    def _receive_text(self, line: bytes) -> Step:
        draft, head = self._draft, literal_head(line)
        draft.text_octets += len(line)
        draft.add_text(line if head is None else line[: head.start], before_literal=head is not None)
        if draft.text_octets > MAX_LINE_OCTETS and draft.verb != b"AUTHENTICATE":
            return self.too_long()
        return self._run_command() if head is None else self._begin_literal(head)

    def _begin_literal(self, head: LiteralHead) -> Step:
        """A client that waits for `+` gets it or BAD; what the others send comes anyway and is read past."""
        draft = self._draft
        if head.octets > MAX_LITERALS_OCTETS - draft.literals_octets:
            if not head.is_waiting:
                return _close(EndReason.LITERAL_TOO_LONG)
            draft.fault = b"Literal too long."
        if len(draft.tokens) >= _TOKENS_BEFORE_LITERAL.get(draft.verb, 0):
            draft.fault = draft.fault or b"No literal here."
        if draft.fault and head.is_waiting:
            return self._run_command()
        self._state, self._literal_octets = State.LITERAL, head.octets
        is_password = draft.verb == b"LOGIN" and len(draft.tokens) == 1 and not draft.fault
        return Step(b"+ OK\r\n" if head.is_waiting else b"", UserNamed() if is_password else None)

    def _receive_literal(self, octets: bytes) -> Step:
        self._draft.add_literal(octets)
        self._state = State.TEXT
        return Step()

    def _receive_response(self, line: bytes) -> Step:
        head, exchange = literal_head(line), self._exchange
        if head is None and exchange is not None:
            return self._follow(exchange.respond(line))
        # Not a response; the literal that comes behind it is no command either.
        self._exchange = None
        self._draft = Draft(self._tag, fault=b"Not a response in base64.", is_begun=True)
        return self._receive_text(line)

    def _run_command(self) -> Step:
        draft, self._draft = self._draft, Draft()
        self._state, self._tag = State.TEXT, draft.tag
        if self._budget.spend_command():
            return _close(EndReason.TOO_MUCH_INPUT)
        if draft.fault:
            return self._bad(draft.fault)
        command = COMMANDS.get(draft.verb)
        return command(self, draft.tokens) if command else self._bad(b"Log in first.")

    # Commands

    def _capability(self, arguments: list[Token]) -> Step:
        if arguments:
            return self._bad(b"CAPABILITY has no arguments.")
        self._knows_capabilities = True
        return self._ok(b"* " + self._capabilities + b"\r\n")

    def _noop(self, arguments: list[Token]) -> Step:
        return self._bad(b"NOOP has no arguments.") if arguments else self._ok()

    def _logout(self, arguments: list[Token]) -> Step:
        if arguments:
            return self._bad(b"LOGOUT has no arguments.")
        return Step(self._ok(FAREWELLS[EndReason.LOGOUT]).reply, Closed(EndReason.LOGOUT))

    def _id(self, arguments: list[Token]) -> Step:
        """What the client says of itself is checked and forgotten; of ourselves we say nothing."""
        return self._ok(b"* ID NIL\r\n") if is_id_list(arguments) else self._bad(b"Not a list for ID.")

    def _starttls(self, arguments: list[Token]) -> Step:
        return self._bad(b"TLS is on.")

    def _login(self, arguments: list[Token]) -> Step:
        if len(arguments) != 2 or not all(map(is_astring, arguments)):
            return self._bad(b"LOGIN has a user name and a password.")
        user, password = arguments
        return Step(event=LoginAttempt("LOGIN", user.octets, password.octets))

    def _authenticate(self, arguments: list[Token]) -> Step:
        """An initial response is an atom: in no mail program is it a literal (CVE-2025-59032)."""
        if len(arguments) not in (1, 2) or any(each.kind is not Kind.ATOM for each in arguments):
            return self._bad(b"AUTHENTICATE has a mechanism and perhaps an initial response.")
        mechanism = sasl.find(arguments[0].octets, self._settings.mechanisms)
        if mechanism is None:
            return Step(self._tag + b" NO Mechanism not supported.\r\n")
        self._exchange = sasl.Exchange(mechanism)
        return self._follow(self._exchange.start(arguments[1].octets if len(arguments) > 1 else None))

    def _follow(self, outcome: sasl.Outcome) -> Step:
        if isinstance(outcome, sasl.Ask):
            self._state = State.RESPONSE
            return Step(b"+ " + outcome.challenge + b"\r\n", UserNamed() if outcome.user_named else None)
        self._state, self._exchange = State.TEXT, None
        if isinstance(outcome, LoginAttempt):
            return Step(event=outcome)
        if outcome is sasl.Aborted.CANCELLED:
            return Step(self._tag + b" BAD Authentication cancelled.\r\n")
        return self._bad(b"Malformed response.")

    # Replies

    def _ok(self, untagged: bytes = b"") -> Step:
        return Step(untagged + self._tag + b" OK Done.\r\n")

    def _bad(self, text: bytes) -> Step:
        reply = self._tag + b" BAD " + text + b"\r\n"
        if self._budget.spend_error():
            return Step(reply + FAREWELLS[EndReason.TOO_MANY_ERRORS], Closed(EndReason.TOO_MANY_ERRORS))
        return Step(reply)


def _close(reason: EndReason) -> Step:
    return Step(FAREWELLS[reason], Closed(reason))


def _is_hidden(capability: bytes) -> bool:
    name = capability.upper()
    return name in _HIDDEN_CAPABILITIES or name.startswith(b"AUTH=")


_Command: TypeAlias = Callable[[Server, list[Token]], Step]

# All commands there are before login; they have no second state, so the verb is the key.
COMMANDS: Final[Mapping[bytes, _Command]] = MappingProxyType(
    {
        b"CAPABILITY": Server._capability,
        b"NOOP": Server._noop,
        b"LOGOUT": Server._logout,
        b"ID": Server._id,
        b"STARTTLS": Server._starttls,
        b"LOGIN": Server._login,
        b"AUTHENTICATE": Server._authenticate,
    }
)

_RECEIVERS: Final[Mapping[State, Callable[[Server, bytes], Step]]] = MappingProxyType(
    {
        State.TEXT: Server._receive_text,
        State.LITERAL: Server._receive_literal,
        State.RESPONSE: Server._receive_response,
    }
)


def _alert(banner: str | None) -> bytes:
    """A text that the program must show its user (RFC 9051 section 7.1)."""
    return b"* OK [ALERT] " + " ".join(banner.split()).encode() + b"\r\n" if banner else b""
