"""What an Access-Accept says of a user."""

import struct

import pytest

from gateway.aaa.base import Overrides
from gateway.aaa.radius.answers import Answer
from gateway.aaa.radius.answers import Key
from gateway.aaa.radius.identity import MAX_MESSAGE
from gateway.aaa.radius.identity import identity_of
from gateway.aaa.radius.identity import message_of
from gateway.aaa.radius.packets import Code
from gateway.errors import Refused
from gateway.outcome import Refusal

CLASS, SESSION_TIMEOUT, IDLE_TIMEOUT, REPLY_MESSAGE = 25, 27, 28, 18
ACCESS_HOURS, SIMULTANEOUS_LOGINS, GROUP_POLICY = (3076, 1), (3076, 2), (3076, 25)


def accept(*attributes: tuple[Key, bytes]) -> Answer:
    found: dict[Key, tuple[bytes, ...]] = {}
    for key, value in attributes:
        found[key] = (*found.get(key, ()), value)
    return Answer(Code.ACCESS_ACCEPT, True, found)


def integer(number: int) -> bytes:
    return struct.pack("!L", number)


@pytest.mark.parametrize(
    ("classes", "policy"),
    [
        ([], None),
        ([b"MAIL"], "MAIL"),
        ([b"OU=MAIL"], "MAIL"),
        ([b"OU=MAIL;"], "MAIL"),
        (["OU=Büro Süd;".encode()], "Büro Süd"),
        ([b"OU=" + b"x" * 250], "x" * 250),
        ([b"first", b"second"], "first"),
        ([b"first", b"OU=second", b"OU=third;"], "second"),
        ([b"\x30\x9e\x01\x00opaque", b"OU=MAIL"], "MAIL"),
        ([b"\x30\x9e\x01\x00opaque", b"MAIL"], "MAIL"),
        ([b"\x30\x9e\x01\x00opaque"], None),
        ([b"MAIL\r\nX", b"", b"\xff"], None),
        # None of these is the name of a policy, and each is refused as an unknown one.
        ([b"ou=MAIL"], "ou=MAIL"),
        ([b"OU="], "OU="),
        ([b"OU=;"], "OU=;"),
        ([b"OU=A;OU=B;"], "OU=A;OU=B;"),
        ([b"OU=../"], "../"),
    ],
)
def test_inc_C3_a_class_names_the_group_policy(classes: list[bytes], policy: str | None) -> None:  # noqa: N802
    identity = identity_of("alice", accept(*((CLASS, value) for value in classes)))
    assert identity.group_policy == policy
    assert identity.classes == tuple(classes)


@pytest.mark.parametrize("value", [b"ASA", b"OU=ASA", b"OU=ASA;"])
def test_the_group_policy_attribute_of_the_asa_comes_before_class(value: bytes) -> None:
    assert identity_of("alice", accept((CLASS, b"OU=MAIL"), (GROUP_POLICY, value))).group_policy == "ASA"


def test_what_aaa_says_of_the_user_overrides_the_policy() -> None:
    identity = identity_of(
        "alice",
        accept(
            (SESSION_TIMEOUT, integer(3600)),
            (IDLE_TIMEOUT, integer(60)),
            (SIMULTANEOUS_LOGINS, integer(0)),
            (ACCESS_HOURS, b"OFFICE"),
        ),
    )
    assert identity.overrides == Overrides(3600, 60, 0, "OFFICE")


def test_a_time_out_of_zero_says_nothing() -> None:
    identity = identity_of("alice", accept((SESSION_TIMEOUT, integer(0)), (IDLE_TIMEOUT, integer(0))))
    assert identity.overrides == Overrides()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (SESSION_TIMEOUT, b""),
        (SESSION_TIMEOUT, b"\x00\x00\x0e"),
        (IDLE_TIMEOUT, bytes(5)),
        (SIMULTANEOUS_LOGINS, b"3"),
        (ACCESS_HOURS, b""),
        (ACCESS_HOURS, b"OFFICE\x00"),
        (GROUP_POLICY, b""),
        (GROUP_POLICY, b"\xff\xfe"),
        (GROUP_POLICY, b"MAIL\r\n"),
        (CLASS, b"OU=MAIL\rUSERS;"),
        (CLASS, b"OU=\xff"),
    ],
)
def test_a_restriction_that_cannot_be_read_is_a_reject(key: Key, value: bytes) -> None:
    with pytest.raises(Refused, match="cannot be read") as refused:
        identity_of("alice", accept((CLASS, b"OU=MAIL"), (key, value)))
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], ""),
        ([b"Go away"], "Go away"),
        ([b"Enter", b"OTP"], "Enter OTP"),
        (["Grüße".encode()], "Grüße"),
        ([b"a\r\n* OK b\x00\x1b[31m"], r"a\r\n* OK b\x00\x1b[31m"),
        (["\u2028\u202e".encode()], r"\u2028\u202e"),
        ([b"\xff\xfe"], r"\xff\xfe"),
        ([b"x" * 253, b"y" * 253], "x" * MAX_MESSAGE),
        ([b"\x00" * 253], (r"\x00" * 253)[:MAX_MESSAGE]),
    ],
)
def test_inc_B9_a_reply_message_is_one_printable_line(messages: list[bytes], text: str) -> None:  # noqa: N802
    assert message_of(accept(*((REPLY_MESSAGE, message) for message in messages))) == text
