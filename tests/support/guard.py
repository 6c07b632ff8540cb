"""Ends the daemons of a test run that was itself killed.

One small process of its own reads, from a pipe only the test run writes to, which process groups are alive. The
kernel closes the pipe when the test run ends, however it ends; what was not released by then is killed.
PR_SET_PDEATHSIG would be simpler, but a daemon that changes its effective user (Postfix's master) loses it.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import IO

_pipes: list[IO[bytes]] = []


def watch(group: int) -> None:
    """From now on, `group` does not outlive this process."""
    _tell(f"+{group}\n")


def release(group: int) -> None:
    """`group` has ended in order; its number may be given to somebody else."""
    _tell(f"-{group}\n")


def _tell(line: str) -> None:
    if not _pipes:
        guard = subprocess.Popen(
            [sys.executable, "-E", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True, bufsize=0
        )
        assert guard.stdin is not None
        _pipes.append(guard.stdin)
        atexit.register(_end, guard)
    _pipes[0].write(line.encode())


def _end(guard: subprocess.Popen[bytes]) -> None:
    for pipe in _pipes:
        pipe.close()
    guard.wait()


def _kill_the_rest(lines: Iterable[str]) -> None:
    groups: set[int] = set()
    for line in lines:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    _kill_the_rest(sys.stdin)
