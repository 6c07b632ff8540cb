"""A login as typed, taken apart: `vpn_user:mail_user@server` and `vpn_password:mail_password`.

The rules, in order:
1. The server is what follows the *last* server separator, and only if it is an allowed server; otherwise that text
   belongs to the mail user (`alice@example.com` is a user of the default server). The ASA let the user name any host;
   here the administrator's list decides, or credentials could be sent anywhere.
2. The first name separator divides VPN user and mail user; without one, one name serves as both.
3. The password is divided only when two names were given; then it may hold at most one name separator. A password
   without one serves both. (The ASA's note: a password cannot contain the delimiter.)
4. Empty parts and control octets are refused, whatever mechanism carried them.

Errors: `Refused(BAD_CREDENTIALS)`; its detail names the part and the fault, never the text.
Source: the ASA's E-Mail Proxy chapter, panels "Delimiters" and "Authentication"; its messages 719015 and 719016.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Final

from gateway.errors import Refused
from gateway.outcome import Refusal

# RFC 5321 section 4.5.3.1 gives 64 + 1 + 255 to an address; a login may hold two names and a server.
MAX_USER_FIELD_OCTETS: Final = 1024
MAX_PASSWORD_FIELD_OCTETS: Final = 4096


@dataclass(frozen=True, slots=True)
class Delimiters:
    """One octet each, or None where the administrator wants no such split. They differ."""

    name: str | None = ":"
    server: str | None = "@"


@dataclass(frozen=True, slots=True)
class Login:
    """What was typed, taken apart. server None: the user named none, the default applies.

    The passwords are octets: a client may send any charset. They are None when the mechanism carried no password.
    """

    vpn_user: str
    mail_user: str
    server: str | None
    vpn_password: bytes | None = field(repr=False)
    mail_password: bytes | None = field(repr=False)


def split_login(
    user_field: bytes,
    password_field: bytes | None,
    delimiters: Delimiters,
    is_allowed_server: Callable[[str], bool],
) -> Login:
    """Take a login apart by the rules above. A password field of None stays None on both sides."""
    text = _user_text(user_field)
    names, server = _split_server(text, delimiters.server, is_allowed_server)
    vpn_user, mail_user, two_names = _split_names(names, delimiters.name)
    if password_field is None:
        return Login(vpn_user, mail_user, server, None, None)
    _check_password(password_field)
    separator = delimiters.name.encode() if two_names and delimiters.name else None
    vpn_password, mail_password = _split_password(password_field, separator)
    return Login(vpn_user, mail_user, server, vpn_password, mail_password)


def _bad(detail: str) -> Refused:
    return Refused(Refusal.BAD_CREDENTIALS, detail)


def _user_text(user_field: bytes) -> str:
    if len(user_field) > MAX_USER_FIELD_OCTETS:
        raise _bad(f"user field of {len(user_field)} octets")
    try:
        text = user_field.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("user field is not UTF-8") from None
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") for char in text):
        raise _bad("control character in the user field")
    return text


def _split_server(text: str, separator: str | None, is_allowed_server: Callable[[str], bool]) -> tuple[str, str | None]:
    if separator is None:
        return text, None
    names, found, server = text.rpartition(separator)
    if found and server and is_allowed_server(server):
        return names, server
    return text, None


def _split_names(names: str, separator: str | None) -> tuple[str, str, bool]:
    """The VPN user, the mail user, and whether both were given."""
    if separator is None or separator not in names:
        if not names:
            raise _bad("empty user name")
        return names, names, False
    vpn_user, _, mail_user = names.partition(separator)
    if not vpn_user or not mail_user:
        raise _bad("empty VPN or mail user name")
    return vpn_user, mail_user, True


def _check_password(password_field: bytes) -> None:
    if not password_field:
        raise _bad("empty password")
    if len(password_field) > MAX_PASSWORD_FIELD_OCTETS:
        raise _bad(f"password field of {len(password_field)} octets")
    if any(octet < 0x20 or octet == 0x7F for octet in password_field):
        raise _bad("control octet in the password")


def _split_password(password_field: bytes, separator: bytes | None) -> tuple[bytes, bytes]:
    if separator is None or separator not in password_field:
        return password_field, password_field
    if password_field.count(separator) > 1:
        raise _bad("more than one name separator in the password")
    vpn_password, _, mail_password = password_field.partition(separator)
    if not vpn_password or not mail_password:
        raise _bad("empty VPN or mail password")
    return vpn_password, mail_password
