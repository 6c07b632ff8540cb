"""What an entry's attributes mean, by an attribute map: an `Identity`. Pure.

Each `map-name` line gives an LDAP attribute a meaning. Where there are `map-value` lines for that attribute, the first
of them (in the order of the file) that the entry has a value for counts, and an entry with none of them says nothing;
where there are none, the attribute's first value stands for itself. Of several LDAP attributes with one meaning the
first that says something counts. Values are compared without case, as directories compare names.

A time-out of 0 says nothing. Attributes of other meanings are for the ASA's tunnels, and are ignored.

Errors: Refused(BAD_CREDENTIALS) for a value that is not what its meaning needs: to ignore it might allow too much.
Limits: MAX_VALUE characters; whole numbers of MAX_DIGITS digits.
Source: the ASA's `ldap attribute-map`; its names IETF-Radius-Class (also Group-Policy), IETF-Radius-Session-Timeout and
IETF-Radius-Idle-Timeout (seconds; also without the prefix), Simultaneous-Logins, Access-Hours.
"""

import unicodedata
from collections.abc import Mapping
from enum import Enum
from typing import Final

from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.ldap.answers import Entry
from gateway.aaa.policy_name import policy_name
from gateway.config.model.aaa import AttributeMap
from gateway.errors import Refused
from gateway.outcome import Refusal

MAX_VALUE: Final = 253
MAX_DIGITS: Final = 9

# Active Directory gives many values as `memberOf;range=0-1499`, and `memberOf` without any.
_RANGE: Final = ";range="


class _Meaning(Enum):
    GROUP_POLICY = "group policy"
    SIMULTANEOUS_LOGINS = "number of simultaneous logins"
    SESSION_TIMEOUT = "session time-out"
    IDLE_TIMEOUT = "idle time-out"
    ACCESS_HOURS = "time range"


_MEANINGS: Final = {
    "ietf-radius-class": _Meaning.GROUP_POLICY,
    "group-policy": _Meaning.GROUP_POLICY,
    "simultaneous-logins": _Meaning.SIMULTANEOUS_LOGINS,
    "ietf-radius-session-timeout": _Meaning.SESSION_TIMEOUT,
    "session-timeout": _Meaning.SESSION_TIMEOUT,
    "ietf-radius-idle-timeout": _Meaning.IDLE_TIMEOUT,
    "idle-timeout": _Meaning.IDLE_TIMEOUT,
    "access-hours": _Meaning.ACCESS_HOURS,
}


class AttributeReader:
    """Reads entries by one map. map None: entries say nothing but the user's name."""

    def __init__(self, naming_attribute: str, attribute_map: AttributeMap | None) -> None:
        self._naming_attribute = naming_attribute.lower()
        lines = attribute_map.map_name if attribute_map else ()
        self._lines = [(line.ldap.lower(), _MEANINGS[line.asa.lower()]) for line in lines if _is_known(line.asa)]
        self._results: dict[str, list[tuple[str, str]]] = {}
        for value in attribute_map.map_value if attribute_map else ():
            self._results.setdefault(value.ldap.lower(), []).append((value.value.casefold(), value.result))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The attributes to ask the server for."""
        return tuple(dict.fromkeys([self._naming_attribute, *(ldap for ldap, _ in self._lines)]))

    def identity(self, user: str, entry: Entry) -> Identity:
        """user: as it was typed."""
        attributes = {name.partition(_RANGE)[0]: values for name, values in entry.attributes.items() if values}
        said = self._said(attributes)
        policy = said.get(_Meaning.GROUP_POLICY)
        return Identity(
            self._name(user, attributes),
            policy_name(policy) if policy is not None else None,
            Overrides(
                session_timeout_s=_number(said, _Meaning.SESSION_TIMEOUT) or None,
                idle_timeout_s=_number(said, _Meaning.IDLE_TIMEOUT) or None,
                simultaneous_logins=_number(said, _Meaning.SIMULTANEOUS_LOGINS),
                access_hours=said.get(_Meaning.ACCESS_HOURS),
            ),
        )

    def _name(self, user: str, attributes: Mapping[str, tuple[bytes, ...]]) -> str:
        """As the directory writes it: "Alice" and "alice" are one user, who has one number of simultaneous logins."""
        names = [text for value in attributes.get(self._naming_attribute, ()) if (text := _text(value)) is not None]
        typed = _folded(user)
        return next((name for name in names if _folded(name) == typed), names[0] if names else user)

    def _said(self, attributes: Mapping[str, tuple[bytes, ...]]) -> dict[_Meaning, str]:
        said: dict[_Meaning, str] = {}
        for ldap, meaning in self._lines:
            if meaning not in said and ldap in attributes:
                text = self._mapped(ldap, meaning, attributes[ldap])
                if text is not None:
                    said[meaning] = text
        return said

    def _mapped(self, ldap: str, meaning: _Meaning, values: tuple[bytes, ...]) -> str | None:
        if ldap not in self._results:
            text = _text(values[0])
            if text is None:
                raise _unfit(meaning)
            return text
        texts = {text.casefold() for value in values if (text := _text(value)) is not None}
        return next((result for value, result in self._results[ldap] if value in texts), None)


def _is_known(asa: str) -> bool:
    return asa.lower() in _MEANINGS


def _text(value: bytes) -> str | None:
    """None: not UTF-8, empty, longer than a name may be, or with control characters in it."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if 0 < len(text) <= MAX_VALUE and text.isprintable() else None


def _folded(name: str) -> str:
    """About what directories compare names by (RFC 4518 section 2)."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _number(said: Mapping[_Meaning, str], meaning: _Meaning) -> int | None:
    text = said.get(meaning)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
        raise _unfit(meaning)
    return int(text)


def _unfit(meaning: _Meaning) -> Refused:
    return Refused(Refusal.BAD_CREDENTIALS, f"LDAP: a value that is no {meaning.value}")
