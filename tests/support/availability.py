"""What a test needs from the machine: without it the test is skipped and says why; where CI=true it fails."""

import os

import pytest


def require(missing: str | None) -> None:
    """`missing` says what is not there; None: nothing."""
    if missing is None:
        return
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"{missing}; CI runs all tests")
    pytest.skip(missing)
