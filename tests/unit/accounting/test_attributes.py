"""Records as RADIUS attributes, down to the octets of a request."""

from dataclasses import replace

import pytest

from gateway.aaa.radius.packets import MAX_PACKET_OCTETS
from gateway.aaa.radius.packets import accounting_request
from gateway.accounting.attributes import attributes_of
from gateway.accounting.attributes import multi_session_id
from gateway.accounting.base import Authentic
from gateway.accounting.base import SessionFacts
from gateway.accounting.causes import TerminateCause
from gateway.accounting.node import NODE_SESSION
from gateway.accounting.records import MAX_SESSION_ID
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record
from gateway.accounting.records import Usage
from gateway.accounting.records import tidy
from tests.support.journals import facts

AT = Moment(1_700_000_000, 5000.0)
STOP = Record(Kind.STOP, "s1", AT, Usage(61, 2**32 + 7, 3 * 2**32), TerminateCause.IDLE_TIMEOUT, facts("s1"))
OURS = {"NAS-Identifier": "g" * 253, "NAS-Port-Type": "Virtual"}


def of(record: Record, now: Moment = AT, *, same_boot: bool = True) -> dict[str, object]:
    return dict(attributes_of(record, now, same_boot=same_boot))


def test_stop_says_all_there_is() -> None:
    record = replace(STOP, facts=facts("s1", classes=(b"OU=MAILUSERS;", b"\xff\0\r\n"), authentic=Authentic.LOCAL))
    assert of(record, Moment(0, AT.monotonic_s + 9.9)) == {
        "Acct-Status-Type": "Stop",
        "Acct-Session-Id": "s1",
        "Acct-Multi-Session-Id": multi_session_id(facts()),
        "Event-Timestamp": 1_700_000_000,
        "Acct-Delay-Time": 9,
        "Acct-Authentic": 2,
        "User-Name": "alice",
        "Service-Type": "Login",
        "Calling-Station-Id": "192.0.2.7",
        "Called-Station-Id": "outside",
        "Framed-IP-Address": "192.0.2.7",
        "ASA-TunnelGroupName": "imap4s",
        "ASA-ClientType": "Clientless-SSL-VPN",
        "ASA-SessionType": "Clientless-Email-Proxy",
        "ASA-SessionSubtype": "Clientless",
        "Class": [b"OU=MAILUSERS;", b"\xff\0\r\n"],
        "Acct-Session-Time": 61,
        "Acct-Input-Octets": 7,
        "Acct-Input-Gigawords": 1,
        "Acct-Output-Octets": 0,
        "Acct-Output-Gigawords": 3,
        "Acct-Terminate-Cause": 4,
    }


def test_start_has_no_usage_and_an_interim_update_no_cause() -> None:
    start, interim = of(replace(STOP, kind=Kind.START)), of(replace(STOP, kind=Kind.INTERIM))
    assert start["Acct-Status-Type"] == "Start"
    assert interim["Acct-Status-Type"] == "Interim-Update"
    usage = {name for name in of(STOP) if name.startswith("Acct-") and name.endswith(("words", "tets", "Session-Time"))}
    assert len(usage) == 5
    assert of(STOP).keys() - interim.keys() == {"Acct-Terminate-Cause"}
    assert interim.keys() - start.keys() == usage


@pytest.mark.parametrize(("kind", "word"), [(Kind.NODE_UP, "Accounting-On"), (Kind.NODE_DOWN, "Accounting-Off")])
def test_gateway_itself_has_a_session_id_and_no_user(kind: Kind, word: str) -> None:
    attributes = of(Record(kind, NODE_SESSION, AT))
    assert attributes == {
        "Acct-Status-Type": word,
        "Acct-Session-Id": NODE_SESSION,
        "Event-Timestamp": 1_700_000_000,
        "Acct-Delay-Time": 0,
    }


class TestDelay:
    def test_wall_clock_jumps_then_delay_is_by_the_monotonic_clock(self) -> None:
        for wall_s in (0, AT.wall_s + 86400):
            assert of(STOP, Moment(wall_s, AT.monotonic_s + 30))["Acct-Delay-Time"] == 30

    def test_machine_was_started_since_then_delay_is_by_the_wall_clock(self) -> None:
        assert of(STOP, Moment(AT.wall_s + 300, 12.0), same_boot=False)["Acct-Delay-Time"] == 300

    def test_wall_clock_was_set_back_then_delay_is_0(self) -> None:
        assert of(STOP, Moment(AT.wall_s - 300, 12.0), same_boot=False)["Acct-Delay-Time"] == 0


@pytest.mark.parametrize(
    ("client", "attribute"),
    [
        ("192.0.2.7", ("Framed-IP-Address", "192.0.2.7")),
        ("2001:db8::7", ("Framed-IPv6-Address", "2001:db8::7")),
        ("fe80::7%eth0", ("Framed-IPv6-Address", "fe80::7")),
        ("unix", None),
    ],
)
def test_client_address_is_told_as_what_it_is(client: str, attribute: tuple[str, str] | None) -> None:
    attributes = of(replace(STOP, facts=replace(facts("s1"), client=client)))
    framed = [(name, value) for name, value in attributes.items() if name.startswith("Framed-")]
    assert framed == ([attribute] if attribute else [])
    assert attributes["Calling-Station-Id"] == client
    assert accounting_request(b"secret", attributes)  # type: ignore[arg-type]


def test_sessions_of_one_user_at_one_address_have_one_multi_session_id() -> None:
    ours = multi_session_id(facts("s1"))
    assert multi_session_id(facts("s2")) == ours
    assert multi_session_id(facts("s1", "bob")) != ours
    assert multi_session_id(replace(facts("s1"), client="192.0.2.8")) != ours


def test_largest_session_fits_into_a_request() -> None:
    text = "ü" * 200
    largest = tidy(
        SessionFacts(
            "x" * MAX_SESSION_ID, text, "imap4s", text, "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", (b"c" * 253,) * 16
        )
    )
    attributes = of(replace(STOP, facts=largest, usage=Usage(2**40, 2**64, 2**64)))
    draft = accounting_request(b"secret", {**attributes, **OURS})  # type: ignore[dict-item]
    sealed = draft.sealed(255, bytes(18))
    assert MAX_PACKET_OCTETS - 700 < len(sealed.octets) <= MAX_PACKET_OCTETS
    classes = attributes["Class"]
    assert isinstance(classes, list)
    assert len(classes) >= 10


def test_classes_are_echoed_to_the_octet() -> None:
    classes = (b"0x41", b"\xff\xfe", b" ", b"OU=A;", b"OU=A;")
    attributes = of(replace(STOP, facts=facts("s1", classes=classes)))
    octets = accounting_request(b"secret", attributes).attributes  # type: ignore[arg-type]
    assert all(bytes([25, 2 + len(one)]) + one in octets for one in classes)
    assert octets.count(b"\x19\x07OU=A;") == 2


@pytest.mark.parametrize("user", ["a\r\nb", "\0", "☃" * 84, "x" * 253, "0x41", "%{User-Name}"])
def test_any_user_name_can_be_encoded(user: str) -> None:
    octets = accounting_request(b"secret", of(replace(STOP, facts=tidy(facts("s1", user))))).attributes  # type: ignore[arg-type]
    assert bytes([1, 2 + len(user.encode())]) + user.encode() in octets
