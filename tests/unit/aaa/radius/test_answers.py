"""Which datagrams are believed. Each lie here is one that a server, or somebody who pretends to be it, can tell."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from pyrad.packet import AcctPacket
from pyrad.packet import AuthPacket
from pyrad.packet import Packet

from gateway.aaa.radius.answers import Answer
from gateway.aaa.radius.answers import BadAnswer
from gateway.aaa.radius.answers import Drop
from gateway.aaa.radius.answers import identifier_of
from gateway.aaa.radius.answers import verified
from gateway.aaa.radius.packets import DICTIONARY
from gateway.aaa.radius.packets import AccessRequest
from gateway.aaa.radius.packets import Code
from gateway.aaa.radius.packets import accounting_request
from tests.unit.aaa.radius.fake import ACCEPT
from tests.unit.aaa.radius.fake import ACCOUNTED
from tests.unit.aaa.radius.fake import CHALLENGE
from tests.unit.aaa.radius.fake import CLASS
from tests.unit.aaa.radius.fake import PROXY_STATE
from tests.unit.aaa.radius.fake import REJECT
from tests.unit.aaa.radius.fake import SECRET
from tests.unit.aaa.radius.fake import SIGNATURE
from tests.unit.aaa.radius.fake import VENDOR
from tests.unit.aaa.radius.fake import Asked
from tests.unit.aaa.radius.fake import attribute
from tests.unit.aaa.radius.fake import cisco
from tests.unit.aaa.radius.fake import reply

REQUEST = AccessRequest(SECRET, b"alice", b"secret", b"").sealed(7, b"")
OTHER = AccessRequest(SECRET, b"bob", b"secret", b"").sealed(7, b"")
ACCOUNTING = accounting_request(SECRET, {"Acct-Session-Id": "1"}).sealed(7, b"")
ASKED, ASKED_OTHER, ASKED_ACCOUNTING = (
    Asked(request.octets, ("192.0.2.1", 1812)) for request in (REQUEST, OTHER, ACCOUNTING)
)
MAILUSERS = attribute(CLASS, b"OU=MAILUSERS;")
HONEST = reply(ASKED, attributes=MAILUSERS)


def believed(datagram: bytes, *, must_be_signed: bool = True) -> Answer:
    return verified(datagram, REQUEST, SECRET, must_be_signed=must_be_signed)


def why_dropped(datagram: bytes, *, must_be_signed: bool = True) -> Drop:
    with pytest.raises(BadAnswer) as bad:
        believed(datagram, must_be_signed=must_be_signed)
    return bad.value.reason


def raw_reply(body: bytes, code: int = ACCEPT, length: int | None = None) -> bytes:
    """With a right Response Authenticator, whatever the body is: the liar knows the secret, or MD5."""
    header = struct.pack("!BBH", code, ASKED.identifier, 20 + len(body) if length is None else length)
    return header + hashlib.md5(header + ASKED.authenticator + body + SECRET).digest() + body  # noqa: S324


@pytest.mark.parametrize("code", [ACCEPT, REJECT, CHALLENGE])
def test_an_honest_answer_is_believed(code: int) -> None:
    answer = believed(reply(ASKED, code, MAILUSERS + cisco(25, b"A") + cisco(25, b"B")))
    assert (answer.code, answer.is_signed) == (Code(code), True)
    assert answer.values(CLASS) == (b"OU=MAILUSERS;",)
    assert answer.values((3076, 25)) == (b"A", b"B")
    assert answer.values(1) == ()


def test_what_pyrad_answers_is_believed_wherever_its_signature_stands() -> None:
    packet: Packet = AuthPacket(secret=SECRET, packet=REQUEST.octets, dict=DICTIONARY).CreateReply()
    packet["Class"] = ["one", "two"]
    packet["Reply-Message"] = "hello"
    datagram = packet.ReplyPacket()
    assert datagram[20] == SIGNATURE
    assert believed(datagram).values(CLASS) == (b"one", b"two")
    packet.move_to_end(80)
    datagram = packet.ReplyPacket()
    assert datagram[-18] == SIGNATURE
    assert believed(datagram).is_signed


def test_an_accounting_response_needs_no_signature() -> None:
    packet = AcctPacket(secret=SECRET, packet=ACCOUNTING.octets, dict=DICTIONARY).CreateReply()
    answer = verified(packet.ReplyPacket(), ACCOUNTING, SECRET, must_be_signed=True)
    assert answer.code is Code.ACCOUNTING_RESPONSE


def test_padding_after_the_length_is_ignored() -> None:
    assert believed(HONEST + b"\x19\x05abc").values(CLASS) == (b"OU=MAILUSERS;",)


def test_attributes_of_other_vendors_are_ignored_however_they_look() -> None:
    body = attribute(VENDOR, struct.pack("!L", 9) + b"\x00\x00\xff")
    assert believed(reply(ASKED, attributes=body)).attributes.keys() == {SIGNATURE}


class TestIncC1BlastRadius:
    """CVE-2024-3596: who can find MD5 collisions can forge a Response Authenticator, not a Message-Authenticator."""

    def test_inc_C1_an_answer_with_only_a_response_authenticator_is_dropped(self) -> None:  # noqa: N802
        assert why_dropped(reply(ASKED, is_signed=False)) is Drop.UNSIGNED

    def test_inc_C1_allow_accepts_it_and_says_that_it_was_unsigned(self) -> None:  # noqa: N802
        assert not believed(reply(ASKED, is_signed=False), must_be_signed=False).is_signed

    @pytest.mark.parametrize("must_be_signed", [True, False])
    @pytest.mark.parametrize(
        "datagram",
        [
            reply(ASKED, signature=bytes(16)),
            reply(ASKED, signature=reply(ASKED_OTHER)[22:38]),
            reply(ASKED, signature=reply(ASKED, REJECT)[22:38]),
            raw_reply(attribute(SIGNATURE, b"short")),
            raw_reply(attribute(SIGNATURE, b"")),
            raw_reply(attribute(SIGNATURE, bytes(17))),
            raw_reply(HONEST[20:38] + HONEST[20:38]),
            raw_reply(MAILUSERS + attribute(SIGNATURE, REQUEST.octets[22:38])),
            reply(ASKED, attributes=attribute(SIGNATURE, bytes(16))),
        ],
        ids=[
            "zeros",
            "of another request",
            "of a Reject",
            "short",
            "empty",
            "long",
            "twice the same",
            "of the request itself",
            "right, then wrong",
        ],
    )
    def test_inc_C1_a_wrong_signature_is_never_believed(self, datagram: bytes, must_be_signed: bool) -> None:  # noqa: N802
        assert why_dropped(datagram, must_be_signed=must_be_signed) is Drop.SIGNATURE

    @pytest.mark.parametrize("must_be_signed", [True, False])
    def test_inc_C1_a_proxy_state_that_nobody_sent_is_dropped(self, must_be_signed: bool) -> None:  # noqa: N802
        """The collision block of the attack lies in one."""
        datagram = reply(ASKED, attributes=attribute(PROXY_STATE, b"x"), is_signed=must_be_signed)
        assert why_dropped(datagram, must_be_signed=must_be_signed) is Drop.PROXY_STATE


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", Drop.SIZE),
        (HONEST[:19], Drop.SIZE),
        (HONEST[:20], Drop.SIZE),
        (HONEST[:-1], Drop.SIZE),
        (HONEST[:2] + b"\x00\x13" + HONEST[4:], Drop.SIZE),
        (HONEST[:2] + b"\x00\x00" + HONEST[4:], Drop.SIZE),
        (HONEST[:2] + b"\xff\xff" + HONEST[4:], Drop.SIZE),
        (HONEST + bytes(4097 - len(HONEST)), Drop.SIZE),
        (raw_reply(attribute(CLASS, bytes(251)) * 17), Drop.SIZE),
        (raw_reply(b"\x19\x00" + MAILUSERS), Drop.ATTRIBUTES),
        (raw_reply(b"\x19\x01" + MAILUSERS), Drop.ATTRIBUTES),
        (raw_reply(MAILUSERS + b"\x19\x06abc"), Drop.ATTRIBUTES),
        (raw_reply(MAILUSERS + b"\x19"), Drop.ATTRIBUTES),
        (raw_reply(MAILUSERS + b"\x19\xff"), Drop.ATTRIBUTES),
        (reply(ASKED, attributes=attribute(VENDOR, b"\x00\x00\x0c")), Drop.ATTRIBUTES),
        (reply(ASKED, attributes=attribute(VENDOR, b"\x00\x00\x0c\x04\x19")), Drop.ATTRIBUTES),
        (reply(ASKED, attributes=attribute(VENDOR, b"\x00\x00\x0c\x04\x19\x00")), Drop.ATTRIBUTES),
        (reply(ASKED, attributes=attribute(VENDOR, b"\x00\x00\x0c\x04\x19\x09MAIL")), Drop.ATTRIBUTES),
        (reply(ASKED, 0), Drop.CODE),
        (reply(ASKED, 1), Drop.CODE),
        (reply(ASKED, ACCOUNTED), Drop.CODE),
        (reply(ASKED, 13), Drop.CODE),
        (reply(ASKED, 255), Drop.CODE),
        (REQUEST.octets, Drop.CODE),
        (reply(ASKED, identifier=8), Drop.CODE),
        (reply(ASKED, authenticator=bytes(16)), Drop.AUTHENTICATOR),
        (reply(ASKED, authenticator=REQUEST.authenticator), Drop.AUTHENTICATOR),
        (reply(ASKED, secret=b"another secret"), Drop.AUTHENTICATOR),
        (reply(ASKED_OTHER), Drop.AUTHENTICATOR),
        (bytes((ACCEPT,)) + reply(ASKED, REJECT)[1:], Drop.AUTHENTICATOR),
    ],
    ids=lambda value: value.name if isinstance(value, Drop) else "",
)
def test_inc_F3_a_lie_is_dropped_with_its_reason(datagram: bytes, reason: Drop) -> None:  # noqa: N802
    assert why_dropped(datagram) is reason


@pytest.mark.parametrize("code", [ACCEPT, REJECT, CHALLENGE])
def test_an_answer_to_a_login_is_no_answer_to_accounting(code: int) -> None:
    with pytest.raises(BadAnswer) as bad:
        verified(reply(ASKED_ACCOUNTING, code), ACCOUNTING, SECRET, must_be_signed=True)
    assert bad.value.reason is Drop.CODE


@pytest.mark.parametrize("datagram", [b"", bytes(19), bytes(4097)], ids=len)
def test_a_datagram_of_an_impossible_size_has_no_identifier(datagram: bytes) -> None:
    with pytest.raises(BadAnswer):
        identifier_of(datagram)


@given(st.binary(max_size=4200))
@settings(max_examples=300)
def test_inc_F3_any_octets_are_dropped_and_never_an_error(datagram: bytes) -> None:  # noqa: N802
    why_dropped(datagram, must_be_signed=False)


@given(st.integers(0, len(HONEST) * 8 - 1))
@settings(max_examples=400)
def test_inc_F3_not_a_bit_of_an_answer_may_change(bit: int) -> None:  # noqa: N802
    flipped = bytearray(HONEST)
    flipped[bit // 8] ^= 1 << bit % 8
    why_dropped(bytes(flipped), must_be_signed=False)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=253)), max_size=12), st.binary(max_size=6))
@settings(max_examples=300)
def test_inc_F3_whatever_a_signed_body_holds_is_an_answer_or_dropped(  # noqa: N802
    attributes: list[tuple[int, bytes]], rest: bytes
) -> None:
    body = b"".join(attribute(kind, value) for kind, value in attributes) + rest
    try:
        answer = believed(reply(ASKED, attributes=body))
    except BadAnswer:
        return
    assert answer.code is Code.ACCESS_ACCEPT
