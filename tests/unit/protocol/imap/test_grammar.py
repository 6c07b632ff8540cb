"""The IMAP grammar: drafts of commands against what was put into them, and limits."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.imap.grammar import MAX_LITERAL_DIGITS
from gateway.protocol.imap.grammar import MAX_TOKENS
from gateway.protocol.imap.grammar import UNTAGGED
from gateway.protocol.imap.grammar import Draft
from gateway.protocol.imap.grammar import Kind
from gateway.protocol.imap.grammar import LiteralHead
from gateway.protocol.imap.grammar import Token
from gateway.protocol.imap.grammar import capabilities_in
from gateway.protocol.imap.grammar import is_quotable
from gateway.protocol.imap.grammar import literal_head

NOT_IN_ATOMS = frozenset(b' (){"\x7f') | frozenset(range(32))
ATOMS = st.binary(min_size=1, max_size=20).filter(lambda octets: not NOT_IN_ATOMS.intersection(octets))
STRINGS = st.binary(max_size=40).filter(lambda octets: not frozenset(b"\0\r\n").intersection(octets))


def quote(octets: bytes) -> bytes:
    return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def draft_of(*pieces: bytes) -> Draft:
    """Text, literal, text, ..."""
    draft = Draft()
    for number, piece in enumerate(pieces):
        if number % 2:
            draft.add_literal(piece)
        else:
            draft.add_text(piece, before_literal=number < len(pieces) - 1)
    return draft


@pytest.mark.parametrize(
    ("line", "head"),
    [
        (b"a LOGIN {5}", LiteralHead(8, 5, True)),
        (b"a LOGIN {5+}", LiteralHead(8, 5, False)),
        (b"{0}", LiteralHead(0, 0, True)),
        (b"{{007}", LiteralHead(1, 7, True)),
        (b"{" + b"9" * MAX_LITERAL_DIGITS + b"}", LiteralHead(0, 9_999_999_999, True)),
        (b"{" + b"1" * (MAX_LITERAL_DIGITS + 1) + b"+}", LiteralHead(0, 10_000_000_000, False)),
        (b"{" + b"0" * 9000 + b"}", LiteralHead(0, 10_000_000_000, True)),
        (b"{}", None),
        (b"{+}", None),
        (b"{5-}", None),
        (b"{-5}", None),
        (b"{ 5}", None),
        (b"{5++}", None),
        (b"{\xb2}", None),
        (b"{5} ", None),
        (b"5}", None),
        (b"", None),
    ],
)
def test_literal_head(line: bytes, head: LiteralHead | None) -> None:
    assert literal_head(line) == head


@given(st.lists(st.tuples(st.sampled_from(["atom", "quoted", "literal"]), ATOMS, STRINGS), max_size=MAX_TOKENS))
def test_draft_gives_back_what_was_put_in(arguments: list[tuple[str, bytes, bytes]]) -> None:
    pieces, tokens = [b"tag verb"], []
    for form, atom, string in arguments:
        pieces[-1] += b" "
        if form == "literal":
            pieces += [string, b""]
        else:
            pieces[-1] += atom if form == "atom" else quote(string)
        tokens.append(Token(Kind.ATOM, atom) if form == "atom" else Token(Kind.STRING, string))
    draft = draft_of(*pieces)
    assert (draft.tag, draft.verb, draft.fault, draft.tokens) == (b"tag", b"VERB", b"", tokens)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"a X ", b" ", b")", b"(", b' "x" ' * 40]), max_size=80))
def test_draft_holds_no_more_than_its_limit_whatever_comes(pieces: list[bytes]) -> None:
    draft = draft_of(*pieces)
    assert len(draft.tokens) <= MAX_TOKENS
    assert sum(len(token.octets) for token in draft.tokens) <= sum(map(len, pieces))
    assert draft.tag == UNTAGGED or draft.is_begun


def test_draft_with_a_fault_forgets_its_arguments() -> None:
    draft = draft_of(b'a LOGIN alice secret "', b"secret", b" secret")
    assert draft.fault
    draft.add_literal(b"secret")
    assert draft.tokens == []


def test_token_never_shows_its_octets() -> None:
    assert "secret" not in repr(draft_of(b"a LOGIN alice secret"))


@pytest.mark.parametrize("piece", [b'"', b'\\"', b"(", b")", b"{1", b'"\\', b'"a" ', b" ", b'" ', b"a("], ids=repr)
def test_draft_reads_hostile_lines_in_linear_time(piece: bytes) -> None:
    """A line of twice the length may take no more than about twice the time; quadratic would be 64 times of it."""
    lines = [b"a ID " + piece * (size // len(piece)) for size in (12_000, 768_000)]
    started = time.perf_counter()
    draft_of(lines[1])
    literal_head(lines[1])
    assert time.perf_counter() - started < 0.5


@given(st.binary(max_size=30))
def test_quotable_octets_mean_themselves(octets: bytes) -> None:
    if is_quotable(octets):
        assert draft_of(b'a X "' + octets + b'"').tokens == [Token(Kind.STRING, octets)]
    else:
        assert any(octet in b'"\\' or not 32 <= octet < 127 for octet in octets)


@given(st.binary(max_size=60))
def test_capabilities_can_be_passed_on(text: bytes) -> None:
    for capability in capabilities_in(text):
        assert capability
        assert not any(octet in b' (){%*"\\]' or not 32 < octet < 127 for octet in capability)
