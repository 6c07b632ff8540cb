"""Arguments, sequence sets and list patterns, apart from any connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.mail_servers.imap.folders import matches
from gateway.demo.mail_servers.imap.numbers import chosen
from gateway.demo.mail_servers.imap.numbers import compact
from gateway.demo.mail_servers.imap.syntax import Arguments
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.imap.syntax import string


@pytest.mark.parametrize(
    ("octets", "values"),
    [
        (b'a "b c" {2}\r\nd\n', ["a", b"b c", b"d\n"]),
        (b'"\\"\\\\"', [b'"\\']),
        (b"(a (b) ())", [["a", ["b"], []]]),
        (b"BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.9>", ["BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.9>"]),
        (b"  ", []),
    ],
)
def test_arguments(octets: bytes, values: object) -> None:
    assert Arguments(octets).values() == values


@pytest.mark.parametrize("octets", [b'"a', b"(a", b"a)", b"{x}", b"(" * 21 + b")" * 21, b"a\tb"])
def test_bad_arguments(octets: bytes) -> None:
    with pytest.raises(Bad):
        Arguments(octets).values()


@given(octets=st.binary())
def test_what_is_written_as_a_string_is_read_as_it_was(octets: bytes) -> None:
    assert Arguments(string(octets)).values() == [octets]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1", {2}),
        ("2:3", {3, 5}),
        ("*", {9}),
        ("3:*", {5, 9}),
        ("*:3", {5, 9}),
        ("1,4", {2, 9}),
        ("7:4294967295", set()),
    ],
)
def test_sequence_set_by_place(text: str, numbers: set[int]) -> None:
    uids = [2, 3, 5, 9]
    assert {uids[place - 1] for place in chosen(text, range(1, 5))} == numbers


def test_last_uid_is_chosen_by_a_span_beyond_it() -> None:
    """RFC 9051 section 9: `559:*` means the last one, even where that is less than 559."""
    assert chosen("559:*", [2, 3]) == {3}


@pytest.mark.parametrize("text", ["", "a", "1:", ":1", "1,,2", "1:2:3", "99999999999"])
def test_what_is_no_sequence_set_is_bad(text: str) -> None:
    with pytest.raises(Bad):
        chosen(text, [1])


@given(numbers=st.sets(st.integers(1, 60)))
def test_compact_set_names_the_same_numbers(numbers: set[int]) -> None:
    if numbers:
        assert chosen(compact(sorted(numbers)), range(1, 61)) == numbers


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [
        ("*", "a/b", True),
        ("%", "a/b", False),
        ("%", "ab", True),
        ("a/%", "a/b", True),
        ("a*", "a", True),
        ("%/%", "a/b", True),
        ("%/%", "a/b/c", False),
        ("INBOX", "INBOX", True),
        ("", "a", False),
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 200, False),
    ],
)
def test_list_pattern(pattern: str, name: str, is_match: bool) -> None:
    assert matches(pattern, name) is is_match
