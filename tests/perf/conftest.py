"""The tools of the performance suite, compiled once; without compiler or OpenSSL's headers their tests are skipped."""

import subprocess
import sys
from pathlib import Path

import pytest

from perf.suite.machine import missing
from perf.suite.paths import BUILD
from perf.suite.paths import PERF
from perf.suite.servers import TOOL_PACKAGES
from tests.support.availability import require


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the programs."""
    absent = missing(TOOL_PACKAGES)
    require(f"the Debian package(s) {' '.join(absent)} are not installed" if absent else None)
    command = ["make", "--silent", "-C", str(PERF / "tools"), f"PYTHON={sys.executable}"]
    built = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "warning" not in built.stderr, built.stderr
    return BUILD
