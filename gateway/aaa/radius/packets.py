"""RADIUS requests: named attributes to octets, passwords hidden, requests signed. pyrad's dictionary and encoding.

A draft is a request without identifier and authenticator; both come with the socket that it is sent from, and are
never used again.

Errors: ValueError for an attribute that cannot be encoded, or a request longer than MAX_PACKET_OCTETS.
Source: RFC 2865 sections 3 and 5; RFC 2866 section 3; RFC 3579 section 3.2 (Message-Authenticator).
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import IntEnum
from importlib.resources import files
from typing import Final
from typing import Protocol

from pyrad.dictionary import Dictionary
from pyrad.packet import AuthPacket
from pyrad.tools import EncodeAttr

HEADER_OCTETS: Final = 20
MAX_PACKET_OCTETS: Final = 4096  # RFC 2865 section 3
MAX_VALUE_OCTETS: Final = 253  # RFC 2865 section 5: one octet says how long the whole attribute is
MAX_PASSWORD_OCTETS: Final = 128  # RFC 2865 section 5.2

USER_NAME: Final = 1
USER_PASSWORD: Final = 2
STATE: Final = 24
CALLING_STATION_ID: Final = 31
MESSAGE_AUTHENTICATOR: Final = 80

_VENDOR_SPECIFIC: Final = 26
_HEADER: Final = struct.Struct("!BBH16s")
_AUTHENTICATOR_OCTETS: Final = 16
_UNSIGNED: Final = bytes((MESSAGE_AUTHENTICATOR, 2 + _AUTHENTICATOR_OCTETS)) + bytes(_AUTHENTICATOR_OCTETS)

with files(__package__).joinpath("dictionary").open() as _text:
    DICTIONARY: Final = Dictionary(_text)

Value = str | int | bytes
_ONE: Final = (str, int, bytes)
Attributes = Mapping[str, Value | Sequence[Value]]


class Code(IntEnum):
    """What kind of packet it is (RFC 2865 section 4, RFC 2866 section 4)."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11


@dataclass(frozen=True, slots=True)
class Sealed:
    """A request ready to be sent, and what its answer is verified by."""

    code: Code
    identifier: int
    authenticator: bytes
    octets: bytes = field(repr=False)


class Draft(Protocol):
    """A request that any socket may send. nas: the socket's own address as an encoded attribute."""

    def sealed(self, identifier: int, nas: bytes) -> Sealed:
        """The request with this identifier and a fresh authenticator."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """password None: none is sent (Authorize Only). attributes: all the others, encoded."""

    secret: bytes = field(repr=False)
    user: bytes
    password: bytes | None = field(repr=False)
    attributes: bytes

    def sealed(self, identifier: int, nas: bytes) -> Sealed:
        """See `Draft`. The Message-Authenticator stands first, against prefixes chosen by others (CVE-2024-3596)."""
        authenticator = os.urandom(_AUTHENTICATOR_OCTETS)
        body = attribute(USER_NAME, self.user) + self._password(authenticator) + self.attributes + nas
        header = _header(Code.ACCESS_REQUEST, identifier, len(_UNSIGNED) + len(body), authenticator)
        signature = hmac.digest(self.secret, header + _UNSIGNED + body, "md5")
        octets = header + attribute(MESSAGE_AUTHENTICATOR, signature) + body
        return Sealed(Code.ACCESS_REQUEST, identifier, authenticator, octets)

    def _password(self, authenticator: bytes) -> bytes:
        if self.password is None:
            return b""
        hidden = AuthPacket(id=0, secret=self.secret, authenticator=authenticator).PwCrypt(self.password)
        return attribute(USER_PASSWORD, hidden)


@dataclass(frozen=True, slots=True)
class AccountingRequest:
    """Its authenticator is its signature (RFC 2866 section 3), so it needs no Message-Authenticator."""

    secret: bytes = field(repr=False)
    attributes: bytes

    def sealed(self, identifier: int, nas: bytes) -> Sealed:
        """See `Draft`."""
        body = self.attributes + nas
        unsigned = _header(Code.ACCOUNTING_REQUEST, identifier, len(body), bytes(_AUTHENTICATOR_OCTETS))
        authenticator = hashlib.md5(unsigned + body + self.secret, usedforsecurity=False).digest()
        octets = _header(Code.ACCOUNTING_REQUEST, identifier, len(body), authenticator) + body
        return Sealed(Code.ACCOUNTING_REQUEST, identifier, authenticator, octets)


def accounting_request(secret: bytes, attributes: Attributes) -> AccountingRequest:
    """A Start, Stop, Interim-Update, Accounting-On or -Off from its attributes by name.

    The address of the gateway is added by the socket. A sequence is an attribute that occurs several times (Class).
    """
    return AccountingRequest(secret, encoded(attributes))


def encoded(attributes: Attributes) -> bytes:
    """Attributes by the names and the words of our dictionary; octets are taken as they are."""
    several = ((name, [value] if isinstance(value, _ONE) else value) for name, value in attributes.items())
    return b"".join(_encoded_one(name, value) for name, values in several for value in values)


def _encoded_one(name: str, value: Value) -> bytes:
    """Straight from pyrad's dictionary and tools: a third of what its packets, made for any use, would cost."""
    if isinstance(value, str | bytes) and not value:
        raise ValueError(f"{name} is empty")  # RFC 2865 section 5: such an attribute is left out
    try:
        declared = DICTIONARY[name]
        words = declared.values
        octets: bytes = words.GetForward(value) if words.HasForward(value) else EncodeAttr(declared.type, value)
        if not declared.vendor:
            return attribute(declared.code, octets)
        vendor = DICTIONARY.vendors.GetForward(declared.vendor)
        return attribute(_VENDOR_SPECIFIC, vendor.to_bytes(4) + attribute(declared.code, octets))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be encoded: {error}") from None


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, for those that every login has anew: several times as fast as `encoded`."""
    if len(value) > MAX_VALUE_OCTETS:
        raise ValueError(f"attribute {kind} has {len(value)} octets")
    return bytes((kind, 2 + len(value))) + value


def _header(code: Code, identifier: int, body_octets: int, authenticator: bytes) -> bytes:
    if body_octets > MAX_PACKET_OCTETS - HEADER_OCTETS:
        raise ValueError(f"a request of {HEADER_OCTETS + body_octets} octets")
    return _HEADER.pack(code, identifier, HEADER_OCTETS + body_octets, authenticator)
