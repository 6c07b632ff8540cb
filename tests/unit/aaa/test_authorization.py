"""The second group: whom it is asked for, what its answer changes, and what its silence means."""

import time

import pytest
from cryptography.x509.oid import NameOID

from gateway.aaa.authorization import AuthorizationMethod
from gateway.aaa.authorization import merged
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.chain import AaaMethod
from gateway.aaa.chain import Chain
from gateway.config.attributes import DnAttributes
from gateway.config.attributes import DnField
from gateway.credentials import Login
from gateway.errors import Refused
from gateway.outcome import Refusal
from tests.unit.aaa.certificates import certificate_der

LOGIN = Login("Alice", "alice", None, b"secret", b"secret")
FACTS = ClientFacts("imap4s", "outside", "192.0.2.1", None)
ALICE = Identity("alice", "MAIL", Overrides(3600, None, 3, "OFFICE"), (b"one", b"two"))
UNKNOWN = Refused(Refusal.POLICY_DENIED, "unknown user")


class FakeBackend:
    """Notes for whom it was asked, and gives or raises `answer`."""

    def __init__(self, answer: Identity | Refused) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        return self._answer(user)

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        return self._answer(user)

    def _answer(self, user: str) -> Identity:
        self.asked.append(user)
        if isinstance(self.answer, Refused):
            raise self.answer
        return self.answer


def apply(method: AuthorizationMethod, facts: ClientFacts = FACTS) -> Identity:
    return method.apply(ALICE, LOGIN, facts, time.monotonic() + 5)


def with_certificate(der: bytes) -> ClientFacts:
    return ClientFacts("imap4s", "outside", "192.0.2.1", der)


@pytest.mark.parametrize(
    ("authorized", "result"),
    [
        (Identity("alice"), ALICE),
        (Identity("alice", "STAFF"), Identity("alice", "STAFF", ALICE.overrides, ALICE.classes)),
        (
            Identity("alice", None, Overrides(60, 30, 0, "NIGHT")),
            Identity("alice", "MAIL", Overrides(60, 30, 0, "NIGHT"), ALICE.classes),
        ),
        (
            Identity("alice", None, Overrides(idle_timeout_s=30)),
            Identity("alice", "MAIL", Overrides(3600, 30, 3, "OFFICE"), ALICE.classes),
        ),
        (
            Identity("alice", classes=(b"two", b"three")),
            Identity("alice", "MAIL", ALICE.overrides, (b"one", b"two", b"three")),
        ),
        (Identity("somebody else"), ALICE),
    ],
)
def test_what_authorization_says_wins_item_by_item(authorized: Identity, result: Identity) -> None:
    assert merged(ALICE, authorized) == result
    assert apply(AuthorizationMethod(FakeBackend(authorized), is_required=True)) == result


def test_name_is_the_one_that_the_methods_before_have_found() -> None:
    group = FakeBackend(Identity("alice", "STAFF"))
    chain = Chain([AaaMethod("AD", FakeBackend(ALICE)), AuthorizationMethod(group, is_required=False)])
    assert chain.identify(LOGIN, FACTS, time.monotonic() + 5).group_policy == "STAFF"
    assert group.asked == ["alice"]


def test_name_is_the_certificate_s_where_it_authenticates() -> None:
    group = FakeBackend(Identity("x", "STAFF"))
    method = AuthorizationMethod(group, is_required=True, name_from=DnAttributes(DnField.EA, DnField.CN))
    facts = with_certificate(certificate_der((NameOID.EMAIL_ADDRESS, "a@example.org"), (NameOID.COMMON_NAME, "A")))
    assert apply(method, facts).group_policy == "STAFF"
    assert group.asked == ["a@example.org"]


@pytest.mark.parametrize("der", [None, b"", b"0\x82", b"not a certificate", certificate_der((NameOID.TITLE, "x"))])
@pytest.mark.parametrize("is_required", [True, False])
def test_certificate_without_a_name_is_refused_unasked(der: bytes | None, is_required: bool) -> None:
    group = FakeBackend(Identity("x"))
    method = AuthorizationMethod(group, is_required=is_required, name_from=DnAttributes())
    facts = ClientFacts("imap4s", "outside", "192.0.2.1", der)
    with pytest.raises(Refused) as refused:
        apply(method, facts)
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS
    assert group.asked == []


def test_unknown_user_when_required_then_refused() -> None:
    with pytest.raises(Refused) as refused:
        apply(AuthorizationMethod(FakeBackend(UNKNOWN), is_required=True))
    assert refused.value is UNKNOWN


def test_unknown_user_when_not_required_then_what_is_known_stays() -> None:
    assert apply(AuthorizationMethod(FakeBackend(UNKNOWN), is_required=False)) == ALICE


@pytest.mark.parametrize("is_required", [True, False])
@pytest.mark.parametrize("refusal", [refusal for refusal in Refusal if refusal is not Refusal.POLICY_DENIED])
def test_no_answer_is_not_taken_for_an_unknown_user(refusal: Refusal, is_required: bool) -> None:
    """The answer that did not come could have been a restriction."""
    with pytest.raises(Refused) as refused:
        apply(AuthorizationMethod(FakeBackend(Refused(refusal)), is_required=is_required))
    assert refused.value.refusal is refusal
