"""POP3: the form of commands and replies.

Errors: a command is always readable (an unknown keyword is the dialogue's matter); `parse_reply` raises ProtocolError.
Source: RFC 1939 sections 3 and 9, RFC 2449 sections 4, 5 and 8, RFC 5034 section 6.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from enum import Enum
from enum import unique
from typing import Final

from gateway.errors import ProtocolError

# A command line with its CRLF (RFC 2449 section 4); what we send keeps to it, what we accept is longer.
MAX_COMMAND_OCTETS: Final = 255


@dataclass(frozen=True, slots=True)
class Command:
    """argument: all behind the first space, spaces included, because a password may have them (RFC 1939 section 7)."""

    keyword: bytes
    argument: bytes = field(repr=False)


@unique
class Status(Enum):
    OK = b"+OK"
    ERR = b"-ERR"
    CHALLENGE = b"+"


@dataclass(frozen=True, slots=True)
class Reply:
    """code: that of RFC 2449 section 8 in upper case, without its brackets; empty: none."""

    status: Status
    code: bytes = b""


def parse_command(line: bytes) -> Command:
    keyword, _, argument = line.partition(b" ")
    return Command(keyword.upper(), argument)


def parse_reply(line: bytes) -> Reply:
    for status in Status:
        if line == status.value or line.startswith(status.value + b" "):
            return Reply(status, _response_code(line.removeprefix(status.value)))
    raise ProtocolError(f"a line of {len(line)} octets that is not a POP3 reply")


def multi_line(first: bytes, lines: Iterable[bytes]) -> bytes:
    """A multi-line reply. The lines are ours: none begins with the dot that would need another."""
    return b"".join(line + b"\r\n" for line in (first, *lines, b"."))


def _response_code(text: bytes) -> bytes:
    opening, bracket, _ = text.partition(b"]")
    return opening[2:].upper() if bracket and opening.startswith(b" [") else b""
