"""What a log line looks like, and that nobody can forge one."""

import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.log import MAX_VALUE
from gateway.log import Level
from gateway.log import Log
from gateway.log import fault


def lines_of(style: str, *events: tuple[str, dict[str, str | int | float | bool | None]]) -> list[str]:
    read_end, write_end = os.pipe()
    log = Log(style, Level.INFO, write_end)
    for event, fields in events:
        log.info(event, **fields)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        return pipe.read().decode().split("\n")[:-1]


def test_a_line_has_time_level_event_then_the_fields() -> None:
    (line,) = lines_of("logfmt", ("login", {"session": "ab12", "protocol": "imap4s", "client": "192.0.2.1"}))
    pattern = r"time=\d{4}-\d\d-\d\dT[\d:.]+Z level=info event=login session=ab12 protocol=imap4s client=192\.0\.2\.1"
    assert re.fullmatch(pattern, line)


def test_foreign_fields_come_last_and_quoted() -> None:
    (line,) = lines_of("logfmt", ("auth_failed", {"user": "alice", "client": "192.0.2.1", "reason": "x"}))
    assert line.endswith('client=192.0.2.1 reason=x user="alice"')


def test_none_is_left_out_and_numbers_are_bare() -> None:
    (line,) = lines_of("logfmt", ("x", {"a": None, "b": 7, "c": 1.23456, "d": True}))
    assert line.endswith("event=x b=7 c=1.235 d=yes")


def test_a_forged_user_name_stays_inside_its_quotes() -> None:
    forged = 'x" client=203.0.113.5 event=auth_failed\r\nevent=ready\x1b[31m\u202e'
    (line,) = lines_of("logfmt", ("auth_failed", {"client": "192.0.2.1", "user": forged}))
    assert line.endswith(r'user="x\" client=203.0.113.5 event=auth_failed\x0d\x0aevent=ready\x1b[31m\u202e"')


@given(st.text(max_size=50))
def test_any_value_gives_one_printable_line(value: str) -> None:
    (line,) = lines_of("logfmt", ("x", {"user": value, "other": value}))
    assert line.isprintable()


@given(st.text(st.characters(codec="utf-8"), max_size=50))
def test_json_gives_the_value_back(value: str) -> None:
    (line,) = lines_of("json", ("x", {"user": value, "n": 1}))
    fields = json.loads(line)
    assert (fields["event"], fields["level"], fields["user"], fields["n"]) == ("x", "info", value, 1)


def test_long_values_are_cut() -> None:
    (line,) = lines_of("logfmt", ("x", {"user": "a" * 10_000}))
    assert len(line) < MAX_VALUE + 100


@pytest.mark.parametrize("style", ["logfmt", "json"])
@pytest.mark.parametrize("char", ["\u0378", "\U0001f600", '"', "\\", "\x01", "a"])
def test_no_line_is_longer_than_what_a_pipe_takes_at_once(style: str, char: str) -> None:
    hostile = char * 2000
    fields = {"user": hostile, "mail_user": hostile, "server": hostile, "detail": hostile, "server_name": hostile}
    (line,) = lines_of(style, ("auth_failed", {**fields}))
    assert len(line.encode()) + 1 <= 4096  # PIPE_BUF
    assert style == "logfmt" or json.loads(line)["user"].endswith("…")


def test_a_fault_names_the_innermost_place_first_and_quotes_nothing() -> None:
    def inner() -> None:
        int("secret")

    try:
        inner()
    except ValueError as error:
        said = fault(error)
    assert re.fullmatch(
        r"ValueError in test_log\.py:\d+ inner < test_log\.py:\d+ test_a_fault_names_the_innermost_place_.*", said
    )


def test_a_level_below_the_configured_one_writes_nothing() -> None:
    read_end, write_end = os.pipe()
    log = Log("logfmt", Level.WARNING, write_end)
    log.info("x")
    log.warning("y")
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        assert b"event=x" not in pipe.read()


def test_a_full_disk_is_counted_and_not_raised() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        log = Log("logfmt", Level.INFO, full.fileno())
        log.info("x")
        assert log.dropped == 1
