"""What one IMAP connection has: who logged in, which folder is selected, and what is still to be said.

Commands are read whole, their literals included; the client is asked for each literal that it wants to be asked for.
Limits: MAX_LINE_OCTETS a line, MAX_COMMAND_OCTETS a command with its literals.
"""

import os
import re
from dataclasses import dataclass
from typing import Final

from gateway.demo.mail_servers.connection import Connection
from gateway.demo.mail_servers.connection import TooLong
from gateway.demo.mail_servers.imap.syntax import No
from gateway.demo.mail_servers.imap.view import View
from gateway.demo.mail_servers.store import Account
from gateway.demo.mail_servers.store import Folder
from gateway.demo.mail_servers.store import PostOffice

MAX_LINE_OCTETS: Final = 65536
MAX_COMMAND_OCTETS: Final = 30 * 1024 * 1024
_LITERAL_AT_END: Final = re.compile(rb"\{([0-9]{1,9})(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is in upper case; `arguments` are the octets behind it, literals included."""

    tag: bytes
    name: str
    arguments: bytes


class Session:
    """The state of one connection, and its mouth and ears."""

    def __init__(self, connection: Connection, post_office: PostOffice) -> None:
        self.post_office = post_office
        self.wrong_logins = 0
        self.is_open = True
        self._connection = connection
        self._account: Account | None = None
        self._view: View | None = None

    @property
    def is_logged_in(self) -> bool:
        return self._account is not None

    @property
    def has_selected(self) -> bool:
        return self._view is not None

    @property
    def account(self) -> Account:
        if self._account is None:
            raise No("log in first")
        return self._account

    @property
    def view(self) -> View:
        if self._view is None:
            raise No("select a folder first")
        return self._view

    def log_in(self, account: Account) -> None:
        self._account = account

    def select(self, view: View | None) -> None:
        """None: no folder is selected."""
        self._view = view

    def existing_folder(self, name: str) -> Folder:
        """Raises No, with the code that lets a mail program create it and try again."""
        folder = self.account.folder(name)
        if folder is None:
            raise No("[TRYCREATE] there is no such folder")
        return folder

    def say(self, line: bytes) -> None:
        self._connection.send(line + b"\r\n")

    def untagged(self, text: bytes) -> None:
        self.say(b"* " + text)

    def tell_changes(self, *, may_expunge: bool) -> None:
        """What happened in the selected folder since the client was told last."""
        if self._view is not None:
            lines = self._view.changes(may_expunge=may_expunge)
            self._connection.send(b"".join(line + b"\r\n" for line in lines))

    def read_line(self) -> bytes:
        return self._connection.line(MAX_LINE_OCTETS)

    def read_command(self) -> Command:
        """Raises TooLong when what the client would send next is more than is taken."""
        line = self.read_line()
        octets = bytearray(line)
        while match := _LITERAL_AT_END.search(line):
            length = int(match[1])
            if length > MAX_COMMAND_OCTETS - len(octets):
                raise TooLong(f"a literal of {length} octets")
            if not match[2]:
                self.say(b"+ go on")
            octets += b"\r\n" + self._connection.octets(length)
            line = self.read_line()
            octets += line
        tag, _, rest = bytes(octets).partition(b" ")
        name, _, arguments = rest.partition(b" ")
        return Command(tag, name.decode("latin-1").upper(), arguments)

    def idle(self) -> bytes:
        """Tell what happens in the selected folder as it happens, until the client says something: that line."""
        wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        folder = self._view.folder if self._view is not None else self.account.inbox

        def ring() -> None:
            os.eventfd_write(wake, 1)

        folder.watch(ring)
        try:
            self.tell_changes(may_expunge=True)
            while not self._connection.wait(wake):
                os.eventfd_read(wake)
                self.tell_changes(may_expunge=True)
            return self.read_line()
        finally:
            folder.unwatch(ring)
            os.close(wake)
