"""The INI text: what is a value, what is a comment, and where each stands."""

import pytest

from gateway.config.document import Document
from gateway.config.document import Option
from gateway.config.document import Vocabulary
from gateway.config.sources import parse

WORDS = Vocabulary(frozenset({"port", "key", "banner"}), frozenset({"key"}))


def read(text: str | bytes) -> Document:
    octets = text.encode() if isinstance(text, str) else text
    return parse(octets, "gw.ini", WORDS)


def only_option(text: str) -> Option:
    document = read(f"[s]\n{text}")
    assert not document.problems
    ((option,),) = [section.options for section in document.sections]
    return option


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a = b", "b"),
        ("a=b", "b"),
        ("a: b", "b"),
        ("a:b=c", "b=c"),
        ("a =", ""),
        ("a = b c  ", "b c"),
        ("a = b ; comment", "b"),
        ("a = b # comment", "b"),
        ("a = b\t; comment", "b"),
        ("a = b;c#d", "b;c#d"),
        ("a = ; comment", ""),
        ("a =    # comment", ""),
        ("a = ;", ";"),
        ("a = #", "#"),
        ("a = ; ; comment", ";"),
        ("a = # ; comment", "#"),
        ("a = ;  ", ";"),
        ("a = :", ":"),
        ("a : :", ":"),
        ("a = @ ; comment", "@"),
        ("a = |", "|"),
        ("a = ,", ","),
        ('a = ";"', ";"),
        ('a = "b ; c"', "b ; c"),
        ('a = "b" ; c', "b"),
        ('a = " b "', " b "),
        ('a = ""', ""),
        (r'a = "b \"c\" \\ d"', 'b "c" \\ d'),
        ('a = b "c ; d" e ; f', 'b "c ; d" e'),
        ('a = b"c ; d', 'b"c'),
        ("a = $argon2id$v=19$m=1,t=1,p=1$x$y", "$argon2id$v=19$m=1,t=1,p=1$x$y"),
        ("a = b\r", "b"),
        ("  a = b", "b"),
        ("a = b\n  c", "b\nc"),
        ("a = b ; x\n  c ; y\n\td", "b\nc\nd"),
        ("a = b\n\n; comment\n  c", "b\nc"),
        ("a =\n  b\n  c", "\nb\nc"),
        ("  a = b\n    c", "b\nc"),
    ],
)
def test_a_value_is_what_stands_before_the_comment(line: str, value: str) -> None:
    assert only_option(line).value.text == value


def test_comments_and_blank_lines_are_nothing() -> None:
    document = read("; one\n  # two\n\n   \n[s]\n;a = b\n")
    assert [section.kind for section in document.sections] == ["s"]
    assert document.sections[0].options == []


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("[gateway]", ("gateway",)),
        ("  [gateway]  ", ("gateway",)),
        ("[tls mail.example.org]   ; by SNI", ("tls", "mail.example.org")),
        ("[aaa-server RAD  radius1]", ("aaa-server", "RAD", "radius1")),
        ('[user "alice b"]', ("user", "alice b")),
        ('[user "a]b"] # odd', ("user", "a]b")),
        ("[user alice@example.org]", ("user", "alice@example.org")),
    ],
)
def test_a_header_is_a_kind_and_names(header: str, words: tuple[str, ...]) -> None:
    document = read(header)
    assert not document.problems
    assert document.sections[0].words == words


def test_consistently_indented_options_do_not_continue_each_other() -> None:
    document = read("[s]\n  port = 1\n  banner = x\n")
    assert not document.problems
    assert [(one.key, one.value.text) for one in document.sections[0].options] == [("port", "1"), ("banner", "x")]


def test_the_place_of_an_item_is_its_line_and_column() -> None:
    value = only_option("list = one two\n    three  four ; x").value
    four = value.place(value.text.index("four"), 4)
    assert (four.line, four.column, four.width, four.excerpt) == (3, 12, 4, "    three  four ; x")


def test_the_place_of_quoted_text_is_inside_the_quotes() -> None:
    place = only_option('banner = "hello"').value.place()
    assert (place.column, place.width) == (11, 5)


def test_columns_count_characters_and_not_octets() -> None:
    document = read("[s]\n\u00e4\u00f6\u00fc = \u00e9\n".encode() + b"x = \xc3\xa9\xff\n")
    assert document.sections[0].options[0].value.place().column == 7
    assert [(one.code, one.place.line, one.place.column) for one in document.problems] == [("E110", 3, 6)]


def test_a_byte_order_mark_and_carriage_returns_are_no_text() -> None:
    document = read(b"\xef\xbb\xbf[s]\r\na = b\r\n")
    assert not document.problems
    assert document.sections[0].options[0].value.text == "b"


@pytest.mark.parametrize(
    "text",
    [
        "[s]\nkey = hunter2\n",
        "[s]\nkeey = hunter2\n",
        "[s]\nPassword: hunter2\n",
        "[s]\napi-token = hunter2\n",
        "[s]\nkey = one\n  hunter2\n",
        '[s]\nkey = "hunter2\n',
        "key = hunter2\n",
        "[s]\nkey hunter2\n",
        "[s]\nkey \\ hunter2 = x\n",
    ],
)
def test_no_place_shows_a_secret(text: str) -> None:
    document = read(text)
    places = [problem.place for problem in document.problems]
    for option in document.sections[0].options if document.sections else []:
        places += [option.place, option.value.place(), option.value.place(len(option.value.text))]
    assert places
    assert not [place for place in places if "hunter2" in place.excerpt]


def test_where_a_secret_is_kept_may_be_shown() -> None:
    assert only_option("key = file:radius.key").value.place().excerpt == "key = file:radius.key"


def test_options_behind_an_unreadable_header_are_not_complained_of() -> None:
    document = read("[s\na = b\n[t]\nc = d\n")
    assert [problem.code for problem in document.problems] == ["E107"]
    assert [section.kind for section in document.sections] == ["t"]


def test_reading_stops_after_500_problems() -> None:
    assert len(read("junk\n" * 5000).problems) == 500
