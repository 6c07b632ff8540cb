"""POP3 over the store: the INBOX as it was at the login; deletions take place at QUIT.

Limits: MAX_LINE_OCTETS a command, MAX_LOGINS wrong passwords.
Source: RFC 1939, RFC 2449 (CAPA), RFC 3206 (codes).
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Final

from gateway.demo.mail_servers.connection import Connection
from gateway.demo.mail_servers.connection import TooLong
from gateway.demo.mail_servers.store import Account
from gateway.demo.mail_servers.store import Message
from gateway.demo.mail_servers.store import PostOffice
from gateway.errors import GatewayError

MAX_LINE_OCTETS: Final = 1024
MAX_LOGINS: Final = 5
_CAPABILITIES: Final = (b"USER", b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING")


class _Refusal(GatewayError):
    """The text behind -ERR."""


class Pop3Session:
    """One conversation, from greeting to QUIT."""

    def __init__(self, connection: Connection, post_office: PostOffice) -> None:
        self._connection = connection
        self._post_office = post_office
        self._user = b""
        self._wrong_logins = 0
        self._account: Account | None = None
        self._messages: tuple[Message, ...] = ()
        self._deleted: set[int] = set()
        self._is_open = True

    def run(self) -> None:
        self._say("+OK the demo's POP3 server")
        while self._is_open:
            try:
                self._obey(self._connection.line(MAX_LINE_OCTETS))
            except _Refusal as refusal:
                self._say(f"-ERR {refusal}")
            except TooLong:
                self._say("-ERR that line is too long")
                return

    def _obey(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        name = verb.upper()
        command = _ALWAYS.get(name) or (_AFTER_LOGIN if self._account else _BEFORE_LOGIN).get(name)
        if command is None:
            raise _Refusal("there is no such command here and now")
        command(self, argument)

    def _capabilities(self, _: bytes) -> None:
        self._say_lines("+OK", _CAPABILITIES)

    def _take_user(self, argument: bytes) -> None:
        self._user = argument
        self._say("+OK")

    def _take_password(self, argument: bytes) -> None:
        self._account = self._post_office.log_in(self._user, argument)
        if self._account is not None:
            self._messages = self._account.inbox.messages
            self._say(f"+OK {len(self._messages)} messages")
            return
        self._wrong_logins += 1
        self._is_open = self._wrong_logins < MAX_LOGINS
        raise _Refusal("[AUTH] no such user, or not that password")

    def _no_operation(self, _: bytes) -> None:
        self._say("+OK")

    def _status(self, _: bytes) -> None:
        sizes = [len(message.octets) for _, message in self._present()]
        self._say(f"+OK {len(sizes)} {sum(sizes)}")

    def _list(self, argument: bytes) -> None:
        self._tell_each(argument, lambda message: str(len(message.octets)))

    def _unique_ids(self, argument: bytes) -> None:
        self._tell_each(argument, lambda message: str(message.uid))

    def _tell_each(self, argument: bytes, of: Callable[[Message], str]) -> None:
        """The answer to LIST and UIDL, for one message or for all."""
        if argument:
            number, message = self._chosen(argument)
            self._say(f"+OK {number} {of(message)}")
        else:
            self._say_lines("+OK", (f"{number} {of(message)}".encode() for number, message in self._present()))

    def _retrieve(self, argument: bytes) -> None:
        _, message = self._chosen(argument)
        self._say_lines("+OK", message.octets.removesuffix(b"\r\n").split(b"\r\n"))

    def _top(self, argument: bytes) -> None:
        number, _, count = argument.partition(b" ")
        _, message = self._chosen(number)
        if not count.isdigit() or len(count) > 9:
            raise _Refusal("TOP needs a message and a number of lines")
        header, _, body = message.octets.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        self._say_lines("+OK", [*header.split(b"\r\n"), b"", *body.split(b"\r\n")[: int(count)]])

    def _delete(self, argument: bytes) -> None:
        _, message = self._chosen(argument)
        self._deleted.add(message.uid)
        self._say("+OK it goes at QUIT")

    def _undelete_all(self, _: bytes) -> None:
        self._deleted.clear()
        self._say("+OK")

    def _quit(self, _: bytes) -> None:
        if self._account is not None:
            self._account.inbox.remove(self._deleted)
        self._is_open = False
        self._say("+OK goodbye")

    def _present(self) -> list[tuple[int, Message]]:
        """Numbered from one; what is deleted keeps its number."""
        return [(n, message) for n, message in enumerate(self._messages, 1) if message.uid not in self._deleted]

    def _chosen(self, argument: bytes) -> tuple[int, Message]:
        for number, message in self._present():
            if argument == str(number).encode():
                return number, message
        raise _Refusal("there is no such message")

    def _say(self, line: str) -> None:
        self._connection.send(line.encode() + b"\r\n")

    def _say_lines(self, first: str, lines: Iterable[bytes]) -> None:
        stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
        self._connection.send(b"\r\n".join([first.encode(), *stuffed, b".", b""]))


_Command = Callable[[Pop3Session, bytes], None]
_ALWAYS: Final[Mapping[bytes, _Command]] = {
    b"CAPA": Pop3Session._capabilities,
    b"NOOP": Pop3Session._no_operation,
    b"QUIT": Pop3Session._quit,
}
_BEFORE_LOGIN: Final[Mapping[bytes, _Command]] = {
    b"USER": Pop3Session._take_user,
    b"PASS": Pop3Session._take_password,
}
_AFTER_LOGIN: Final[Mapping[bytes, _Command]] = {
    b"STAT": Pop3Session._status,
    b"LIST": Pop3Session._list,
    b"UIDL": Pop3Session._unique_ids,
    b"RETR": Pop3Session._retrieve,
    b"TOP": Pop3Session._top,
    b"DELE": Pop3Session._delete,
    b"RSET": Pop3Session._undelete_all,
}
