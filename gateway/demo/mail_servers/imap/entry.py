"""Commands of any state, and the ways to log in.

Source: RFC 9051 sections 6.1 and 6.2, RFC 2971 (ID), RFC 4959 (SASL-IR), RFC 2177 (IDLE), RFC 5530 (codes).
"""

import base64
import binascii
from typing import Final

from gateway.demo.mail_servers.imap.session import Session
from gateway.demo.mail_servers.imap.syntax import Arguments
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.imap.syntax import No

MAX_LOGINS: Final = 5
CAPABILITIES: Final = (
    "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN SPECIAL-USE UNSELECT UIDPLUS MOVE AUTH=PLAIN"
)


def capability(session: Session, _: Arguments) -> str:
    session.untagged(f"CAPABILITY {CAPABILITIES}".encode())
    return "done"


def no_operation(_session: Session, _: Arguments) -> str:
    return "done"


def log_out(session: Session, _: Arguments) -> str:
    session.is_open = False
    session.untagged(b"BYE goodbye")
    return "done"


def identify(session: Session, _: Arguments) -> str:
    session.untagged(b'ID ("name" "gateway demo")')
    return "done"


def enable(session: Session, _: Arguments) -> str:
    """There is nothing to enable; RFC 5161 section 3.1 wants the response all the same."""
    session.untagged(b"ENABLED")
    return "done"


def log_in(session: Session, arguments: Arguments) -> str:
    user, password = arguments.octets(), arguments.octets()
    return _admit(session, user, password)


def authenticate(session: Session, arguments: Arguments) -> str:
    if arguments.text().upper() != "PLAIN":
        raise No("only PLAIN is known")
    if arguments.is_empty():
        session.say(b"+ ")
        response = session.read_line()
    else:
        response = arguments.octets()
    _authzid, user, password = _plain(response)
    return _admit(session, user, password)


def idle(session: Session, _: Arguments) -> str:
    session.say(b"+ idling")
    if session.idle().strip().upper() != b"DONE":
        raise Bad("DONE was expected")
    return "done"


def _plain(response: bytes) -> tuple[bytes, bytes, bytes]:
    """RFC 4616: authzid, authcid, password."""
    if response == b"*":
        raise Bad("cancelled")
    try:
        authzid, authcid, password = base64.b64decode(response, validate=True).split(b"\0")
    except (ValueError, binascii.Error):
        raise Bad("that is no PLAIN response") from None
    return authzid, authcid, password


def _admit(session: Session, user: bytes, password: bytes) -> str:
    account = session.post_office.log_in(user, password)
    if account is None:
        session.wrong_logins += 1
        session.is_open = session.wrong_logins < MAX_LOGINS
        raise No("[AUTHENTICATIONFAILED] no such user, or not that password")
    session.log_in(account)
    return f"[CAPABILITY {CAPABILITIES}] welcome"
