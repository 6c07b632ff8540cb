"""Commands on folders, from LIST to APPEND. The hierarchy separator is `/`.

Source: RFC 9051 section 6.3, RFC 3501 section 6.3.9 (LSUB), RFC 6154 (SPECIAL-USE), RFC 4315 (APPENDUID).
"""

import re
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from gateway.demo.mail_servers.imap.session import Session
from gateway.demo.mail_servers.imap.syntax import Arguments
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.imap.syntax import No
from gateway.demo.mail_servers.imap.syntax import Value
from gateway.demo.mail_servers.imap.syntax import items_of
from gateway.demo.mail_servers.imap.syntax import string
from gateway.demo.mail_servers.imap.syntax import text_of
from gateway.demo.mail_servers.imap.view import SYSTEM_FLAGS
from gateway.demo.mail_servers.imap.view import View
from gateway.demo.mail_servers.imap.view import flag_list
from gateway.demo.mail_servers.imap.view import flags_named
from gateway.demo.mail_servers.store import INBOX
from gateway.demo.mail_servers.store import Folder
from gateway.demo.mail_servers.store import FolderFull
from gateway.demo.mail_servers.store import canonical

MAX_NAME: Final = 200
_DATE: Final = "%d-%b-%Y %H:%M:%S %z"
_LINE_END: Final = re.compile(rb"\r?\n")


def namespace(session: Session, _: Arguments) -> str:
    session.untagged(b'NAMESPACE (("" "/")) NIL NIL')
    return "done"


def list_folders(session: Session, arguments: Arguments) -> str:
    return _list(session, arguments, b"LIST", set(session.account.folders))


def list_subscribed(session: Session, arguments: Arguments) -> str:
    return _list(session, arguments, b"LSUB", session.account.subscribed)


def _list(session: Session, arguments: Arguments, name: bytes, known: set[str]) -> str:
    reference, patterns = arguments.text(), items_of(arguments.value())
    if patterns == [""] or patterns == [b""]:  # RFC 9051 section 6.3.9: what is the separator?
        session.untagged(name + b' (\\Noselect) "/" ""')
        return "done"
    for folder in sorted(known, key=lambda folder: (folder != INBOX, folder)):
        if any(matches(canonical(reference + text_of(pattern)), folder) for pattern in patterns):
            session.untagged(name + b" %s %s" % (_attributes(session, folder), b'"/" ' + string(folder)))
    return "done"


def _attributes(session: Session, name: str) -> bytes:
    folders = session.account.folders
    children = "\\HasChildren" if any(other.startswith(name + "/") for other in folders) else "\\HasNoChildren"
    special_use = folders[name].special_use if name in folders else "\\Noselect"
    return f"({' '.join(filter(None, (children, special_use)))})".encode()


def matches(pattern: str, name: str) -> bool:
    """`*` stands for anything, `%` for anything without a separator. No pattern takes long, as a regex might."""
    places = {0}  # in the pattern, that the name may have got to
    for char in name:
        places = _after_wildcards(places, pattern)
        wild = {at for at in places if pattern[at : at + 1] == "*" or (pattern[at : at + 1] == "%" and char != "/")}
        places = wild | {at + 1 for at in places if pattern[at : at + 1] == char}
    return len(pattern) in _after_wildcards(places, pattern)


def _after_wildcards(places: set[int], pattern: str) -> set[int]:
    """A wildcard may stand for nothing."""
    found = set(places)
    for at in places:
        while pattern[at : at + 1] in ("*", "%"):
            at += 1  # noqa: PLW2901
            found.add(at)
    return found


def create(session: Session, arguments: Arguments) -> str:
    name = arguments.text().rstrip("/")
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise No("[CANNOT] that is no name for a folder")
    if session.account.folder(name) is not None:
        raise No("[ALREADYEXISTS] there is such a folder")
    try:
        session.account.create(name)
    except FolderFull:
        raise No("[OVERQUOTA] there are too many folders") from None
    return "done"


def delete(session: Session, arguments: Arguments) -> str:
    folder = session.existing_folder(arguments.text())
    if folder is session.account.inbox:
        raise No("[CANNOT] INBOX stays")
    session.account.delete(folder.name)
    return "done"


def rename(session: Session, arguments: Arguments) -> str:
    old, new = session.existing_folder(arguments.text()), arguments.text().rstrip("/")
    if session.account.folder(new) is not None:
        raise No("[ALREADYEXISTS] there is such a folder")
    if not new or len(new) > MAX_NAME or not new.isprintable():
        raise No("[CANNOT] that is no name for a folder")
    session.account.rename(old.name, new)
    return "done"


def subscribe(session: Session, arguments: Arguments) -> str:
    session.account.subscribed |= {session.existing_folder(arguments.text()).name}
    return "done"


def unsubscribe(session: Session, arguments: Arguments) -> str:
    session.account.subscribed -= {canonical(arguments.text())}
    return "done"


def status(session: Session, arguments: Arguments) -> str:
    folder = session.existing_folder(arguments.text())
    counts = {
        "MESSAGES": len(folder.messages),
        "RECENT": 0,
        "UIDNEXT": folder.uid_next,
        "UIDVALIDITY": folder.uid_validity,
        "UNSEEN": sum("\\Seen" not in message.flags for message in folder.messages),
        "DELETED": sum("\\Deleted" in message.flags for message in folder.messages),
        "SIZE": sum(len(message.octets) for message in folder.messages),
    }
    asked = [text_of(item).upper() for item in items_of(arguments.value())]
    told = " ".join(f"{item} {counts[item]}" for item in asked if item in counts)
    session.untagged(b"STATUS " + string(folder.name) + f" ({told})".encode())
    return "done"


def select(session: Session, arguments: Arguments) -> str:
    _open(session, arguments, is_read_only=False)
    return "[READ-WRITE] done"


def examine(session: Session, arguments: Arguments) -> str:
    _open(session, arguments, is_read_only=True)
    return "[READ-ONLY] done"


def _open(session: Session, arguments: Arguments, *, is_read_only: bool) -> None:
    session.select(None)  # RFC 9051 section 6.3.2: also when the new one cannot be opened
    folder = session.existing_folder(arguments.text())
    view = View(folder, is_read_only=is_read_only)
    _describe(session, folder, view)
    session.select(view)


def _describe(session: Session, folder: Folder, view: View) -> None:
    flags = flag_list(SYSTEM_FLAGS.values())
    unseen = next((n for n, message in enumerate(view.messages, 1) if "\\Seen" not in message.flags), None)
    session.untagged(b"FLAGS " + flags)
    session.untagged(b"%d EXISTS" % len(view.messages))
    session.untagged(b"0 RECENT")
    if unseen is not None:
        session.untagged(b"OK [UNSEEN %d] the first" % unseen)
    session.untagged(b"OK [UIDVALIDITY %d] valid" % folder.uid_validity)
    session.untagged(b"OK [UIDNEXT %d] next" % folder.uid_next)
    permanent = b"()" if view.is_read_only else flags[:-1] + b" \\*)"
    session.untagged(b"OK [PERMANENTFLAGS " + permanent + b"] kept")


def append(session: Session, arguments: Arguments) -> str:
    """folder [(flags)] ["date"] message"""
    folder = session.existing_folder(arguments.text())
    *options, content = arguments.values() or [""]
    if not isinstance(content, bytes) or len(options) > 2:
        raise Bad("a message is missing")
    flags = flags_named(text_of(flag) for option in options if isinstance(option, list) for flag in option)
    dates = [option for option in options if isinstance(option, bytes)]
    received_at = _received_at(dates[0]) if dates else None
    try:
        uid = folder.append(_LINE_END.sub(b"\r\n", content), flags, received_at)
    except FolderFull:
        raise No("[OVERQUOTA] the folder is full") from None
    return f"[APPENDUID {folder.uid_validity} {uid}] done"


def _received_at(date: Value) -> datetime:
    try:
        return datetime.strptime(text_of(date).strip(), _DATE)
    except ValueError:
        raise Bad("that is no date and time") from None


def internal_date(moment: datetime) -> bytes:
    """`01-Feb-2026 09:05:00 +0100`, whatever the locale."""
    day, month, year, time, zone = format_datetime(moment).partition(", ")[2].split(" ")
    return f'"{day:0>2}-{month}-{year} {time} {zone}"'.encode()
