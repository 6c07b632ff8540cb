"""A challenge is answered once, by the one whom it was put to."""

import pytest

from gateway.aaa.base import Challenge
from gateway.aaa.base import ClientFacts
from gateway.aaa.radius import challenges
from gateway.aaa.radius.challenges import OpenChallenges

HERE = ClientFacts("imap4s", "outside", "192.0.2.1", None)
ELSEWHERE = ClientFacts("imap4s", "outside", "192.0.2.2", None)


def challenge(state: bytes = b"state") -> Challenge:
    return Challenge("radius1", "Enter OTP", state)


def test_inc_C9_a_challenge_is_answered_once() -> None:  # noqa: N802
    opened = OpenChallenges()
    opened.add(challenge(), "alice", HERE)
    assert [opened.take(challenge(), "alice", HERE) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("state", "user", "facts"),
    [(b"other", "alice", HERE), (b"state", "bob", HERE), (b"state", "alice", ELSEWHERE)],
)
def test_inc_C9_nobody_answers_the_challenge_of_another(state: bytes, user: str, facts: ClientFacts) -> None:  # noqa: N802
    opened = OpenChallenges()
    opened.add(challenge(), "alice", HERE)
    assert not opened.take(challenge(state), user, facts)
    assert opened.take(challenge(), "alice", HERE)


def test_a_challenge_that_is_too_old_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenges, "VALID_S", 0.0)
    opened = OpenChallenges()
    opened.add(challenge(), "alice", HERE)
    assert not opened.take(challenge(), "alice", HERE)


def test_the_oldest_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenges, "MAX_OPEN", 2)
    opened = OpenChallenges()
    for state in (b"1", b"2", b"1", b"3"):
        opened.add(challenge(state), "alice", HERE)
    assert [opened.take(challenge(state), "alice", HERE) for state in (b"1", b"2", b"3")] == [True, False, True]
