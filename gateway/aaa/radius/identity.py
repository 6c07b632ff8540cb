"""What a verified answer means: an `Identity` from an Access-Accept, a text for people from any.

The group policy is 3076/25 (Group-Policy), else Class; both may be `NAME`, `OU=NAME` or `OU=NAME;`, case counts. Of
several Class attributes the first with `OU=` counts, else the first that is printable: servers add opaque ones of
their own. Only an Access-Accept names a policy: servers send Class with an Access-Reject, too.

Session-Timeout and Idle-Timeout of 0 say nothing: to some servers that is "no limit", to others "at once".

Errors: Refused(BAD_CREDENTIALS) for an attribute that restricts the user and cannot be read; RFC 2865 section 5 has
such an Access-Accept treated as an Access-Reject.
Source: RFC 2865 sections 5.18, 5.25, 5.27, 5.28; Cisco's list of RADIUS attributes for the ASA.
"""

from typing import Final

from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.policy_name import policy_name
from gateway.aaa.radius.answers import CISCO_ASA
from gateway.aaa.radius.answers import Answer
from gateway.aaa.radius.answers import Key
from gateway.errors import Refused
from gateway.outcome import Refusal

MAX_MESSAGE: Final = 253  # characters

_REPLY_MESSAGE: Final = 18
_CLASS: Final = 25
_SESSION_TIMEOUT: Final = 27
_IDLE_TIMEOUT: Final = 28
_ACCESS_HOURS: Final = (CISCO_ASA, 1)
_SIMULTANEOUS_LOGINS: Final = (CISCO_ASA, 2)
_GROUP_POLICY: Final = (CISCO_ASA, 25)

_NAMES: Final[dict[Key, str]] = {
    _CLASS: "Class",
    _SESSION_TIMEOUT: "Session-Timeout",
    _IDLE_TIMEOUT: "Idle-Timeout",
    _ACCESS_HOURS: "Access-Hours",
    _SIMULTANEOUS_LOGINS: "Simultaneous-Logins",
    _GROUP_POLICY: "Group-Policy",
}


def identity_of(user: str, accept: Answer) -> Identity:
    """Who the user is by an Access-Accept."""
    return Identity(
        user,
        group_policy=_named_policy(accept),
        overrides=Overrides(
            session_timeout_s=_integer(accept, _SESSION_TIMEOUT) or None,
            idle_timeout_s=_integer(accept, _IDLE_TIMEOUT) or None,
            simultaneous_logins=_integer(accept, _SIMULTANEOUS_LOGINS),
            access_hours=_text(accept, _ACCESS_HOURS),
        ),
        classes=accept.values(_CLASS),
    )


def message_of(answer: Answer) -> str:
    """The Reply-Messages, printable and on one line, for the log and the portal."""
    text = " ".join(value.decode("utf-8", "backslashreplace") for value in answer.values(_REPLY_MESSAGE))
    return "".join(char if char.isprintable() else _escaped(char) for char in text[:MAX_MESSAGE])[:MAX_MESSAGE]


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _named_policy(accept: Answer) -> str | None:
    named = _text(accept, _GROUP_POLICY)
    if named is not None:
        return policy_name(named)
    classes = accept.values(_CLASS)
    printable = [text for text in map(_printable, classes) if text]
    if any(value.startswith(b"OU=") and _printable(value) is None for value in classes):
        raise _unreadable(_CLASS)  # meant as a policy, and the default is no substitute for it
    units = (policy_name(text) for text in printable if policy_name(text) != text)
    return next(units, None) or next(iter(printable), None)


def _text(accept: Answer, key: Key) -> str | None:
    values = accept.values(key)
    if not values:
        return None
    text = _printable(values[0])
    if not text:
        raise _unreadable(key)
    return text


def _integer(accept: Answer, key: Key) -> int | None:
    values = accept.values(key)
    if not values:
        return None
    if len(values[0]) != 4:
        raise _unreadable(key)
    return int.from_bytes(values[0], "big")


def _printable(value: bytes) -> str | None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _unreadable(key: Key) -> Refused:
    return Refused(Refusal.BAD_CREDENTIALS, f"Access-Accept with a {_NAMES[key]} that cannot be read")
