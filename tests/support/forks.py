"""Children by fork(2) that run one function, for tests of what processes share."""

import os
import traceback
from collections.abc import Callable


def fork_and_run(function: Callable[..., object], *arguments: object) -> int:
    """The child's process id. It exits with 0, or with 1 and a traceback, and runs nothing of pytest."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        function(*arguments)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def wait_for_success(pids: list[int]) -> None:
    """All of them end by themselves, with 0."""
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * len(pids)
