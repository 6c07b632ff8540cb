"""A program on a tether ends with its parent, however that ends."""

import os
import signal
import subprocess
import sys

from gateway.demo import tether
from tests.support import processes
from tests.support.waiting import wait_until

# Starts a program on a tether, says its process id, and lives on.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, sys.argv[1], str(os.getpid()), "/bin/sleep", "60"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_program_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, tether.__file__], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(lambda: (found := processes.look_up(pid)) is not None and found.name == "sleep")
        child = processes.look_up(pid)
        parent.kill()
    assert child is not None
    wait_until(lambda: not child.is_alive())


def test_program_of_a_parent_that_is_gone_is_not_started() -> None:
    other = str(os.getpid() + 1)
    done = subprocess.run(
        [sys.executable, tether.__file__, other, "/bin/echo", "started"], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout == b""


def test_exit_of_the_program_is_seen_as_its_own() -> None:
    command = [sys.executable, tether.__file__, str(os.getpid()), "/bin/sh", "-c", "kill -TERM $$"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGTERM
