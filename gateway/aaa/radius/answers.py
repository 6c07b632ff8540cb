"""Which datagrams are believed, and what is in them. Hostile input: whatever comes, an `Answer` or `BadAnswer`.

An answer is believed when its lengths add up, its code answers the code of the request, its Response Authenticator is
that of this very request, and it carries one valid Message-Authenticator. `allow` accepts an answer without one, never
one with a wrong one. In an Accounting-Response it is not looked at: no RFC says how it would be computed there, and the
Response Authenticator covers all of it.

Errors: `BadAnswer` with the reason; the datagram is to be dropped.
Source: RFC 2865 sections 3 and 5; RFC 2866 section 4.2; RFC 3579 section 3.2.
"""

import hashlib
import hmac
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.aaa.radius.packets import HEADER_OCTETS
from gateway.aaa.radius.packets import MAX_PACKET_OCTETS
from gateway.aaa.radius.packets import MESSAGE_AUTHENTICATOR
from gateway.aaa.radius.packets import Code
from gateway.aaa.radius.packets import Sealed
from gateway.errors import GatewayError

CISCO_ASA: Final = 3076

_VENDOR_SPECIFIC: Final = 26
_PROXY_STATE: Final = 33
_SIGNATURE_OCTETS: Final = 16
_ANSWERS_TO: Final[Mapping[Code, Mapping[int, Code]]] = {
    Code.ACCESS_REQUEST: {code: code for code in (Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE)},
    Code.ACCOUNTING_REQUEST: {Code.ACCOUNTING_RESPONSE: Code.ACCOUNTING_RESPONSE},
}

Key = int | tuple[int, int]
"""An attribute's number; that of a vendor's attribute with the vendor's number before it."""


class Drop(StrEnum):
    """Why a datagram was dropped."""

    SIZE = "its length is not what it says, below 20 or above 4096 octets"
    STRAY = "late, a duplicate, or for an identifier that is not in use"
    CODE = "its code does not answer the request"
    ATTRIBUTES = "the lengths of its attributes do not add up"
    AUTHENTICATOR = "its Response Authenticator is wrong"
    SIGNATURE = "its Message-Authenticator is wrong"
    UNSIGNED = "it has no Message-Authenticator"
    PROXY_STATE = "it returns a Proxy-State that was not sent"


class BadAnswer(GatewayError):
    """A datagram that is not believed."""

    def __init__(self, reason: Drop) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified answer. is_signed: it has a Message-Authenticator."""

    code: Code
    is_signed: bool
    attributes: Mapping[Key, tuple[bytes, ...]]

    def values(self, key: Key) -> tuple[bytes, ...]:
        """The values of one attribute in the order of the packet."""
        return self.attributes.get(key, ())


@dataclass(frozen=True, slots=True)
class _Attribute:
    kind: int
    at: int  # where its value begins
    value: bytes


def identifier_of(datagram: bytes) -> int:
    """The identifier of the request that this claims to answer. Raises BadAnswer."""
    if not HEADER_OCTETS <= len(datagram) <= MAX_PACKET_OCTETS:
        raise BadAnswer(Drop.SIZE)
    return datagram[1]


def verified(datagram: bytes, request: Sealed, secret: bytes, *, must_be_signed: bool) -> Answer:
    """The answer to exactly this request. Raises BadAnswer."""
    octets = _trimmed(datagram)
    code = _ANSWERS_TO[request.code].get(octets[0])
    if code is None or octets[1] != request.identifier:
        raise BadAnswer(Drop.CODE)
    attributes = tuple(_walk(octets, HEADER_OCTETS))
    _check_authenticator(octets, request, secret)
    is_signed = False
    if request.code is Code.ACCESS_REQUEST:
        is_signed = _check_signature(octets, attributes, request, secret)
        if must_be_signed and not is_signed:
            raise BadAnswer(Drop.UNSIGNED)
        if any(attribute.kind == _PROXY_STATE for attribute in attributes):
            raise BadAnswer(Drop.PROXY_STATE)  # where the forgery of CVE-2024-3596 hides its collision
    return Answer(code, is_signed, _by_key(attributes))


def _trimmed(datagram: bytes) -> bytes:
    """RFC 2865 section 3: what follows the length is padding, and what is shorter is dropped."""
    identifier_of(datagram)
    length = int.from_bytes(datagram[2:4], "big")
    if not HEADER_OCTETS <= length <= len(datagram):
        raise BadAnswer(Drop.SIZE)
    return datagram[:length]


def _walk(octets: bytes, at: int) -> Iterator[_Attribute]:
    end = len(octets)
    while at < end:
        length = octets[at + 1] if end - at >= 2 else 0
        if not 2 <= length <= end - at:
            raise BadAnswer(Drop.ATTRIBUTES)
        yield _Attribute(octets[at], at + 2, octets[at + 2 : at + length])
        at += length


def _check_authenticator(octets: bytes, request: Sealed, secret: bytes) -> None:
    expected = hashlib.md5(
        octets[:4] + request.authenticator + octets[HEADER_OCTETS:] + secret, usedforsecurity=False
    ).digest()
    if not hmac.compare_digest(expected, octets[4:HEADER_OCTETS]):
        raise BadAnswer(Drop.AUTHENTICATOR)


def _check_signature(octets: bytes, attributes: tuple[_Attribute, ...], request: Sealed, secret: bytes) -> bool:
    """False: there is none."""
    signatures = [attribute for attribute in attributes if attribute.kind == MESSAGE_AUTHENTICATOR]
    if not signatures:
        return False
    signature = signatures[0]
    if len(signatures) > 1 or len(signature.value) != _SIGNATURE_OCTETS:
        raise BadAnswer(Drop.SIGNATURE)
    signed = (
        octets[:4]
        + request.authenticator
        + octets[HEADER_OCTETS : signature.at]
        + bytes(_SIGNATURE_OCTETS)
        + octets[signature.at + _SIGNATURE_OCTETS :]
    )
    if not hmac.compare_digest(hmac.digest(secret, signed, "md5"), signature.value):
        raise BadAnswer(Drop.SIGNATURE)
    return True


def _by_key(attributes: tuple[_Attribute, ...]) -> Mapping[Key, tuple[bytes, ...]]:
    found: dict[Key, tuple[bytes, ...]] = {}
    for attribute in attributes:
        for key, value in _keyed(attribute):
            found[key] = (*found.get(key, ()), value)
    return found


def _keyed(attribute: _Attribute) -> Iterator[tuple[Key, bytes]]:
    """The attribute, or the attributes of the one vendor that we know (RFC 2865 section 5.26)."""
    if attribute.kind != _VENDOR_SPECIFIC:
        yield attribute.kind, attribute.value
        return
    if len(attribute.value) < 4:
        raise BadAnswer(Drop.ATTRIBUTES)
    if int.from_bytes(attribute.value[:4], "big") == CISCO_ASA:
        for inner in _walk(attribute.value, 4):
            yield (CISCO_ASA, inner.kind), inner.value
