"""SMTP into the store: takes mail for the accounts there are, without AUTH, since it listens on loopback only.

Limits: MAX_LINE_OCTETS, MAX_MESSAGE_OCTETS, MAX_RECIPIENTS.
Source: RFC 5321; its extensions are announced so that a gateway in front may announce them: RFC 1870 (SIZE),
RFC 2920 (PIPELINING), RFC 6152 (8BITMIME), RFC 3461 (DSN; its parameters are taken and passed over).
"""

import re
from collections.abc import Callable
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from gateway.demo.mail_servers.connection import Connection
from gateway.demo.mail_servers.connection import TooLong
from gateway.demo.mail_servers.store import Account
from gateway.demo.mail_servers.store import FolderFull
from gateway.demo.mail_servers.store import PostOffice
from gateway.errors import GatewayError

MAX_LINE_OCTETS: Final = 1024 * 1024  # strict about nothing: RFC 5321 allows 1000
MAX_MESSAGE_OCTETS: Final = 25 * 1024 * 1024
MAX_RECIPIENTS: Final = 100
_EXTENSIONS: Final = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", f"SIZE {MAX_MESSAGE_OCTETS}")
_PATH: Final = re.compile(r"(?:FROM|TO):\s*<?([^<>\s]*)>?(?:\s.*)?", re.IGNORECASE)


class _Refusal(GatewayError):
    """A reply of 4xx or 5xx."""


class SmtpSession:
    """One conversation, from greeting to QUIT."""

    def __init__(self, connection: Connection, post_office: PostOffice) -> None:
        self._connection = connection
        self._post_office = post_office
        self._hello = ""
        self._sender: str | None = None
        self._recipients: dict[str, Account] = {}
        self._is_open = True

    def run(self) -> None:
        self._say("220 the demo's SMTP server")
        while self._is_open:
            try:
                self._obey(self._connection.line(MAX_LINE_OCTETS).decode("utf-8", "replace"))
            except _Refusal as refusal:
                self._say(str(refusal))
            except TooLong:
                self._say("500 5.5.2 that line is too long")
                return

    def _obey(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        command = _COMMANDS.get(verb.upper())
        if command is None:
            raise _Refusal("500 5.5.1 there is no such command")
        command(self, argument.strip())

    def _greet(self, argument: str) -> None:
        self._begin(argument)
        self._say("250 localhost")

    def _greet_extended(self, argument: str) -> None:
        self._begin(argument)
        lines = ["localhost", *_EXTENSIONS]
        self._say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def _begin(self, hello: str) -> None:
        self._hello = "".join(char for char in hello if char.isprintable())[:255]
        self._forget()

    def _take_sender(self, argument: str) -> None:
        self._sender = _address(argument)
        self._recipients = {}
        self._say("250 2.1.0 sender taken")

    def _take_recipient(self, argument: str) -> None:
        if self._sender is None:
            raise _Refusal("503 5.5.1 MAIL comes first")
        if len(self._recipients) >= MAX_RECIPIENTS:
            raise _Refusal("452 4.5.3 too many recipients")
        address = _address(argument)
        account = self._post_office.find(address)
        if account is None:
            raise _Refusal("550 5.1.1 the demo has no such user")
        self._recipients[address] = account
        self._say("250 2.1.5 recipient taken")

    def _take_data(self, _: str) -> None:
        if not self._recipients:
            raise _Refusal("503 5.5.1 MAIL and RCPT come first")
        self._say("354 end with a dot on a line of its own")
        octets = self._message()
        recipients, trace = self._recipients, self._trace()
        self._forget()
        if octets is None:
            raise _Refusal(f"552 5.3.4 more than {MAX_MESSAGE_OCTETS} octets")
        for address, account in recipients.items():
            _deliver(account, trace + f"Delivered-To: {address}\r\n".encode() + octets)
        self._say(f"250 2.0.0 delivered to {len(recipients)}")

    def _message(self) -> bytes | None:
        """Up to the final dot; None: too large, it was read and thrown away."""
        octets = bytearray()
        is_too_large = False
        while (line := self._connection.line(MAX_LINE_OCTETS)) != b".":
            is_too_large = is_too_large or len(line) > MAX_MESSAGE_OCTETS - len(octets)
            if not is_too_large:
                octets += line.removeprefix(b".") + b"\r\n"
        return None if is_too_large else bytes(octets)

    def _trace(self) -> bytes:
        """RFC 5321 section 4.4."""
        received = f"Received: from {self._hello or 'unknown'} by the demo with ESMTP; {formatdate(localtime=True)}\r\n"
        return f"Return-Path: <{self._sender}>\r\n{received}".encode()

    def _forget(self) -> None:
        self._sender = None
        self._recipients = {}

    def _reset(self, _: str) -> None:
        self._forget()
        self._say("250 2.0.0 forgotten")

    def _no_operation(self, _: str) -> None:
        self._say("250 2.0.0 done")

    def _verify(self, argument: str) -> None:
        known = self._post_office.find(argument.strip("<>"))
        self._say("252 2.5.0 try and send" if known else "550 5.1.1 the demo has no such user")

    def _quit(self, _: str) -> None:
        self._is_open = False
        self._say("221 2.0.0 goodbye")

    def _say(self, *lines: str) -> None:
        self._connection.send("".join(f"{line}\r\n" for line in lines).encode())


def _address(argument: str) -> str:
    """What stands in the angle brackets, or without them; empty for the null sender."""
    match = _PATH.fullmatch(argument)
    if match is None:
        raise _Refusal("501 5.5.4 that is no FROM:<address> or TO:<address>")
    return "".join(char for char in match[1] if char.isprintable())


def _deliver(account: Account, octets: bytes) -> None:
    try:
        account.inbox.append(octets)
    except FolderFull:
        raise _Refusal("452 4.2.2 the mailbox is full") from None


_Command = Callable[[SmtpSession, str], None]
_COMMANDS: Final[Mapping[str, _Command]] = {
    "HELO": SmtpSession._greet,
    "EHLO": SmtpSession._greet_extended,
    "MAIL": SmtpSession._take_sender,
    "RCPT": SmtpSession._take_recipient,
    "DATA": SmtpSession._take_data,
    "RSET": SmtpSession._reset,
    "NOOP": SmtpSession._no_operation,
    "VRFY": SmtpSession._verify,
    "QUIT": SmtpSession._quit,
}
