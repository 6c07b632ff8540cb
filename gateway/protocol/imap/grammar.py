"""The IMAP grammar, as much of it as there is before login: commands with their literals, and a mail server's lines.

A command is text, literal, text, literal, ... text. `Draft` takes these as they arrive and keeps nothing but tokens;
what is wrong with a command is noted in it, not raised, because the command goes on: its literals have to be read past,
or their content would be taken for commands.

We read more than the grammar allows where mail programs do: an atom may hold 8-bit octets (curl sends names so), `%`,
`*`, `\\` and `]` (imaplib sends a user name as it is), as it may for Dovecot; arguments may stand further apart.
Errors: `parse_response` raises `ProtocolError`; a Draft raises nothing.
Limits: MAX_TAG_OCTETS, MAX_LITERALS_OCTETS and MAX_TOKENS a command, on top of the framing's line limit.
Source: RFC 9051 sections 4 and 9, RFC 3501 section 9, RFC 7888 (LITERAL+), RFC 2971 (ID).
"""

import re
from dataclasses import dataclass
from dataclasses import field
from enum import Enum
from enum import unique
from typing import Final

from gateway.errors import ProtocolError

MAX_TAG_OCTETS: Final = 64  # no mail program's is over 20; it comes back in every answer
MAX_LITERALS_OCTETS: Final = 8192  # all of a command's together: as much again as a line (base.MAX_LINE_OCTETS)
MAX_ID_PAIRS: Final = 30  # this and the two below: RFC 2971 section 3.3
MAX_ID_FIELD_OCTETS: Final = 30
MAX_ID_VALUE_OCTETS: Final = 1024
MAX_TOKENS: Final = 2 * MAX_ID_PAIRS + 2  # ID with its parentheses is the longest command
MAX_LITERAL_DIGITS: Final = 10  # number64 has more, number has no more; nothing that long is read
MAX_QUOTED_OCTETS: Final = 1024  # that we send: two of them are well within any server's line

UNTAGGED: Final = b"*"

# RFC 9051 section 9: ASTRING-CHAR without "+".
_TAG: Final = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,%d}" % MAX_TAG_OCTETS)
_CAPABILITY: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_VALUE_END: Final = rb"(?=[ )]|\Z)"
_TOKEN: Final = re.compile(
    rb'(?:"(?P<STRING>(?:[^"\\\x00\r\n]|\\["\\])*+)"%(end)s'
    rb'|(?P<ATOM>[^\x00-\x20\x7f(){"]++)%(end)s'
    rb"|(?P<OPEN>\()"
    rb"|(?P<CLOSE>\))%(end)s) *+" % {b"end": _VALUE_END}
)
_QUOTABLE: Final = re.compile(rb"[ !#-\[\]-~]{0,%d}" % MAX_QUOTED_OCTETS)
_QUOTED_SPECIAL: Final = re.compile(rb'\\(["\\])')


@unique
class Kind(Enum):
    """What a token is; the names are those of the groups in _TOKEN."""

    ATOM = "atom"
    STRING = "string"  # quoted or literal
    OPEN = "("
    CLOSE = ")"


@dataclass(frozen=True, slots=True)
class Token:
    """One argument, without quotes and escapes."""

    kind: Kind
    octets: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class LiteralHead:
    """The `{n}` or `{n+}` that ends a line. start: where in the line; is_waiting: the client waits for our `+`."""

    start: int
    octets: int
    is_waiting: bool


def literal_head(line: bytes) -> LiteralHead | None:
    """The end of a line decides, wherever in a command it stands: reading past too much is harmless, too little not."""
    start = line.rfind(b"{")
    if start < 0 or not line.endswith(b"}"):
        return None
    digits = line[start + 1 : -1].removesuffix(b"+")
    if not digits.isdigit():
        return None
    octets = int(digits) if len(digits) <= MAX_LITERAL_DIGITS else 10**MAX_LITERAL_DIGITS
    return LiteralHead(start, octets, is_waiting=not line.endswith(b"+}"))


@dataclass(slots=True)
class Draft:
    """A command as it arrives. tag: UNTAGGED until a valid one was read. fault: what is wrong with it, empty: nothing.

    text_octets counts the lines whole, `{n}` and all; it is the reader's to keep. literals_octets is the literals'.
    """

    tag: bytes = UNTAGGED
    verb: bytes = b""
    tokens: list[Token] = field(default_factory=list)
    fault: bytes = b""
    text_octets: int = 0
    literals_octets: int = 0
    is_begun: bool = False

    def add_text(self, text: bytes, *, before_literal: bool = False) -> None:
        """Take a line, or what stands in it before the literal's head."""
        if before_literal and not text.endswith((b" ", b"(")):
            self.fault = self.fault or b"A literal is an argument of its own."
        if not self.is_begun:
            self.is_begun = True
            text = self._take_tag_and_verb(text)
        elif text and not text.startswith((b" ", b")")):
            self.fault = self.fault or b"No space behind a literal."
        self._add_tokens(text)

    def add_literal(self, octets: bytes) -> None:
        self.literals_octets += len(octets)
        self._add(Token(Kind.STRING, octets))

    def _take_tag_and_verb(self, text: bytes) -> bytes:
        tag, _, rest = text.partition(b" ")
        if not _TAG.fullmatch(tag):
            self.fault = b"No valid tag."
            return b""
        verb, _, arguments = rest.partition(b" ")
        self.tag, self.verb = tag, verb.upper()
        return arguments

    def _add_tokens(self, text: bytes) -> None:
        position = len(text) - len(text.lstrip(b" "))
        while position < len(text) and not self.fault:
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                self.fault = b"Syntax error in the arguments."
                return
            kind = Kind[found.lastgroup]
            octets = found[kind.name]
            self._add(Token(kind, _QUOTED_SPECIAL.sub(rb"\1", octets) if kind is Kind.STRING else octets))
            position = found.end()

    def _add(self, token: Token) -> None:
        if len(self.tokens) == MAX_TOKENS:
            self.fault = self.fault or b"Too many arguments."
        if self.fault:
            self.tokens.clear()
        else:
            self.tokens.append(token)


def is_quotable(octets: bytes) -> bool:
    """Whether every mail server understands these octets between quotes, with nothing to escape."""
    return _QUOTABLE.fullmatch(octets) is not None


def is_astring(token: Token) -> bool:
    return token.kind in (Kind.ATOM, Kind.STRING)


def is_nil(token: Token) -> bool:
    return token.kind is Kind.ATOM and token.octets.upper() == b"NIL"


def is_id_list(tokens: list[Token]) -> bool:
    """Whether these are the arguments of ID: NIL, or one flat list of pairs within the limits of RFC 2971."""
    if len(tokens) == 1:
        return is_nil(tokens[0])
    if len(tokens) < 2 or tokens[0].kind is not Kind.OPEN or tokens[-1].kind is not Kind.CLOSE:
        return False
    fields, values = tokens[1:-1:2], tokens[2:-1:2]
    return (
        len(fields) == len(values)
        and all(each.kind is Kind.STRING and len(each.octets) <= MAX_ID_FIELD_OCTETS for each in fields)
        and all(
            is_nil(each) or (each.kind is Kind.STRING and len(each.octets) <= MAX_ID_VALUE_OCTETS) for each in values
        )
    )


@dataclass(frozen=True, slots=True)
class Response:
    """One line of a mail server. tag: `*`, `+` or a tag of ours.

    status: the word behind the tag, in capitals. code: what the brackets behind OK, NO, BAD, BYE and PREAUTH hold,
    its name in capitals; code_text: the rest of it. For `* CAPABILITY` code and code_text are filled just so.
    """

    tag: bytes
    status: bytes = b""
    code: bytes = b""
    code_text: bytes = b""


def parse_response(line: bytes) -> Response:
    """Raises ProtocolError for a line that no mail server has a reason to send before login."""
    if b"\0" in line or literal_head(line):
        raise ProtocolError(f"NUL or a literal in {len(line)} octets of the mail server")
    tag, _, rest = line.partition(b" ")
    if tag == b"+":
        return Response(tag)
    status, _, text = rest.partition(b" ")
    status = status.upper()
    if not status:
        raise ProtocolError(f"{len(line)} octets of the mail server that are no response")
    if status == b"CAPABILITY":
        return Response(tag, status, status, text)
    if not text.startswith(b"[") or b"]" not in text:
        return Response(tag, status)
    code, _, code_text = text[1 : text.index(b"]")].partition(b" ")
    return Response(tag, status, code.upper(), code_text)


def capabilities_in(text: bytes) -> tuple[bytes, ...]:
    """The capabilities in a mail server's list; what is not an atom is left out, since the list is passed on."""
    return tuple(word for word in text.split(b" ") if _CAPABILITY.fullmatch(word))
