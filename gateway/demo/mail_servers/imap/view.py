"""One session's view of the folder it has selected: what the client has been told, and what it has still to be told.

Sequence numbers are places in what the client knows; that moves only when `changes` says so (RFC 9051 section 5.2).
"""

from collections.abc import Collection
from collections.abc import Iterable
from typing import Final

from gateway.demo.mail_servers.imap.numbers import chosen
from gateway.demo.mail_servers.store import Flags
from gateway.demo.mail_servers.store import Folder
from gateway.demo.mail_servers.store import Message

SYSTEM_FLAGS: Final = {flag.lower(): flag for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}


class View:
    """`messages` are those the client knows, in order of their sequence numbers."""

    def __init__(self, folder: Folder, *, is_read_only: bool) -> None:
        self.folder = folder
        self.is_read_only = is_read_only
        self.messages: tuple[Message, ...] = folder.messages

    def chosen(self, numbers: str, *, by_uid: bool) -> list[tuple[int, Message]]:
        """The messages of a sequence set, each with its sequence number."""
        uids = [message.uid for message in self.messages]
        present = uids if by_uid else range(1, len(uids) + 1)
        wanted = chosen(numbers, present)
        return [
            (number, message)
            for number, message in enumerate(self.messages, 1)
            if (message.uid if by_uid else number) in wanted
        ]

    def changes(self, *, may_expunge: bool) -> list[bytes]:
        """The responses that bring the client up to date; from now on it knows."""
        current = {message.uid: message for message in self.folder.messages}
        told: list[bytes] = []
        kept: list[Message] = []
        for known in self.messages:
            if known.uid in current or not may_expunge:
                kept.append(current.get(known.uid, known))
                if kept[-1].flags != known.flags:
                    told.append(flags_response(len(kept), kept[-1]))
            else:
                told.append(b"* %d EXPUNGE" % (len(kept) + 1))
        last = self.messages[-1].uid if self.messages else 0
        new = [message for uid, message in current.items() if uid > last]
        self.messages = (*kept, *new)
        return [*told, b"* %d EXISTS" % len(self.messages)] if new else told

    def accept(self, uids: Collection[int]) -> None:
        """The client knows, or does not want to know, the present flags of these."""
        current = {message.uid: message for message in self.folder.messages if message.uid in uids}
        self.messages = tuple(current.get(message.uid, message) for message in self.messages)


def flags_response(number: int, message: Message) -> bytes:
    return b"* %d FETCH (UID %d FLAGS %s)" % (number, message.uid, flag_list(message.flags))


def flag_list(flags: Iterable[str]) -> bytes:
    return ("(" + " ".join(sorted(flags)) + ")").encode("latin-1")


def flags_named(names: Iterable[str]) -> Flags:
    """System flags in their usual spelling; \\Recent cannot be set."""
    return frozenset(SYSTEM_FLAGS.get(name.lower(), name) for name in names if name.lower() != "\\recent")
