"""The conversation: greeting, one command after the other, each looked up in the table of the state it is for.

Errors: what a client sends wrong is answered BAD or NO; a line or literal over its limit ends the connection.
"""

from collections.abc import Callable
from collections.abc import Mapping
from functools import partial
from typing import Final

from gateway.demo.mail_servers.connection import Connection
from gateway.demo.mail_servers.connection import TooLong
from gateway.demo.mail_servers.imap import entry
from gateway.demo.mail_servers.imap import folders
from gateway.demo.mail_servers.imap import messages
from gateway.demo.mail_servers.imap.session import Command
from gateway.demo.mail_servers.imap.session import Session
from gateway.demo.mail_servers.imap.syntax import Arguments
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.imap.syntax import No
from gateway.demo.mail_servers.store import PostOffice

# A handler says what is untagged itself; what it returns stands behind the tagged OK.
Handler = Callable[[Session, Arguments], str]

_ALWAYS: Final[Mapping[str, Handler]] = {
    "CAPABILITY": entry.capability,
    "NOOP": entry.no_operation,
    "LOGOUT": entry.log_out,
    "ID": entry.identify,
}
_BEFORE_LOGIN: Final[Mapping[str, Handler]] = {
    "LOGIN": entry.log_in,
    "AUTHENTICATE": entry.authenticate,
}
_AFTER_LOGIN: Final[Mapping[str, Handler]] = {
    "ENABLE": entry.enable,
    "IDLE": entry.idle,
    "NAMESPACE": folders.namespace,
    "LIST": folders.list_folders,
    "LSUB": folders.list_subscribed,
    "CREATE": folders.create,
    "DELETE": folders.delete,
    "RENAME": folders.rename,
    "SUBSCRIBE": folders.subscribe,
    "UNSUBSCRIBE": folders.unsubscribe,
    "STATUS": folders.status,
    "SELECT": folders.select,
    "EXAMINE": folders.examine,
    "APPEND": folders.append,
}
_BY_NUMBER_OR_UID: Final = {
    "FETCH": messages.fetch,
    "STORE": messages.store,
    "SEARCH": messages.search,
    "COPY": messages.copy,
    "MOVE": messages.move,
    "EXPUNGE": messages.expunge,
}
_SELECTED: Final[Mapping[str, Handler]] = {
    "CHECK": entry.no_operation,
    "CLOSE": messages.close,
    "UNSELECT": messages.unselect,
    **{name: partial(handler, by_uid=False) for name, handler in _BY_NUMBER_OR_UID.items()},
    **{f"UID {name}": partial(handler, by_uid=True) for name, handler in _BY_NUMBER_OR_UID.items()},
}
# RFC 9051 section 7.5.1: no EXPUNGE response while sequence numbers are on their way.
_NO_EXPUNGE: Final = frozenset(("FETCH", "STORE", "SEARCH"))


def converse(connection: Connection, post_office: PostOffice) -> None:
    """One connection, from greeting to LOGOUT."""
    session = Session(connection, post_office)
    session.untagged(f"OK [CAPABILITY {entry.CAPABILITIES}] the demo's IMAP server".encode())
    while session.is_open:
        try:
            _obey(session, session.read_command())
        except TooLong:
            session.untagged(b"BYE that is too long")
            return


def _obey(session: Session, command: Command) -> None:
    try:
        if not command.tag or not command.name:
            raise Bad("a command is a tag, a blank and a name")
        name, arguments = _named(command)
        told = f"OK {_handler(session, name)(session, Arguments(arguments))}"
    except No as refusal:
        name, told = "", f"NO {refusal}"
    except Bad as refusal:
        name, told = "", f"BAD {refusal}"
    session.tell_changes(may_expunge=bool(name) and name not in _NO_EXPUNGE)
    session.say((command.tag or b"*") + b" " + told.encode())


def _named(command: Command) -> tuple[str, bytes]:
    """`UID FETCH` is one name."""
    if command.name != "UID":
        return command.name, command.arguments
    second, _, arguments = command.arguments.partition(b" ")
    return f"UID {second.decode('latin-1').upper()}", arguments


def _handler(session: Session, name: str) -> Handler:
    tables = [_ALWAYS, _AFTER_LOGIN if session.is_logged_in else _BEFORE_LOGIN]
    if session.has_selected:
        tables.append(_SELECTED)
    for table in tables:
        if name in table:
            return table[name]
    raise Bad("there is no such command here and now")
