"""The StartTLS request and its answer, octet for octet: they go before libldap has the connection.

Errors: `ProtocolError`.
Limits: an answer of MAX_ANSWER_OCTETS.
Source: RFC 4511 sections 4.14 and 5.1 (BER with definite lengths only), ITU-T X.690 section 8.1.
"""

from typing import Final

from gateway.errors import ProtocolError

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_ENUMERATED: Final = 0x0A
_EXTENDED_RESPONSE: Final = 0x78  # [APPLICATION 24]
_OID: Final = b"1.3.6.1.4.1.1466.20037"
_MESSAGE_ID: Final = b"\x01"
_LENGTH_OCTETS: Final = 4  # Active Directory uses all of them for any length

REQUEST: Final = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + _OID  # [APPLICATION 23] { [0] requestName }
MAX_ANSWER_OCTETS: Final = 4096
HEADER_OCTETS: Final = 2


def length_octets(header: bytes) -> int:
    """How many octets follow the first two to say how long the message is."""
    size = header[1] & 0x7F if header[1] & 0x80 else 0
    if header[0] != _SEQUENCE or header[1] == 0x80 or size > _LENGTH_OCTETS:
        raise ProtocolError("no LDAP message")
    return size


def message_octets(header: bytes, length: bytes) -> int:
    """How many octets follow `header` and `length`."""
    octets = int.from_bytes(length, "big") if length else header[1]
    if octets > MAX_ANSWER_OCTETS:
        raise ProtocolError(f"an LDAP message of {octets} octets")
    return octets


def result_code(message: bytes) -> int:
    """0: TLS may begin. Anything else is the server's no (RFC 4511 appendix A)."""
    message_id, rest = _element(_INTEGER, message)
    response, _ = _element(_EXTENDED_RESPONSE, rest)
    code, _ = _element(_ENUMERATED, response)
    if message_id != _MESSAGE_ID or len(code) != 1:
        raise ProtocolError("not the answer to StartTLS")
    return code[0]


def _element(tag: int, octets: bytes) -> tuple[bytes, bytes]:
    """The content of the first element, and what follows it."""
    if len(octets) < HEADER_OCTETS or octets[0] != tag:
        raise ProtocolError("not the answer to StartTLS")
    size = octets[1] & 0x7F if octets[1] & 0x80 else 0
    begin = HEADER_OCTETS + size
    length = int.from_bytes(octets[HEADER_OCTETS:begin], "big") if size else octets[1]
    if octets[1] == 0x80 or size > _LENGTH_OCTETS or length > len(octets) - begin:
        raise ProtocolError("broken BER in the answer to StartTLS")
    return octets[begin : begin + length], octets[begin + length :]
