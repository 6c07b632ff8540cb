"""The checks that every measurement has to pass, and the sums behind its figures."""

import pytest

from perf.suite.load import Loaded
from perf.suite.trial import faults
from perf.suite.trial import rotated

NOTHING = {"sessions": 3, "logins": 3, "noops": 0, "out": 0, "in": 0, "live": 1}
LOGIN = ["mailload", "login", "127.0.0.1:1", "-n", "8"]
PING = ["mailload", "pingpong", "127.0.0.1:1", "-n", "20"]
DOWN = ["mailload", "bulk", "127.0.0.1:1", "-k", "1"]
UP = [*DOWN, "-U"]


def loaded(complaint: str = "", **figures: float) -> Loaded:
    return Loaded({"errors": 0, "completed": 8, "logins": 8, "bytes": 0, **figures}, complaint)


@pytest.mark.parametrize(
    ("words", "result", "seen", "expected"),
    [
        (LOGIN, loaded(), {"logins": 11}, []),
        (LOGIN, loaded(), {"logins": 10}, ["the mail server saw 7 logins, the load 8"]),
        (LOGIN, loaded(), {"logins": 12}, ["the mail server saw 9 logins, the load 8"]),
        (LOGIN, loaded(errors=1), {"logins": 11}, ["8 completed, 1 errors"]),
        (LOGIN, loaded(completed=0, logins=0), {}, ["0 completed, 0 errors"]),
        (LOGIN, loaded("mailload: first error: tls"), {"logins": 11}, ["mailload: first error: tls"]),
        (PING, loaded(completed=20), {"logins": 11, "noops": 20}, []),
        (PING, loaded(completed=20), {"logins": 11, "noops": 19}, ["the mail server saw 19 NOOPs, the load 20"]),
        (DOWN, loaded(bytes=8192), {"logins": 11, "out": 8192, "in": 5}, []),
        (DOWN, loaded(bytes=8192), {"logins": 11, "out": 8191}, ["the mail server moved 8191 octets, the load 8192"]),
        (UP, loaded(bytes=8192), {"logins": 11, "in": 8192}, []),
        (UP, loaded(bytes=8192), {"logins": 11, "in": 8192 + 8 * 3}, []),
        (UP, loaded(bytes=8192), {"logins": 11, "out": 8192}, ["the mail server moved 0 octets, the load 8192"]),
    ],
    ids=[
        "logins agree",
        "a login lost behind the proxy",
        "a login too many",
        "an error of the load",
        "nothing was done",
        "a complaint of the load",
        "round trips agree",
        "a round trip that the mail server did not see",
        "download agrees",
        "an octet lost in the download",
        "upload agrees",
        "the dot that ends a message counts too",
        "an upload that went the wrong way",
    ],
)
def test_faults_names_what_does_not_agree(
    words: list[str], result: Loaded, seen: dict[str, int], expected: list[str]
) -> None:
    assert faults(words, result, NOTHING, {**NOTHING, **seen}, proxied=True) == expected


def test_faults_without_a_proxy_asks_no_mail_server() -> None:
    assert faults(LOGIN, loaded(), NOTHING, NOTHING, proxied=False) == []
    assert faults(LOGIN, loaded(errors=2), NOTHING, NOTHING, proxied=False) == ["8 completed, 2 errors"]


def test_rotated_lets_each_be_first_once() -> None:
    assert [rotated("abc", turn) for turn in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert rotated([], 1) == []
