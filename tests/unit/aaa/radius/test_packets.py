"""Requests, taken apart again by pyrad."""

import re
import struct

import pytest
from pyrad.packet import AcctPacket
from pyrad.packet import AuthPacket

from gateway.aaa.radius.packets import DICTIONARY
from gateway.aaa.radius.packets import MAX_PACKET_OCTETS
from gateway.aaa.radius.packets import AccessRequest
from gateway.aaa.radius.packets import Attributes
from gateway.aaa.radius.packets import Code
from gateway.aaa.radius.packets import accounting_request
from gateway.aaa.radius.packets import attribute
from gateway.aaa.radius.packets import encoded
from tests.unit.aaa.radius.fake import SECRET

NAS = encoded({"NAS-IP-Address": "192.0.2.9"})
START: Attributes = {"Acct-Status-Type": "Start", "Acct-Session-Id": "17", "Acct-Delay-Time": 0}


def decoded(octets: bytes) -> AuthPacket:
    return AuthPacket(secret=SECRET, packet=octets, dict=DICTIONARY)


@pytest.mark.parametrize("password", [b"x", b"secret", b"x" * 16, b"x" * 17, b"x" * 128, "grüße".encode(), b""])
def test_access_request_hides_the_password_and_signs_itself_first(password: bytes) -> None:
    request = AccessRequest(SECRET, b"alice", password, encoded({"Service-Type": "Login"})).sealed(7, NAS)
    packet = decoded(request.octets)
    assert (packet.code, packet.id, packet.authenticator) == (Code.ACCESS_REQUEST, 7, request.authenticator)
    assert request.octets[20] == 80
    assert packet.verify_message_authenticator()
    assert packet.PwDecrypt(packet[2][0]) == password.decode()
    assert [packet[name] for name in ("User-Name", "Service-Type", "NAS-IP-Address")] == [
        ["alice"],
        ["Login"],
        ["192.0.2.9"],
    ]
    assert len(password) < 2 or password not in request.octets


def test_access_request_without_a_password_has_no_such_attribute() -> None:
    packet = decoded(AccessRequest(SECRET, b"alice", None, b"").sealed(7, NAS).octets)
    assert "User-Password" not in packet
    assert packet.verify_message_authenticator()


def test_each_sealing_is_another_request() -> None:
    draft = AccessRequest(SECRET, b"alice", b"secret", b"")
    first, second = draft.sealed(1, NAS), draft.sealed(1, NAS)
    assert first.authenticator != second.authenticator
    assert first.octets[-40:] != second.octets[-40:]


def test_accounting_request_is_signed_by_its_authenticator() -> None:
    request = accounting_request(SECRET, START).sealed(9, NAS)
    packet = AcctPacket(secret=SECRET, packet=request.octets, dict=DICTIONARY)
    assert packet.VerifyAcctRequest()
    assert (packet.id, packet["Acct-Status-Type"], packet["NAS-IP-Address"]) == (9, ["Start"], ["192.0.2.9"])


@pytest.mark.parametrize("raw", [b"0x41", b"0x", b"\x00\xff\x80", b"65", b" ", b"x" * 253])
def test_octets_are_sent_as_they_came(raw: bytes) -> None:
    """Class goes back unchanged (RFC 2865 section 5.25), also when it looks like a number or hexadecimal digits."""
    assert encoded({"Class": [raw, b"two"]}) == attribute(25, raw) + attribute(25, b"two")


def test_vendor_attributes_and_words_are_known() -> None:
    words = {"ASA-ClientType": "Clientless-SSL-VPN", "ASA-SessionType": "Clientless-Email-Proxy"}
    assert encoded(words) == b"".join(
        attribute(26, struct.pack("!LBBL", 3076, kind, 6, value)) for kind, value in ((150, 3), (151, 4))
    )


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"No-Such-Attribute": "x"}, "No-Such-Attribute"),
        ({"Acct-Session-Id": ""}, "Acct-Session-Id is empty"),
        ({"Acct-Session-Id": "x" * 254}, "Acct-Session-Id"),
        ({"Acct-Session-Id": 5}, "Acct-Session-Id"),
        ({"Acct-Input-Octets": 1 << 32}, "Acct-Input-Octets"),
        ({"Acct-Input-Octets": -1}, "Acct-Input-Octets"),
        ({"Acct-Status-Type": "Never"}, "Acct-Status-Type"),
        ({"NAS-IP-Address": "2001:db8::1"}, "NAS-IP-Address"),
    ],
)
def test_what_cannot_be_encoded_is_a_value_error_with_its_name(attributes: Attributes, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        encoded(attributes)


def test_a_request_is_never_longer_than_the_protocol_allows() -> None:
    classes = [b"x" * 253] * 16
    assert len(accounting_request(SECRET, {"Class": classes[:15]}).sealed(1, NAS).octets) <= MAX_PACKET_OCTETS
    with pytest.raises(ValueError, match="octets"):
        accounting_request(SECRET, {"Class": classes}).sealed(1, NAS)


def test_an_attribute_longer_than_one_octet_can_say_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="254 octets"):
        attribute(1, b"x" * 254)


def test_no_repr_shows_a_secret() -> None:
    draft = AccessRequest(SECRET, b"alice", b"pass-word", b"")
    shown = repr(draft) + repr(draft.sealed(1, NAS)) + repr(accounting_request(SECRET, START))
    assert SECRET.decode() not in shown
    assert "pass-word" not in shown
