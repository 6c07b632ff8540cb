"""What the mail servers share: accounts, their folders, the messages in them.

A folder's messages are one immutable tuple, replaced whole under a lock: whoever reads takes the tuple and needs none.
Errors: `FolderFull`. Limits: MAX_MESSAGES and MAX_OCTETS a folder, MAX_FOLDERS an account.
"""

import hmac
import threading
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.errors import GatewayError

MAX_MESSAGES: Final = 5_000
MAX_OCTETS: Final = 128 * 1024 * 1024
MAX_FOLDERS: Final = 200
INBOX: Final = "INBOX"

Flags = frozenset[str]


class FolderFull(GatewayError):
    """There is no room for one more message or folder."""


@dataclass(frozen=True, slots=True)
class Message:
    """`octets` is the whole of it, lines end in CRLF; `received_at` has a time zone."""

    uid: int
    octets: bytes = field(repr=False)
    received_at: datetime
    flags: Flags = frozenset()


class Folder:
    """Messages in ascending order of UID. `special_use` is RFC 6154's attribute, or empty."""

    def __init__(self, name: str, uid_validity: int, special_use: str = "") -> None:
        self.name = name
        self.uid_validity = uid_validity
        self.special_use = special_use
        self.uid_next = 1
        self.messages: tuple[Message, ...] = ()
        self._lock = threading.Lock()
        self._watchers: set[Callable[[], None]] = set()

    def append(self, octets: bytes, flags: Flags = frozenset(), received_at: datetime | None = None) -> int:
        """The UID of the new message. Raises FolderFull."""
        with self._lock:
            size = sum(len(message.octets) for message in self.messages)
            if len(self.messages) >= MAX_MESSAGES or size + len(octets) > MAX_OCTETS:
                raise FolderFull(f"the folder holds {len(self.messages)} messages of {size} octets")
            uid = self.uid_next
            self.uid_next += 1
            moment = received_at or datetime.now().astimezone()
            self.messages = (*self.messages, Message(uid, octets, moment, flags))
        self._tell_watchers()
        return uid

    def remove(self, uids: Collection[int]) -> None:
        with self._lock:
            self.messages = tuple(message for message in self.messages if message.uid not in uids)
        self._tell_watchers()

    def change_flags(self, uids: Collection[int], change: Callable[[Flags], Flags]) -> None:
        """`change` takes the old flags of a message and gives the new ones."""
        with self._lock:
            self.messages = tuple(
                replace(message, flags=change(message.flags)) if message.uid in uids else message
                for message in self.messages
            )
        self._tell_watchers()

    def watch(self, watcher: Callable[[], None]) -> None:
        """`watcher` is called after every change, in the thread that made it; it may not block."""
        with self._lock:
            self._watchers.add(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        with self._lock:
            self._watchers.discard(watcher)

    def _tell_watchers(self) -> None:
        with self._lock:
            for watcher in self._watchers:
                watcher()


_STANDARD_FOLDERS: Final = {
    INBOX: "",
    "Drafts": "\\Drafts",
    "Sent": "\\Sent",
    "Trash": "\\Trash",
}


class Account:
    """One user's mail."""

    def __init__(self, user: str, password: str) -> None:
        self.user = user
        self._password = password.encode()
        self._lock = threading.Lock()
        self._uid_validity = int(time.time())
        self.folders: dict[str, Folder] = {}
        self.subscribed: set[str] = set()
        for name, special_use in _STANDARD_FOLDERS.items():
            self.create(name).special_use = special_use

    def __repr__(self) -> str:
        return f"Account({self.user!r})"

    @property
    def inbox(self) -> Folder:
        return self.folders[INBOX]

    def has_password(self, password: bytes) -> bool:
        return hmac.compare_digest(self._password, password)

    def folder(self, name: str) -> Folder | None:
        """INBOX is the same in any case of letters (RFC 9051 section 5.1)."""
        return self.folders.get(canonical(name))

    def create(self, name: str) -> Folder:
        """A new folder, or the one there is. Raises FolderFull."""
        name = canonical(name)
        with self._lock:
            if name in self.folders:
                return self.folders[name]
            if len(self.folders) >= MAX_FOLDERS:
                raise FolderFull(f"there are {len(self.folders)} folders already")
            self._uid_validity += 1  # a folder deleted and created again is another one
            folder = self.folders[name] = Folder(name, self._uid_validity)
            self.subscribed = {*self.subscribed, name}
            return folder

    def delete(self, name: str) -> None:
        """Whoever has it open keeps it until they close it."""
        with self._lock:
            self.folders = {known: folder for known, folder in self.folders.items() if known != canonical(name)}

    def rename(self, old: str, new: str) -> None:
        """With the folders below it. INBOX stays; its messages move (RFC 9051 section 6.3.6)."""
        if canonical(old) == INBOX:
            self._move_inbox(new)
            return
        with self._lock:
            self.folders = {_renamed(name, old, new): folder for name, folder in self.folders.items()}
            for name, folder in self.folders.items():
                folder.name = name

    def _move_inbox(self, new: str) -> None:
        target, moved = self.create(new), self.inbox.messages
        for message in moved:
            target.append(message.octets, message.flags, message.received_at)
        self.inbox.remove([message.uid for message in moved])


def canonical(name: str) -> str:
    return INBOX if name.upper() == INBOX else name


def _renamed(name: str, old: str, new: str) -> str:
    return new + name[len(old) :] if name == old or name.startswith(old + "/") else name


class PostOffice:
    """All accounts."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.user: account for account in accounts}

    def log_in(self, user: bytes, password: bytes) -> Account | None:
        """None: no such user, or not that password."""
        account = self._accounts.get(user.decode("utf-8", "replace"))
        return account if account is not None and account.has_password(password) else None

    def find(self, address: str) -> Account | None:
        """Whose address it is: the part before the @ is the user, whatever the domain."""
        return self._accounts.get(address.partition("@")[0].lower())
