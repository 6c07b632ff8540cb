"""What the answers of a server mean for a login."""

import pytest

from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap.answers import Answer
from gateway.aaa.ldap.answers import Entry
from gateway.aaa.ldap.answers import check_bind
from gateway.aaa.ldap.answers import only_entry
from gateway.aaa.ldap.password_policy import AccountError
from gateway.errors import Refused
from gateway.outcome import Refusal

ALICE = Entry("uid=alice,dc=example", {})
BOB = Entry("uid=bob,dc=example", {})
ACTIVE_DIRECTORY = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v3839"


def refusal_of_bind(answer: Answer) -> Refused:
    with pytest.raises(Refused) as refused:
        check_bind(answer)
    return refused.value


def test_one_entry_is_the_user_s() -> None:
    assert only_entry(Answer(0, entries=(ALICE,))) is ALICE


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0),
        Answer(0, entries=(ALICE, BOB)),
        Answer(4, "Size limit exceeded"),
        Answer(4, "Size limit exceeded", entries=(ALICE,)),
        Answer(0, entries=(Entry("", {}),)),
    ],
    ids=["none", "two", "more than two", "more than one", "without a name, which would bind anonymously"],
)
def test_not_exactly_one_entry_is_a_wrong_password(answer: Answer) -> None:
    with pytest.raises(Refused) as refused:
        only_entry(answer)
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


@pytest.mark.parametrize("code", [1, 2, 3, 8, 10, 11, 32, 50, 51, 52, 53, 80])
def test_search_that_fails_says_nothing_of_the_user(code: int) -> None:
    with pytest.raises(ServerFailed, match=rf"search: Words \({code}\): said"):
        only_entry(Answer(code, "Words", "said\r\n\0"))


def test_what_a_search_says_is_cut() -> None:
    with pytest.raises(ServerFailed) as failed:
        only_entry(Answer(1, "Words", "x" * 10_000))
    assert len(str(failed.value)) < 300


def test_bind_that_succeeds_is_the_right_password() -> None:
    check_bind(Answer(0))


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        (10, Refusal.TEMPORARY),
        (19, Refusal.LOGIN_DISABLED),
        (32, Refusal.BAD_CREDENTIALS),
        (48, Refusal.BAD_CREDENTIALS),
        (49, Refusal.BAD_CREDENTIALS),
        (50, Refusal.BAD_CREDENTIALS),
        (53, Refusal.LOGIN_DISABLED),
    ],
)
def test_bind_s_code_says_why(code: int, refusal: Refusal) -> None:
    assert refusal_of_bind(Answer(code)).refusal is refusal


@pytest.mark.parametrize("code", [1, 2, 3, 4, 7, 8, 13, 14, 51, 52, 80, 112, 4096])
def test_bind_with_a_code_that_is_no_answer_is_the_server_s_failure(code: int) -> None:
    """14 is saslBindInProgress: a simple bind has no next step."""
    with pytest.raises(ServerFailed):
        check_bind(Answer(code))


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        ("525", Refusal.BAD_CREDENTIALS),
        ("52e", Refusal.BAD_CREDENTIALS),
        ("530", Refusal.LOGIN_DISABLED),
        ("531", Refusal.LOGIN_DISABLED),
        ("532", Refusal.EXPIRED),
        ("533", Refusal.LOGIN_DISABLED),
        ("701", Refusal.LOGIN_DISABLED),
        ("773", Refusal.EXPIRED),
        ("775", Refusal.LOGIN_DISABLED),
        ("fffff", Refusal.BAD_CREDENTIALS),
    ],
)
def test_active_directory_says_more(data: str, refusal: Refusal) -> None:
    refused = refusal_of_bind(Answer(49, "Invalid credentials", ACTIVE_DIRECTORY.format(data)))
    assert refused.refusal is refusal
    assert refused.detail == f"bind: Invalid credentials (49, data {data})"


@pytest.mark.parametrize(
    "said",
    [
        "data 532",
        "the data 532 are wrong",
        ACTIVE_DIRECTORY.format("5325323253253253"),
        ACTIVE_DIRECTORY.format("0x532"),
        ACTIVE_DIRECTORY.format("532z"),
        "uid=x, data 532,dc=example",
    ],
)
def test_other_words_with_a_number_in_them_say_nothing(said: str) -> None:
    assert refusal_of_bind(Answer(49, said=said)).refusal is Refusal.BAD_CREDENTIALS


def test_success_is_success_whatever_is_said_beside_it() -> None:
    check_bind(Answer(0, said=ACTIVE_DIRECTORY.format("532")))


def test_bind_s_words_never_reach_the_log() -> None:
    """Nobody promises that they do not repeat the password."""
    assert "hunter2" not in str(refusal_of_bind(Answer(49, "Invalid credentials", "wrong: hunter2")))
    with pytest.raises(ServerFailed) as failed:
        check_bind(Answer(1, "Operations error", "wrong: hunter2"))
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize("code", [0, 49, 53])
@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (AccountError.PASSWORD_EXPIRED, Refusal.EXPIRED),
        (AccountError.ACCOUNT_LOCKED, Refusal.LOGIN_DISABLED),
        (AccountError.CHANGE_AFTER_RESET, Refusal.EXPIRED),
    ],
)
def test_password_policy_says_more(code: int, error: AccountError, refusal: Refusal) -> None:
    assert refusal_of_bind(Answer(code, account_error=error)).refusal is refusal
