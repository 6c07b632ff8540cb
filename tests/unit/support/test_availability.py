"""A missing program skips a test at home and fails it in CI."""

import pytest

from tests.support.availability import require
from tests.support.clients import run


def test_require_when_nothing_is_missing_then_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    require(None)


def test_require_when_something_is_missing_then_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        run("no-such-program")


def test_require_when_something_is_missing_in_ci_then_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI runs all tests"):
        run("no-such-program")
