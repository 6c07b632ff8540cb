"""Commands on the messages of the selected folder, each by sequence number or by UID.

Source: RFC 9051 section 6.4, RFC 4315 (UIDPLUS), RFC 6851 (MOVE).
"""

from collections.abc import Callable

from gateway.demo.mail_servers.imap import fetch as fetching
from gateway.demo.mail_servers.imap.numbers import compact
from gateway.demo.mail_servers.imap.search import parse_search
from gateway.demo.mail_servers.imap.session import Session
from gateway.demo.mail_servers.imap.syntax import Arguments
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.imap.syntax import No
from gateway.demo.mail_servers.imap.syntax import items_of
from gateway.demo.mail_servers.imap.syntax import text_of
from gateway.demo.mail_servers.imap.view import View
from gateway.demo.mail_servers.imap.view import flag_list
from gateway.demo.mail_servers.imap.view import flags_named
from gateway.demo.mail_servers.store import Flags
from gateway.demo.mail_servers.store import Folder
from gateway.demo.mail_servers.store import FolderFull
from gateway.demo.mail_servers.store import Message

Numbered = list[tuple[int, Message]]


def fetch(session: Session, arguments: Arguments, *, by_uid: bool) -> str:
    view = session.view
    numbers, items = arguments.text(), fetching.parse_items(arguments.value(), with_uid=by_uid)
    if not arguments.is_empty():
        raise Bad("several items to fetch stand in parentheses")
    marks_seen = any(item.marks_seen for item in items) and not view.is_read_only
    for number, message in view.chosen(numbers, by_uid=by_uid):
        if marks_seen and "\\Seen" not in message.flags:
            _mark_seen(view, message)
            session.say(fetching.render(number, view.messages[number - 1], fetching.with_flags(items)))
        else:
            session.say(fetching.render(number, message, items))
    return "done"


def _mark_seen(view: View, message: Message) -> None:
    view.folder.change_flags({message.uid}, lambda flags: flags | {"\\Seen"})
    view.accept({message.uid})


def store(session: Session, arguments: Arguments, *, by_uid: bool) -> str:
    """set FLAGS|+FLAGS|-FLAGS[.SILENT] (flags)"""
    view = _writable(session)
    numbers = arguments.text()
    operation, _, silent = arguments.text().upper().partition(".")
    named = flags_named(text_of(flag) for value in arguments.values() for flag in items_of(value))
    changes: dict[str, Callable[[Flags], Flags]] = {
        "FLAGS": lambda _: named,
        "+FLAGS": lambda old: old | named,
        "-FLAGS": lambda old: old - named,
    }
    if operation not in changes or silent not in ("", "SILENT"):
        raise Bad("FLAGS, +FLAGS or -FLAGS was expected")
    messages = view.chosen(numbers, by_uid=by_uid)
    view.folder.change_flags(_uids(messages), changes[operation])
    view.accept(_uids(messages))
    for number, message in messages if not silent else []:
        _tell_flags(session, number, message.uid, view.messages[number - 1].flags, by_uid=by_uid)
    return "done"


def _tell_flags(session: Session, number: int, uid: int, flags: Flags, *, by_uid: bool) -> None:
    uid_item = b"UID %d " % uid if by_uid else b""
    session.untagged(b"%d FETCH (%sFLAGS %s)" % (number, uid_item, flag_list(flags)))


def search(session: Session, arguments: Arguments, *, by_uid: bool) -> str:
    view = session.view
    matches = parse_search(arguments.values(), view)
    found = [
        message.uid if by_uid else number for number, message in enumerate(view.messages, 1) if matches(number, message)
    ]
    session.untagged(" ".join(["SEARCH", *map(str, found)]).encode())
    return "done"


def copy(session: Session, arguments: Arguments, *, by_uid: bool) -> str:
    messages = session.view.chosen(arguments.text(), by_uid=by_uid)
    code = _copy(messages, session.existing_folder(arguments.text()))
    return f"{code}done"


def move(session: Session, arguments: Arguments, *, by_uid: bool) -> str:
    view = _writable(session)
    messages = view.chosen(arguments.text(), by_uid=by_uid)
    code = _copy(messages, session.existing_folder(arguments.text()))
    if code:
        session.untagged(f"OK {code}moved".encode())  # RFC 6851 section 4.3: before the EXPUNGE responses
    view.folder.remove(_uids(messages))
    session.tell_changes(may_expunge=True)
    return "done"


def _copy(messages: Numbered, target: Folder) -> str:
    """The response code, empty when there was nothing to copy."""
    try:
        copies = [target.append(message.octets, message.flags, message.received_at) for _, message in messages]
    except FolderFull:
        raise No("[OVERQUOTA] the folder is full") from None
    if not copies:
        return ""
    originals = compact([message.uid for _, message in messages])
    return f"[COPYUID {target.uid_validity} {originals} {compact(copies)}] "


def expunge(session: Session, arguments: Arguments, *, by_uid: bool) -> str:
    """UID EXPUNGE takes only those of a set."""
    view = _writable(session)
    _expunge(view, view.chosen(arguments.text(), by_uid=True) if by_uid else list(enumerate(view.messages, 1)))
    session.tell_changes(may_expunge=True)
    return "done"


def close(session: Session, _: Arguments) -> str:
    view = session.view
    if not view.is_read_only:
        _expunge(view, list(enumerate(view.messages, 1)))
    session.select(None)
    return "done"


def unselect(session: Session, _: Arguments) -> str:
    session.select(None)
    return "done"


def _expunge(view: View, messages: Numbered) -> None:
    view.folder.remove({message.uid for _, message in messages if "\\Deleted" in message.flags})


def _writable(session: Session) -> View:
    if session.view.is_read_only:
        raise No("[READ-ONLY] the folder was opened by EXAMINE")
    return session.view


def _uids(messages: Numbered) -> set[int]:
    return {message.uid for _, message in messages}
