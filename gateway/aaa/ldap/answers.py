"""What a server's answers to a search and to a bind mean for a login. Pure.

A no to this user is `Refused`. An answer that says nothing about the user (no rights to search, busy, no such base) is
`ServerFailed`: the next server of the group may know better. A server's own words go to the log from searches only: a
bind has brought a password, and nobody promises that an answer does not repeat it.

Source: RFC 4511 appendix A.2; Active Directory's codes: MS-ERREF and KB155012 ("data 532" in the diagnostic message).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap.password_policy import AccountError
from gateway.errors import Refused
from gateway.outcome import Refusal

SUCCESS: Final = 0
SIZE_LIMIT_EXCEEDED: Final = 4
INVALID_CREDENTIALS: Final = 49

MAX_WORDS: Final = 200  # characters of a diagnostic message in the log

_BIND_REFUSALS: Final = {
    10: Refusal.TEMPORARY,  # referral: this user's entry lies on a server that we are not set up to trust
    19: Refusal.LOGIN_DISABLED,  # constraintViolation: 389 Directory Server, too many failures
    32: Refusal.BAD_CREDENTIALS,  # noSuchObject: deleted since the search
    48: Refusal.BAD_CREDENTIALS,  # inappropriateAuthentication: an entry without a password
    INVALID_CREDENTIALS: Refusal.BAD_CREDENTIALS,
    50: Refusal.BAD_CREDENTIALS,  # insufficientAccessRights
    53: Refusal.LOGIN_DISABLED,  # unwillingToPerform: an inactive account
}
_ACTIVE_DIRECTORY_REFUSALS: Final = {
    0x530: Refusal.LOGIN_DISABLED,  # not at this hour
    0x531: Refusal.LOGIN_DISABLED,  # not from this workstation
    0x532: Refusal.EXPIRED,  # password expired
    0x533: Refusal.LOGIN_DISABLED,  # account disabled
    0x701: Refusal.LOGIN_DISABLED,  # account expired
    0x773: Refusal.EXPIRED,  # password must be changed
    0x775: Refusal.LOGIN_DISABLED,  # locked out
}
_ACCOUNT_REFUSALS: Final = {
    AccountError.PASSWORD_EXPIRED: Refusal.EXPIRED,
    AccountError.ACCOUNT_LOCKED: Refusal.LOGIN_DISABLED,
    AccountError.CHANGE_AFTER_RESET: Refusal.EXPIRED,
}
# "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v3839"
_ACTIVE_DIRECTORY: Final = re.compile(r"[0-9A-Fa-f]{8}: LdapErr: DSID-[0-9A-Fa-f]+, .*\bdata ([0-9A-Fa-f]{1,8})\b.*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry that a search found. attributes: by name, lower case; the values are octets of the server."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """code: the result's. words: libldap's for the code. said: the server's own. entries: without references."""

    code: int
    words: str = "Success"
    said: str = ""
    entries: tuple[Entry, ...] = ()
    account_error: AccountError | None = None


class NoSuchUser(Refused):
    """There is no entry of this name."""

    def __init__(self) -> None:
        super().__init__(Refusal.BAD_CREDENTIALS, "no LDAP entry has this name")


def only_entry(answer: Answer) -> Entry:
    """The user's entry. Raises NoSuchUser, Refused(BAD_CREDENTIALS) when there are several, ServerFailed."""
    if answer.code == SIZE_LIMIT_EXCEEDED or (answer.code == SUCCESS and len(answer.entries) > 1):
        raise Refused(Refusal.BAD_CREDENTIALS, "more than one LDAP entry has this name")
    if answer.code != SUCCESS:
        raise ServerFailed(f"search: {reason(answer)}")
    if not answer.entries:
        raise NoSuchUser
    if not answer.entries[0].dn:  # a bind with an empty name is anonymous and succeeds (RFC 4513 section 5.1.1)
        raise Refused(Refusal.BAD_CREDENTIALS, "the LDAP entry has no distinguished name")
    return answer.entries[0]


def check_bind(answer: Answer) -> None:
    """Return when the password is right and the account may be used. Raises Refused, ServerFailed."""
    if answer.account_error is not None:
        raise Refused(_ACCOUNT_REFUSALS[answer.account_error], f"password policy: {answer.account_error.name.lower()}")
    if answer.code == SUCCESS:
        return
    number = _active_directory_code(answer) if answer.code == INVALID_CREDENTIALS else None
    refusal = _ACTIVE_DIRECTORY_REFUSALS.get(number) if number is not None else None
    refusal = refusal or _BIND_REFUSALS.get(answer.code)
    said = f"bind: {answer.words} ({answer.code}{f', data {number:x}' if number is not None else ''})"
    if refusal is None:
        raise ServerFailed(said)
    raise Refused(refusal, said)


def reason(answer: Answer) -> str:
    """For the log: the code, and what the server says of it."""
    said = "".join(char for char in answer.said[:MAX_WORDS] if char.isprintable())
    return f"{answer.words} ({answer.code}){f': {said}' if said else ''}"


def _active_directory_code(answer: Answer) -> int | None:
    match = _ACTIVE_DIRECTORY.fullmatch(answer.said)
    return int(match[1], 16) if match else None
