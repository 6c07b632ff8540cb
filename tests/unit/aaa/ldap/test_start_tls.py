"""StartTLS, octet for octet."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap.extop import ExtendedRequest

from gateway.aaa.ldap import start_tls
from gateway.errors import ProtocolError
from tests.unit.aaa.ldap.fake import EXTENDED
from tests.unit.aaa.ldap.fake import EXTENDED_ANSWER
from tests.unit.aaa.ldap.fake import element
from tests.unit.aaa.ldap.fake import message
from tests.unit.aaa.ldap.fake import result

ANSWER = message(1, result(EXTENDED_ANSWER))


def code_of(octets: bytes) -> int:
    """As the connection reads it."""
    header, rest = octets[:2], octets[2:]
    size = start_tls.length_octets(header)
    length, rest = rest[:size], rest[size:]
    return start_tls.result_code(rest[: start_tls.message_octets(header, length)])


def test_request_asks_for_tls() -> None:
    oid = ExtendedRequest("1.3.6.1.4.1.1466.20037", None).requestName.encode()
    assert element(0x30, element(0x02, b"\1") + element(EXTENDED, element(0x80, oid))) == start_tls.REQUEST


@pytest.mark.parametrize("code", [0, 1, 2, 52])
def test_answer_says_its_code(code: int) -> None:
    assert code_of(message_of_one_octet_id(result(EXTENDED_ANSWER, code))) == code


def test_answer_with_long_lengths_as_active_directory_sends_them() -> None:
    octets = bytes.fromhex("308400000028 020101 78840000001f 0a0100 0400 0400 8a16") + b"1.3.6.1.4.1.1466.20037"
    assert code_of(octets) == 0


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x30\x80\x02\x01\x01\x78\x00",
        b"\x30\xff" + bytes(200),
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x83\x00\x20\x00" + bytes(0x2000),
        b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00",  # the answer to another request
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",  # a bind's
        b"\x30\x0c\x02\x01\x01\x78\x47\x0a\x01\x00\x04\x00\x04\x00",  # longer inside than outside
        b"\x30\x0d\x02\x01\x01\x78\x08\x0a\x02\x00\x00\x04\x00\x04\x00",
        b"\x30\x03\x02\x01\x01",
        b"\x30\x00",
    ],
)
def test_anything_else_is_an_error(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        code_of(octets)


@given(st.binary(min_size=2, max_size=60))
def test_any_octets_are_a_code_or_an_error(octets: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert code_of(octets) >= 0


def message_of_one_octet_id(operation: bytes) -> bytes:
    return element(0x30, element(0x02, b"\1") + operation)
