"""What an entry's attributes mean."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.ldap.answers import Entry
from gateway.aaa.ldap.attributes import AttributeReader
from gateway.errors import Refused
from gateway.outcome import Refusal
from tests.unit.aaa.ldap.fake import attribute_map

MAIL = "CN=Mail,OU=Groups,DC=example,DC=test"
STAFF = "CN=Staff,OU=Groups,DC=example,DC=test"
BY_GROUP = attribute_map(
    ["memberOf IETF-Radius-Class"], [("memberOf", MAIL, "MAILUSERS"), ("memberOf", STAFF, "STAFFUSERS")]
)


def identity(names: list[str], attributes: dict[str, list[bytes]], values: list[tuple[str, str, str]] = []) -> Identity:  # noqa: B006
    return read(AttributeReader("uid", attribute_map(names, values)), attributes)


def read(reader: AttributeReader, attributes: dict[str, list[bytes]], user: str = "alice") -> Identity:
    """Names in lower case, as a connection gives them."""
    lower = {name.lower(): tuple(found) for name, found in attributes.items()}
    return reader.identity(user, Entry("uid=alice,dc=example", lower))


def test_without_a_map_only_the_name_is_known() -> None:
    reader = AttributeReader("uid", None)
    assert reader.wanted == ("uid",)
    assert read(reader, {"uid": [b"alice"], "memberOf": [MAIL.encode()]}) == Identity("alice")


def test_only_what_means_something_is_asked_for() -> None:
    lines = ["memberOf IETF-Radius-Class", "memberof Group-Policy", "hours Access-Hours", "x IE-Proxy-Server"]
    assert AttributeReader("sAMAccountName", attribute_map(lines)).wanted == ("samaccountname", "memberof", "hours")


@pytest.mark.parametrize("order", [[MAIL, STAFF], [STAFF, MAIL]])
def test_first_line_of_the_file_that_matches_counts_whatever_the_server_s_order(order: list[str]) -> None:
    values = [value.encode() for value in order]
    assert read(AttributeReader("uid", BY_GROUP), {"memberOf": values}).group_policy == "MAILUSERS"


def test_values_are_compared_without_case() -> None:
    assert read(AttributeReader("uid", BY_GROUP), {"MEMBEROF": [STAFF.lower().encode()]}).group_policy == "STAFFUSERS"


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b"CN=Other"],
        [b"CN=Mail"],
        [MAIL.encode() + b" "],
        [b"\xff\xfe"],
        [MAIL.encode() + b"\0"],
        [MAIL.encode() + b"\r\n"],
        [b"x" * 100_000],
    ],
)
def test_values_of_which_no_line_speaks_say_nothing(values: list[bytes]) -> None:
    assert read(AttributeReader("uid", BY_GROUP), {"memberOf": values}) == Identity("alice")


def test_value_that_cannot_be_read_does_not_hide_one_that_can() -> None:
    values = [b"\xff", b"", MAIL.encode()]
    assert read(AttributeReader("uid", BY_GROUP), {"memberOf": values}).group_policy == "MAILUSERS"


@pytest.mark.parametrize(
    ("value", "policy"),
    [(b"MAIL", "MAIL"), (b"OU=MAIL", "MAIL"), (b"OU=MAIL;", "MAIL"), (b"ou=MAIL", "ou=MAIL"), (b"OU=;", "OU=;")],
)
@pytest.mark.parametrize("meaning", ["IETF-Radius-Class", "Group-Policy", "group-policy"])
def test_attribute_without_map_values_stands_for_itself(value: bytes, policy: str, meaning: str) -> None:
    assert identity([f"departmentNumber {meaning}"], {"departmentNumber": [value]}).group_policy == policy


def test_first_attribute_that_says_something_counts() -> None:
    lines = ["memberOf Group-Policy", "departmentNumber IETF-Radius-Class"]
    values = [("memberOf", MAIL, "MAILUSERS")]
    both = {"departmentNumber": [b"DEPARTMENT"], "memberOf": [MAIL.encode()]}
    assert identity(lines, both, values).group_policy == "MAILUSERS"
    assert identity(lines, {**both, "memberOf": [STAFF.encode()]}, values).group_policy == "DEPARTMENT"


def test_all_that_can_be_said_of_a_user() -> None:
    lines = [
        "a Simultaneous-Logins",
        "b IETF-Radius-Session-Timeout",
        "c IETF-Radius-Idle-Timeout",
        "d Access-Hours",
        "e Group-Policy",
    ]
    attributes = {"a": [b"2"], "b": [b"3600"], "c": [b"900"], "d": [b"OFFICE"], "e": [b"MAIL"]}
    assert identity(lines, attributes) == Identity("alice", "MAIL", Overrides(3600, 900, 2, "OFFICE"))


def test_names_without_the_prefix_mean_the_same_and_zero_is_no_timeout() -> None:
    lines = ["b Session-Timeout", "c Idle-Timeout", "a Simultaneous-Logins"]
    assert identity(lines, {"b": [b"60"], "c": [b"0"], "a": [b"0"]}).overrides == Overrides(60, None, 0)


def test_mapped_number_is_a_number_too() -> None:
    lines, values = ["memberOf Simultaneous-Logins"], [("memberOf", MAIL, "5"), ("memberOf", STAFF, "many")]
    assert identity(lines, {"memberOf": [MAIL.encode()]}, values).overrides == Overrides(simultaneous_logins=5)
    with pytest.raises(Refused):
        identity(lines, {"memberOf": [STAFF.encode()]}, values)


@pytest.mark.parametrize("value", [b"-1", b"3.5", b"many", b"\xff", b"", b" 3", b"1" * 10, b"0x10", "٣".encode()])
def test_limit_that_cannot_be_read_refuses(value: bytes) -> None:
    with pytest.raises(Refused) as refused:
        identity(["a Simultaneous-Logins"], {"a": [value]})
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


@pytest.mark.parametrize("value", [b"\xff", b"MA\0IL", b"MAIL\r\n", b"x" * 254])
def test_group_policy_that_cannot_be_read_refuses(value: bytes) -> None:
    """To go on with the default policy could allow more than was meant."""
    with pytest.raises(Refused) as refused:
        identity(["a Group-Policy"], {"a": [value]})
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


@pytest.mark.parametrize(
    ("typed", "names", "user"),
    [
        ("ALICE", [b"alice"], "alice"),
        ("alice ", [b"alice"], "alice"),
        ("a  b", [b"A B"], "A B"),
        ("alice", [b"a.smith", b"Alice"], "Alice"),
        ("\uff41lice", [b"alice"], "alice"),
        ("alias", [b"a.smith", b"Alice"], "a.smith"),
        ("alice", [], "alice"),
        ("alice", [b"\xff"], "alice"),
    ],
)
def test_user_is_named_as_the_directory_names_him(typed: str, names: list[bytes], user: str) -> None:
    """Or "Alice" and "alice" would have simultaneous logins each."""
    assert read(AttributeReader("uid", None), {"uid": names}, typed).user == user


def test_values_in_ranges_as_active_directory_sends_many() -> None:
    attributes = {"memberOf": [], "memberOf;range=0-1499": [MAIL.encode()]}
    assert read(AttributeReader("uid", BY_GROUP), attributes).group_policy == "MAILUSERS"


@given(
    st.dictionaries(
        st.sampled_from(["uid", "memberof", "a", "b"]),
        st.lists(st.binary(max_size=20) | st.sampled_from([MAIL.encode(), b"7"]), max_size=3),
    )
)
def test_any_entry_is_an_identity_or_a_refusal(attributes: dict[str, list[bytes]]) -> None:
    reader = AttributeReader(
        "uid",
        attribute_map(
            ["memberOf Group-Policy", "a Simultaneous-Logins", "b Access-Hours"], [("memberOf", MAIL, "MAILUSERS")]
        ),
    )
    with contextlib.suppress(Refused):
        found = read(reader, attributes)
        assert found.group_policy in (None, "MAILUSERS")
        assert found.user.isprintable()
