"""Local users: argon2id in threads, the same answer and the same work for an unknown user as for a wrong password."""

import time

import gevent
import pytest
from argon2 import PasswordHasher

from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.local import LocalBackend
from gateway.aaa.local import LocalUser
from gateway.aaa.local import hash_password
from gateway.errors import Refused
from gateway.outcome import Refusal

QUICK = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
FACTS = ClientFacts("imap4s", "outside", "192.0.2.1", None)
ALICE = LocalUser(QUICK.hash(b"secret"), "MAIL")


def authenticate(user: str, password: bytes, backend: LocalBackend | None = None, seconds: float = 5.0) -> Identity:
    backend = backend or LocalBackend({"alice": ALICE})
    return backend.authenticate(user, password, FACTS, time.monotonic() + seconds)


def test_the_right_password_gives_the_user_and_the_policy() -> None:
    assert authenticate("alice", b"secret") == Identity("alice", "MAIL")


@pytest.mark.parametrize(
    ("user", "password"), [("alice", b"Secret"), ("alice", b"secret "), ("Alice", b"secret"), ("bob", b"secret")]
)
def test_anything_else_is_refused(user: str, password: bytes) -> None:
    with pytest.raises(Refused) as refused:
        authenticate(user, password)
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


def test_nobody_is_known_where_there_are_no_users() -> None:
    with pytest.raises(Refused):
        authenticate("alice", b"secret", LocalBackend({}))


def test_a_hash_we_make_is_a_hash_we_accept_and_not_the_password() -> None:
    made = hash_password("grüße".encode())
    assert made.startswith("$argon2id$")
    backend = LocalBackend({"alice": LocalUser(made, None)})
    assert authenticate("alice", "grüße".encode(), backend) == Identity("alice", None)


def test_an_unknown_user_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    def note(password_hash: str, password: bytes) -> bool:
        verified.append(password_hash)
        return True

    monkeypatch.setattr("gateway.aaa.local._matches", note)
    with pytest.raises(Refused):
        authenticate("bob", b"secret")
    assert verified == [ALICE.password_hash]


def test_hashing_does_not_stop_the_hub_and_ends_by_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(password_hash: str, password: bytes) -> bool:
        time.sleep(0.3)
        return True

    monkeypatch.setattr("gateway.aaa.local._matches", slow)
    asker = gevent.spawn(authenticate, "alice", b"secret", None, 0.05)
    started = time.monotonic()
    gevent.sleep(0.01)
    assert time.monotonic() - started < 0.1
    with pytest.raises(Refused) as refused:
        asker.get(timeout=1)
    assert refused.value.refusal is Refusal.TEMPORARY
    assert time.monotonic() - started < 0.25


def test_repr_shows_no_hash() -> None:
    assert "argon2" not in repr(ALICE)
