"""What the tests read in the gateway's log is what the gateway wrote."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.log import Log
from tests.support.canaries import disguises
from tests.support.canaries import found_in
from tests.support.log_lines import LogLines
from tests.support.log_lines import NoSuchLine
from tests.support.log_lines import parse_line

HOSTILE = 'a" event="forged \\ \n\t ü € 😀 =x'


class Pipe:
    """A log and who reads it."""

    def __init__(self, stack: ExitStack) -> None:
        reader, self.writer = os.pipe()
        self.lines = LogLines(os.fdopen(reader, "rb"))
        stack.callback(self.close)

    def write(self, octets: bytes) -> None:
        os.write(self.writer, octets)

    def close(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1
        self.lines.wait_for_end()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with ExitStack() as stack:
        yield Pipe(stack)


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_hostile_value_then_read_back_as_it_was(pipe: Pipe, style: str) -> None:
    Log(style, descriptor=pipe.writer).info("login", user=HOSTILE, session=7)
    line = pipe.lines.wait_for("login")
    assert line["user"] == HOSTILE
    assert line["session"] == "7"


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):",
        "a=1 b=2",  # no event
        'event=x user="unterminated',
        "event=x event=y",  # a field twice
        "event=x  session=1",
        '{"event": "x"',
        "",
    ],
)
def test_line_that_is_no_event_then_none(text: str) -> None:
    assert parse_line(text) is None


def test_wait_for_when_fields_differ_then_waits_for_the_right_line(pipe: Pipe) -> None:
    pipe.write(b"event=login user=bob\nevent=login user=alice n=1\nevent=login user=alice n=2\n")
    assert pipe.lines.wait_for("login", user="alice")["n"] == "1"
    assert pipe.lines.wait_for("login", user="alice", count=2)["n"] == "2"


def test_wait_for_when_after_a_mark_then_older_lines_do_not_count(pipe: Pipe) -> None:
    pipe.write(b"event=reload\n")
    pipe.lines.wait_for("reload")
    mark = pipe.lines.mark()
    with pytest.raises(NoSuchLine):
        pipe.lines.wait_for("reload", after=mark, timeout_s=0.05)
    pipe.write(b"event=reload\n")
    pipe.lines.wait_for("reload", after=mark)


def test_wait_for_when_the_log_ends_then_fails_at_once(pipe: Pipe) -> None:
    pipe.write(b"oops\n")
    os.close(pipe.writer)
    pipe.writer = -1
    with pytest.raises(NoSuchLine, match="oops"):
        pipe.lines.wait_for("ready", timeout_s=60)
    assert pipe.lines.strays == ["oops"]


@pytest.mark.parametrize(
    "text",
    [
        "password hunter2-secret",
        "AGFsaWNlAGh1bnRlcjItc2VjcmV0",  # "\0alice\0hunter2-secret", SASL PLAIN in base64
        "eABodW50ZXIyLXNlY3JldHg=",  # two octets before it, one behind
        "aHVudGVyMi1zZWNyZXQ=",
        "68756e746572322d736563726574",
    ],
)
def test_canary_in_any_clothes_then_found(text: str) -> None:
    assert found_in(text, {"hunter2-secret"})


def test_canary_when_another_secret_then_not_found() -> None:
    assert not found_in("hunter1-secret AGFsaWNlAGh1bnRlcjEtc2VjcmV0", {"hunter2-secret"})


def test_canary_when_too_short_then_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        disguises("short")
