"""The mechanisms in both roles, and their base64 lines."""

from base64 import b64encode
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol import sasl
from gateway.protocol.base import MAX_AUTH_LINE_OCTETS
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.sasl import MECHANISMS
from gateway.protocol.sasl import Aborted
from gateway.protocol.sasl import Ask
from gateway.protocol.sasl import Exchange
from gateway.protocol.sasl import Outcome

USER_NAME: Final = Ask(b"VXNlcm5hbWU6")
PASSWORD: Final = Ask(b"UGFzc3dvcmQ6", user_named=True)
ALICE: Final = b64encode(b"alice")
SECRET: Final = b64encode(b"secret")
NOT_BASE64: Final = (
    b"=",
    b"QQ",
    b"QQ=",
    b"QUI===",
    b"QUJD=",
    b"QUJD====",
    b"QR==",  # bits behind the last octet
    b"QQ==QQ==",
    b"Q Q==",
    b" QQ==",
    b"QQ==\r",
    b"QQ\t==",
    b"-_==",
    b"\xff\xff\xff\xff",
    b"====",
    b"**",
)

sayable = st.binary(min_size=1).filter(lambda octets: not frozenset(b"\0\r\n").intersection(octets))

# id, mechanism, initial response, [(answer, outcome)], with the outcome of the start first
TABLE: Final[tuple[tuple[str, str, bytes | None, tuple[Outcome, ...], tuple[bytes, ...]], ...]] = (
    ("plain", "PLAIN", None, (Ask(b""), LoginAttempt("PLAIN", b"a", b"b")), (b64encode(b"\0a\0b"),)),
    ("plain-initial", "PLAIN", b64encode(b"\0a\0b"), (LoginAttempt("PLAIN", b"a", b"b"),), ()),
    ("plain-authzid", "PLAIN", b64encode(b"z\0a\0b"), (LoginAttempt("PLAIN", b"a", b"b", b"z"),), ()),
    ("plain-empty-fields", "PLAIN", b64encode(b"\0\0"), (LoginAttempt("PLAIN", b"", b""),), ()),
    ("plain-controls-are-kept", "PLAIN", b64encode(b"\0a\r\n\0\tb"), (LoginAttempt("PLAIN", b"a\r\n", b"\tb"),), ()),
    ("plain-empty", "PLAIN", b"=", (Aborted.MALFORMED,), ()),
    ("plain-two-fields", "PLAIN", b64encode(b"a\0b"), (Aborted.MALFORMED,), ()),
    ("plain-four-fields", "PLAIN", b64encode(b"\0a\0b\0"), (Aborted.MALFORMED,), ()),
    ("plain-empty-answer", "PLAIN", None, (Ask(b""), Aborted.MALFORMED), (b"",)),
    ("login", "LOGIN", None, (USER_NAME, PASSWORD, LoginAttempt("LOGIN", b"alice", b"secret")), (ALICE, SECRET)),
    ("login-initial", "LOGIN", ALICE, (PASSWORD, LoginAttempt("LOGIN", b"alice", b"secret")), (SECRET,)),
    ("login-empty-initial", "LOGIN", b"=", (PASSWORD, LoginAttempt("LOGIN", b"", b"secret")), (SECRET,)),
    ("login-empty-answers", "LOGIN", None, (USER_NAME, PASSWORD, LoginAttempt("LOGIN", b"", b"")), (b"", b"")),
    (
        "login-nul-is-kept",
        "LOGIN",
        None,
        (USER_NAME, PASSWORD, LoginAttempt("LOGIN", b"a\0", b"\0b")),
        (b64encode(b"a\0"), b64encode(b"\0b")),
    ),
    ("login-cancelled-at-user", "LOGIN", None, (USER_NAME, Aborted.CANCELLED), (b"*",)),
    ("login-cancelled-at-password", "LOGIN", None, (USER_NAME, PASSWORD, Aborted.CANCELLED), (ALICE, b"*")),
    ("login-malformed-at-password", "LOGIN", ALICE, (PASSWORD, Aborted.MALFORMED), (b"!",)),
)


@pytest.mark.parametrize(
    ("mechanism", "initial", "outcomes", "answers"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
def test_exchange(
    mechanism: str, initial: bytes | None, outcomes: tuple[Outcome, ...], answers: tuple[bytes, ...]
) -> None:
    exchange = Exchange(MECHANISMS[mechanism])
    assert (exchange.start(initial), *map(exchange.respond, answers)) == outcomes


@pytest.mark.parametrize("name", MECHANISMS)
def test_star_cancels_as_an_answer_and_is_malformed_as_initial_response(name: str) -> None:
    exchange = Exchange(MECHANISMS[name])
    assert isinstance(exchange.start(None), Ask)
    assert exchange.respond(b"*") is Aborted.CANCELLED
    assert Exchange(MECHANISMS[name]).start(b"*") is Aborted.MALFORMED


@pytest.mark.parametrize("line", NOT_BASE64)
@pytest.mark.parametrize("name", MECHANISMS)
def test_answer_that_is_not_base64_is_malformed(name: str, line: bytes) -> None:
    exchange = Exchange(MECHANISMS[name])
    exchange.start(None)
    assert exchange.respond(line) is Aborted.MALFORMED


@pytest.mark.parametrize("line", set(NOT_BASE64) - {b"="})
@pytest.mark.parametrize("name", MECHANISMS)
def test_initial_response_that_is_not_base64_is_malformed(name: str, line: bytes) -> None:
    assert Exchange(MECHANISMS[name]).start(line) is Aborted.MALFORMED


@given(name=st.sampled_from(sorted(MECHANISMS)), initial=st.none() | st.binary(), lines=st.lists(st.binary()))
def test_exchange_of_any_lines_ends_in_an_outcome(name: str, initial: bytes | None, lines: list[bytes]) -> None:
    exchange = Exchange(MECHANISMS[name])
    outcome = exchange.start(initial)
    for line in lines:
        if not isinstance(outcome, Ask):
            break
        outcome = exchange.respond(line)
    assert isinstance(outcome, Ask | LoginAttempt | Aborted)


@pytest.mark.parametrize("name", MECHANISMS)
@given(user=sayable, password=sayable)
def test_server_role_reads_what_client_role_says(name: str, user: bytes, password: bytes) -> None:
    mechanism = MECHANISMS[name]
    exchange = Exchange(mechanism)
    outcome = exchange.start(None)
    for response in sasl.encoded_responses(mechanism, MailLogin(user, password)):
        assert isinstance(outcome, Ask)
        outcome = exchange.respond(response)
    assert outcome == LoginAttempt(name, user, password)


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize(
    ("login", "refusal"),
    [
        (MailLogin(b"alice", b""), Refusal.BAD_CREDENTIALS),
        (MailLogin(b"", b"secret"), Refusal.BAD_CREDENTIALS),
        (MailLogin(b"alice\0", b"secret"), Refusal.BAD_CREDENTIALS),
        (MailLogin(b"alice", b"\rsecret"), Refusal.BAD_CREDENTIALS),
        (MailLogin(b"alice", b"secret\n"), Refusal.BAD_CREDENTIALS),
        (MailLogin(b"alice", b"x" * MAX_AUTH_LINE_OCTETS), Refusal.BAD_CREDENTIALS),
        (MailLogin(b"alice", None), Refusal.UPSTREAM_UNAVAILABLE),
    ],
)
def test_client_role_refuses_what_it_cannot_say(name: str, login: MailLogin, refusal: Refusal) -> None:
    with pytest.raises(Refused) as caught:
        sasl.encoded_responses(MECHANISMS[name], login)
    assert caught.value.refusal is refusal


def test_client_role_says_a_response_as_long_as_an_auth_line_may_be() -> None:
    password = b"x" * (MAX_AUTH_LINE_OCTETS // 4 * 3 - len(b"\0alice\0"))
    (response,) = sasl.encoded_responses(sasl.PLAIN, MailLogin(b"alice", password))
    assert len(response) == MAX_AUTH_LINE_OCTETS
    with pytest.raises(Refused):
        sasl.encoded_responses(sasl.PLAIN, MailLogin(b"alice", password + b"x"))


def test_find_takes_any_case_and_only_what_is_offered() -> None:
    assert sasl.find(b"pLaIn", ("PLAIN", "LOGIN")) is sasl.PLAIN
    assert sasl.find(b"LOGIN", ("PLAIN",)) is None
    assert sasl.find(b"NTLM", ("PLAIN", "NTLM")) is None
    assert sasl.find(b"\xffPLAIN", ("PLAIN",)) is None


def test_best_is_ours_in_our_order() -> None:
    assert sasl.best((b"LOGIN", b"plain")) is sasl.PLAIN
    assert sasl.best((b"login",)) is sasl.LOGIN
    assert sasl.best((b"CRAM-MD5", b"")) is None


@pytest.mark.parametrize("name", MECHANISMS)
def test_every_mechanism_is_listed_under_its_own_name(name: str) -> None:
    assert MECHANISMS[name].name == name


def test_passwords_are_in_no_repr() -> None:
    exchange = Exchange(sasl.PLAIN)
    attempt = exchange.start(b64encode(b"\0alice\0hunter2"))
    assert isinstance(attempt, LoginAttempt)
    assert attempt.password == b"hunter2"
    assert "hunter2" not in repr((attempt, exchange, MailLogin(b"alice", b"hunter2")))
