"""Processor time and memory of process trees, on processes that use a known amount."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from perf.suite import usage

BURN = """
import os, sys, threading, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
"""
TOLERANCE_S = 0.06  # two ticks for each of two processes, and the interpreter's start


@contextmanager
def running(script: str) -> Iterator[subprocess.Popen[str]]:
    """Once it has printed a line; it ends when its input does."""
    command = [sys.executable, "-S", "-c", f"{BURN}\n{script}\nprint(flush=True)\nsys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


IN_A_THREAD = "thread = threading.Thread(target=burn, args=[0.2]); thread.start(); thread.join()"
IN_AN_ENDED_CHILD = """
pid = os.fork()
if not pid: burn(0.2); os._exit(0)
os.waitpid(pid, 0)
"""
IN_A_LIVING_CHILD = """
ready, done = os.pipe()
if not os.fork(): burn(0.2); os.write(done, b"1"); sys.stdin.read(); os._exit(0)
os.read(ready, 1)
"""


@pytest.mark.parametrize(
    "script",
    ["burn(0.2)", IN_A_THREAD, IN_AN_ENDED_CHILD, IN_A_LIVING_CHILD],
    ids=["in the process", "in a thread that has ended", "in a child that has ended", "in a child that lives"],
)
def test_cpu_counts_the_whole_tree(script: str) -> None:
    with running("") as idle, running(script) as busy:
        used = usage.cpu_s(busy.pid) - usage.cpu_s(idle.pid)
    assert used == pytest.approx(0.2, abs=TOLERANCE_S)


def test_pss_grows_by_what_is_touched_and_shares_what_is_shared() -> None:
    """20 MiB that two processes share count once."""
    with running("") as small, running("held = b'x' * (20 << 20)\nif not os.fork(): sys.stdin.read()") as large:
        grown = usage.pss_kib(large.pid) - usage.pss_kib(small.pid)
        assert usage.process_count(large.pid) == 2
    assert 20 << 10 <= grown < 28 << 10


def test_cpu_at_rest_waits_until_the_work_is_done() -> None:
    with running("threading.Thread(target=burn, args=[0.3]).start()") as process:
        assert usage.cpu_s_at_rest(process.pid) >= 0.3


def test_a_process_that_has_ended_is_no_figure() -> None:
    with running("") as process:
        pass
    with pytest.raises(usage.ServerGone):
        usage.cpu_s(process.pid)
