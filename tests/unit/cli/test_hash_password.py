"""`gateway hash-password`: for a person at a terminal, and for a script at a pipe."""

import os
import pty
import subprocess
import sys

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from gateway.cli.hash_password import hash_password_command


def assert_is_hash_of(password: str, line: str) -> None:
    assert line.startswith("$argon2id$")
    assert PasswordHasher().verify(line.strip(), password)


@pytest.mark.parametrize("typed", ["grüße 1", "grüße 1\n", "grüße 1\r\n", "grüße 1\nnot this\n"])
def test_a_pipe_holds_the_password_in_its_first_line(typed: str) -> None:
    result = CliRunner().invoke(hash_password_command, input=typed)
    assert (result.exit_code, result.stderr) == (0, "")
    assert_is_hash_of("grüße 1", result.stdout)


@pytest.mark.parametrize("typed", ["", "\n", "\nsecret\n"])
def test_an_empty_password_is_a_usage_error(typed: str) -> None:
    result = CliRunner().invoke(hash_password_command, input=typed)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_at_a_terminal_it_is_asked_for_twice_and_not_shown() -> None:
    own, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "hash-password"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
        text=True,
    ) as process:
        os.close(theirs)
        shown = b""
        for prompt in (b"Password: ", b"Repeat for confirmation: "):
            while not shown.endswith(prompt):
                shown += os.read(own, 1024)
            os.write(own, b"secret\n")
        assert process.stdout is not None
        assert_is_hash_of("secret", process.stdout.read())
        assert process.wait(10) == 0
    os.close(own)
    assert b"secret" not in shown
