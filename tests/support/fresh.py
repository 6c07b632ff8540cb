"""A test's scenario in an interpreter of its own, which may fork: the one of the test run may have a hub already.

The scenario asserts; what it forked is killed with it, however it ends.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from tests.support import guard
from tests.support.gateway import REPOSITORY


def run_fresh(scenario: Callable[..., None], *arguments: object, timeout_s: float = 50.0) -> None:
    """Call a module's function with the arguments as text; AssertionError with what it said when it fails."""
    module, name = scenario.__module__, scenario.__name__
    program = f"import sys; from {module} import {name}; {name}(*sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    guard.watch(process.pid)
    late = threading.Timer(timeout_s, os.killpg, (process.pid, signal.SIGKILL))
    late.start()
    try:
        output, _ = process.communicate()
    finally:
        late.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        guard.release(process.pid)
    assert process.returncode == 0, f"{name} ended with {process.returncode} (-9: after {timeout_s} s):\n{output}"
