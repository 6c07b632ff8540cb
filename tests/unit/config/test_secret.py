"""Secrets: where they come from, and that they stay secret."""

import copy
import os
import traceback
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.secret import PASSWORD_HASH
from gateway.config.secret import SECRET
from gateway.config.secret import STORE_URL

HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("swordfish")


@pytest.fixture
def here(tmp_path: Path) -> Context:
    return Context(tmp_path)


def test_a_literal_is_the_secret(here: Context) -> None:
    secret = SECRET.parse("swordfish", here)
    assert (secret.reveal(), secret.is_bare, secret.path) == ("swordfish", True, None)


def test_a_file_is_relative_and_loses_its_last_line_end(here: Context) -> None:
    (here.directory / "key").write_bytes(b" sword fish \r\n")
    secret = SECRET.parse("file:key", here)
    assert (secret.reveal(), secret.is_bare, secret.path) == (" sword fish ", False, here.directory / "key")


def test_a_variable_and_a_credential(here: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (here.directory / "ldap.pw").write_text("tuna")
    monkeypatch.setenv("A_SECRET", "swordfish")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(here.directory))
    assert SECRET.parse("env:A_SECRET", here).reveal() == "swordfish"
    assert SECRET.parse("credential:ldap.pw", here).reveal() == "tuna"


@pytest.mark.parametrize("name", ["../key", "a/b", "..", ".", "", "a b"])
def test_a_credential_is_a_name_and_not_a_path(here: Context, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(here.directory / "in"))
    (here.directory / "key").write_text("swordfish")
    with pytest.raises(BadValue):
        SECRET.parse(f"credential:{name}", here)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [(b"", "empty"), (b"\n", "empty"), (b"a\nb", "more than one line"), (b"\xff", "UTF-8"), (b"a\0", "control")],
)
def test_a_file_that_is_no_secret_is_refused(here: Context, octets: bytes, reason: str) -> None:
    (here.directory / "key").write_bytes(octets)
    with pytest.raises(BadValue, match=reason):
        SECRET.parse("file:key", here)


@pytest.mark.parametrize("path", [".", "nowhere", "/dev/zero", "/dev/null", "pipe", "large"])
def test_a_file_that_is_none_is_refused(here: Context, path: str) -> None:
    os.mkfifo(here.directory / "pipe")
    (here.directory / "large").write_bytes(b"x" * 70_000)
    with pytest.raises(BadValue, match="cannot read"):
        SECRET.parse(f"file:{path}", here)


def test_a_secret_shows_itself_to_nobody_else(here: Context) -> None:
    secret = SECRET.parse("swordfish", here)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", f"{[secret]}", SECRET.render(secret)]
    assert not [text for text in shown if "swordfish" in text]
    assert copy.copy(secret) == secret


def test_a_refused_secret_is_in_no_message(here: Context) -> None:
    secret = "sword" + "fish"  # a traceback shows the lines of the source
    for kind in (PASSWORD_HASH, STORE_URL):
        with pytest.raises(BadValue) as caught:
            kind.parse(secret, here)
        assert secret not in "".join(traceback.format_exception(caught.value)) + caught.value.hint


def test_the_hash_of_argon2_is_a_password(here: Context) -> None:
    secret = PASSWORD_HASH.parse(HASH, here)
    assert (secret.reveal(), secret.is_bare) == (HASH, False)
    (here.directory / "hash").write_text(HASH + "\n")
    assert PASSWORD_HASH.parse("file:hash", here).reveal() == HASH


@pytest.mark.parametrize(
    "text",
    [
        "swordfish",
        "",
        "$argon2id$",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$6$salt$hash",
        HASH + "\n",
        HASH[:-50],
        "x" + HASH,
    ],
)
def test_nothing_else_is_a_password(here: Context, text: str) -> None:
    with pytest.raises(BadValue):
        PASSWORD_HASH.parse(text, here)


def test_a_store_without_a_password_is_no_secret(here: Context) -> None:
    assert not STORE_URL.parse("redis://10.0.0.9/0", here).is_bare
    assert STORE_URL.parse("redis://:swordfish@10.0.0.9/0", here).is_bare
