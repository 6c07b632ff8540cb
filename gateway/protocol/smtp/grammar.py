"""SMTP: the form of commands and replies.

Errors: a command is always readable, an unknown verb is the dialogue's matter; `parse_reply_line` raises ProtocolError.
Source: RFC 5321 sections 2.4, 4.1.1 and 4.2.1, RFC 2034 section 4 (enhanced codes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Final

from gateway.errors import ProtocolError

# A command line with its CRLF (RFC 5321 section 4.5.3.1.4); what we send keeps to it, what we accept is longer.
MAX_COMMAND_OCTETS: Final = 512


@dataclass(frozen=True, slots=True)
class Command:
    verb: bytes
    argument: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReplyLine:
    """One line of a reply, which may have more."""

    code: int
    is_last: bool
    text: bytes


def parse_command(line: bytes) -> Command:
    """Blanks at the end are forgiven (RFC 5321 section 4.1.1)."""
    verb, _, argument = line.rstrip(b" \t").partition(b" ")
    return Command(verb.upper(), argument)


def parse_reply_line(line: bytes) -> ReplyLine:
    code, separator, text = line[:3], line[3:4], line[4:]
    if len(code) != 3 or not code.isdigit() or not b"200" <= code <= b"599" or separator not in (b"", b" ", b"-"):
        raise ProtocolError(f"a line of {len(line)} octets that is not an SMTP reply")
    return ReplyLine(int(code), separator != b"-", text)


def multi_line(code: bytes, texts: Sequence[bytes]) -> bytes:
    """A reply of at least one line."""
    *earlier, last = texts
    return b"".join(code + b"-" + text + b"\r\n" for text in earlier) + code + b" " + last + b"\r\n"
