"""IMAP's syntax: the arguments of a command taken apart, values put into responses.

Text is octets as Latin-1 throughout, so that nothing is lost and nothing can fail to decode.
Errors: `Bad`, whose text is the response. Limits: MAX_DEPTH nested lists.
Source: RFC 9051 sections 4 and 9, RFC 7888 (LITERAL+).
"""

import re
from typing import Final
from typing import TypeAlias

from gateway.errors import GatewayError

MAX_DEPTH: Final = 20
# A section is part of the atom: BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.100>.
_ATOM: Final = re.compile(rb"[^\s(){\"\[]*(?:\[[^\]]*\])?[^\s(){\"\[]*")
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LITERAL: Final = re.compile(rb"\{([0-9]{1,9})\+?\}\r\n")
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_QUOTABLE: Final = re.compile(r"[\x20-\x7e]*")

# An atom is str, a quoted string or a literal is bytes.
Value: TypeAlias = "str | bytes | list[Value]"


class No(GatewayError):
    """The command cannot be done; the text of the NO."""


class Bad(GatewayError):
    """The command was not understood; the text of the BAD."""


class Arguments:
    """What stands behind the name of a command, literals included, taken from the left."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def is_empty(self) -> bool:
        return not self._octets[self._at :].strip(b" ")

    def value(self) -> Value:
        """The next one; it may be an empty atom at the end."""
        return self._value(0)

    def text(self) -> str:
        """The next one, an atom or a string."""
        if self.is_empty():
            raise Bad("an argument is missing")
        return text_of(self.value())

    def octets(self) -> bytes:
        return self.text().encode("latin-1")

    def values(self) -> list[Value]:
        """All that are left."""
        found: list[Value] = []
        while not self.is_empty():
            found.append(self.value())
        return found

    def _value(self, depth: int) -> Value:
        self._skip_blanks()
        match self._octets[self._at : self._at + 1]:
            case b"(":
                return self._list(depth)
            case b'"':
                return _ESCAPED.sub(rb"\1", self._match(_QUOTED)[1])
            case b"{":
                return self._literal()
            case b")":
                raise Bad("there is a ) too many")
            case _:
                return self._atom()

    def _list(self, depth: int) -> Value:
        if depth >= MAX_DEPTH:
            raise Bad("lists are nested too deep")
        self._at += 1
        found: list[Value] = []
        while not self._octets.startswith(b")", self._at):
            if self.is_empty():
                raise Bad("a ) is missing")
            found.append(self._value(depth + 1))
            self._skip_blanks()
        self._at += 1
        return found

    def _atom(self) -> str:
        atom = self._match(_ATOM)[0]
        if not atom and not self.is_empty():
            raise Bad("there is a character that can be in no argument")
        return atom.decode("latin-1")

    def _literal(self) -> bytes:
        length = int(self._match(_LITERAL)[1])
        start = self._at
        self._at += length
        return self._octets[start : self._at]

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        match = pattern.match(self._octets, self._at)
        if match is None:
            raise Bad("a string has no end")
        self._at = match.end()
        return match

    def _skip_blanks(self) -> None:
        while self._octets.startswith(b" ", self._at):
            self._at += 1


def text_of(value: Value) -> str:
    """Of an atom or a string. Raises Bad for a list."""
    if isinstance(value, list):
        raise Bad("a list stands where a string should")
    return value.decode("latin-1") if isinstance(value, bytes) else value


def items_of(value: Value) -> list[Value]:
    """Of a list; a single value counts as a list of one."""
    return value if isinstance(value, list) else [value]


def string(text: str | bytes) -> bytes:
    """As a quoted string where that is possible, else as a literal."""
    octets = text.encode("latin-1", "replace") if isinstance(text, str) else text
    plain = octets.decode("latin-1")
    if len(octets) < 1000 and _QUOTABLE.fullmatch(plain) and not {'"', "\\"} & set(plain):
        return b'"' + octets + b'"'
    return literal(octets)


def literal(octets: bytes) -> bytes:
    return b"{%d}\r\n" % len(octets) + octets


def nstring(text: str | None) -> bytes:
    """A string, or NIL for none."""
    return b"NIL" if text is None else string(text)


def parenthesised(*values: bytes) -> bytes:
    return b"(" + b" ".join(values) + b")"
