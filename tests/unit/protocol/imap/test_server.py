"""IMAP, SERVER role: complete tables, and what holds for any octets in any pieces."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol.base import MAX_AUTH_LINE_OCTETS
from gateway.protocol.base import Closed
from gateway.protocol.base import Line
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import UpstreamReady
from gateway.protocol.imap import SPEC
from gateway.protocol.imap.grammar import MAX_LITERALS_OCTETS
from gateway.protocol.imap.replies import FAREWELLS
from gateway.protocol.imap.replies import REFUSALS
from tests.support.conversation import Decision
from tests.support.conversation import ServerDriver

SETTINGS = ServerSettings(b"mail.example.com", (b"IMAP4rev1", b"SASL-IR", b"LITERAL+"), max_errors=6, max_commands=12)
MARK = b"xyzzy"
FRAGMENTS = st.sampled_from(
    [
        *(b"a ", b"b2 ", b"* ", b"a+ ", b" ", b"  ", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"(", b")", b"*", b"="),
        *(b"LOGIN ", b"login ", b"CAPABILITY", b"NOOP", b"LOGOUT", b"ID ", b"NIL", b"AUTHENTICATE ", b"PLAIN", b"X "),
        *(b"{0}\r\n", b"{3}\r\n", b"{3+}\r\n", b"{0+}\r\n", b"{8192+}\r\n", b"{99999999999}\r\n", b"{8193+}\r\n"),
        *(b'"', b"\\", b'"a b"', b'"\\""', MARK, b" " + MARK + b"\r\n", b"AGEAYg==", b" AGEAYg==\r\n", b"Y2Fs\r\n"),
        *(b"a LOGIN alice secret\r\n", b"a LOGIN alice {6+}\r\nsecret\r\n", b"a AUTHENTICATE LOGIN\r\n"),
        *(b"a AUTHENTICATE PLAIN\r\n", b"a NOOP\r\n", b"a CAPABILITY\r\n", b"GET / HTTP/1.1\r\n", b"a " + b"x" * 9000),
    ]
)
STREAMS = st.lists(FRAGMENTS | st.binary(max_size=12), max_size=40).map(b"".join)
DECISIONS = st.lists(st.sampled_from(Refusal) | st.just(UpstreamReady((b"IMAP4rev1", b"IDLE"))), min_size=1, max_size=3)


def run(stream: bytes, pieces: list[bytes], decisions: list[Decision]) -> ServerDriver:
    """Feed the pieces and decide each login at once, by the decisions in turn."""
    assert b"".join(pieces) == stream
    driver = ServerDriver(SPEC.server(SETTINGS))
    number = 0
    for piece in pieces:
        driver.feed(piece)
        while driver.is_deciding:
            driver.decide(decisions[number % len(decisions)])
            number += 1
    return driver


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(bounds)]


def test_every_refusal_has_one_tagged_line() -> None:
    assert set(REFUSALS) == set(Refusal)
    assert all(re.fullmatch(rb"NO \[[A-Z]+\] [ -~]+\r\n", reply) for reply in REFUSALS.values())


def test_every_end_has_a_farewell_or_silence() -> None:
    assert set(FAREWELLS) == set(EndReason)
    assert all(re.fullmatch(rb"(\* BYE [ -~]+\r\n)?", farewell) for farewell in FAREWELLS.values())


def test_the_client_cannot_tell_whose_no_it_was() -> None:
    assert REFUSALS[Refusal.BAD_CREDENTIALS] == REFUSALS[Refusal.UPSTREAM_REJECTED]


def test_no_passing_trouble_looks_like_a_wrong_password() -> None:
    """K-9 takes a NO without a code, or with AUTHENTICATIONFAILED, for one."""
    for refusal in (Refusal.TEMPORARY, Refusal.UPSTREAM_UNAVAILABLE, Refusal.SESSION_LIMIT):
        assert b"AUTHENTICATIONFAILED" not in REFUSALS[refusal]


@pytest.mark.parametrize(
    "reason",
    [
        EndReason.LOGGED_OFF,
        EndReason.SHUTDOWN,
        EndReason.IDLE_TIMEOUT,
        EndReason.SESSION_TIMEOUT,
        EndReason.UPSTREAM_LOST,
    ],
)
def test_a_session_that_we_end_after_login_is_told_so(reason: EndReason) -> None:
    assert re.fullmatch(rb"\* BYE [ -~]+\r\n", SPEC.relay_farewells[reason])


@settings(deadline=None, max_examples=400)
@given(STREAMS, st.lists(st.integers(0, 2**16), max_size=12), DECISIONS)
def test_any_octets_in_any_pieces_lead_to_the_same(stream: bytes, places: list[int], decisions: list[Decision]) -> None:
    whole = run(stream, [stream], decisions)
    pieces = run(stream, cut(stream, places), decisions)
    assert pieces.output.items == whole.output.items
    assert pieces.unread == whole.unread or whole.is_broken_off


@settings(deadline=None, max_examples=300)
@given(STREAMS, DECISIONS)
def test_any_octets_end_in_replies_within_the_budgets(stream: bytes, decisions: list[Decision]) -> None:
    driver = run(stream, [stream], decisions)
    said = b"".join(item for item in driver.output.items if isinstance(item, bytes))
    lines = said.split(b"\r\n")
    assert lines.pop() == b""
    tagged = [line for line in lines if not line.startswith((b"* ", b"+ ")) or line.startswith(b"* BAD ")]
    bad = [line for line in tagged if line.split(b" ")[1] == b"BAD" and b"cancelled" not in line]
    assert len(tagged) <= SETTINGS.max_commands
    assert len(bad) <= SETTINGS.max_errors
    closed = [item for item in driver.output.items if isinstance(item, Closed)]
    assert closed == driver.output.items[len(driver.output.items) - len(closed) :]


@settings(deadline=None, max_examples=300)
@given(STREAMS, DECISIONS)
def test_nothing_of_the_client_comes_back_but_a_valid_tag(stream: bytes, decisions: list[Decision]) -> None:
    driver = run(stream, [stream], decisions)
    said = b"".join(item for item in driver.output.items if isinstance(item, bytes))
    for line in said.split(b"\r\n"):
        tag, _, text = line.partition(b" ")
        assert re.fullmatch(rb"[^\x00-\x20\x7f-\xff(){%\"\\]{0,64}", tag)
        assert MARK not in text
        assert re.fullmatch(rb"[ -~]*", text)


@settings(deadline=None, max_examples=200)
@given(st.lists(FRAGMENTS | st.binary(max_size=12), max_size=40))
def test_what_is_wanted_and_stored_is_bounded(fragments: list[bytes]) -> None:
    driver = ServerDriver(SPEC.server(SETTINGS))
    for fragment in fragments:
        driver.feed(fragment)
        if driver.is_over or driver.is_deciding:
            return
        want = driver.dialogue.want
        limit = want.limit_octets if isinstance(want, Line) else want.count
        assert limit <= (MAX_AUTH_LINE_OCTETS if isinstance(want, Line) else MAX_LITERALS_OCTETS)
        assert len(driver.unread) <= limit + 1


@pytest.mark.parametrize(
    "piece",
    [
        *(b"{0+}\r\n", b" {0+}\r\n", b" {1+}\r\nx", b" ({1+}\r\nx", b' "{1+}\r\nx', b" {8192+}\r\n" + b"x" * 8192),
        *(b"a {1+}\r\nx", b"x" * 100, b"a X\r\n", b"a NOOP\r\n", b"\r\n", b"a LOGIN\r\n", b"a AUTHENTICATE X\r\n"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("beginning", [b"", b"a LOGIN", b"a ID (", b"a AUTHENTICATE PLAIN\r\n", b"a X "], ids=repr)
def test_an_endless_stream_is_closed(beginning: bytes, piece: bytes) -> None:
    """No command goes on for ever; each of those within the budget of commands has a line and literals at most."""
    driver = ServerDriver(SPEC.server(SETTINGS))
    driver.feed(beginning)
    limit = (SETTINGS.max_commands + 1) * (MAX_AUTH_LINE_OCTETS + MAX_LITERALS_OCTETS)
    fed = 0
    while not driver.is_over and fed < limit:
        driver.feed(piece)
        fed += len(piece)
    assert isinstance(driver.output.items[-1], Closed)


def test_a_password_is_in_no_repr() -> None:
    driver = run(stream := b"a LOGIN alice hidden\r\n", [stream], [Refusal.TEMPORARY])
    attempt = driver.output.items[1]
    assert isinstance(attempt, LoginAttempt)
    assert attempt.password == b"hidden"
    assert "hidden" not in repr(driver.output.items)


def test_a_banner_is_an_alert_before_the_login_is_told() -> None:
    server = SPEC.server(SETTINGS)
    server.receive(b"a LOGIN alice secret")
    said = server.accept(UpstreamReady(), "Authorised\r\n use  only, grüße")
    assert said == "* OK [ALERT] Authorised use only, grüße\r\na OK Logged in.\r\n".encode()
