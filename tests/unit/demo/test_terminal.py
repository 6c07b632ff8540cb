"""The gateway's log as the demo shows it, on a terminal and elsewhere."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping

import pytest

SHOW = """
import sys
from gateway.demo.process import LogLine
from gateway.demo.terminal import show_log
show_log(LogLine.of(sys.argv[1].encode()))
"""
INFO, ERROR = "time=1 level=info event=ready", "time=1 level=error event=worker_exited"


def shown(line: str, environment: Mapping[str, str]) -> bytes:
    """What arrives on a terminal."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", SHOW, line], stderr=theirs, env=environment, check=True)
        return os.read(ours, 4096).rstrip()
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(("line", "style"), [(INFO, b"\x1b[2m"), (ERROR, b"\x1b[31m"), ("Traceback", b"")])
def test_ordinary_lines_are_dimmed_and_errors_are_red(line: str, style: bytes) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    octets = shown(line, environment)
    assert octets.startswith(style + line.encode())


def test_no_color_is_honoured() -> None:
    assert shown(INFO, {**os.environ, "NO_COLOR": "1"}) == INFO.encode()
