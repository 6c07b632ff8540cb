"""Octets leave the memory of the process when they leave the buffer, read from outside through /proc/PID/mem."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The child never has the secret in anything but a bytearray, which it wipes, and the buffer. It is fed in two parts so
# that the buffer has to grow (a copy to wipe) and, once something was taken, to move down.
CHILD = """
import ctypes, sys
from gateway._fastpath import FrameBuffer

def feed_secret(buffer):
    secret = bytearray((i * 37 & 255) ^ 90 for i in range(1, 200))
    buffer.feed(secret)
    secret[:] = bytes(len(secret))

def wipe(octets):
    ctypes.memset(id(octets) + bytes.__basicsize__ - 1, 0, len(octets))

def rest(word):
    print(word, flush=True)
    sys.stdin.readline()

buffer = FrameBuffer(65536)
feed_secret(buffer); rest("held")
buffer.feed(b"a" * 500); rest("held after growing")
wipe(buffer.take_octets(199)); rest("taken")
buffer.take_octets(400); feed_secret(buffer); rest("held again")
buffer.feed(b"a" * 600); rest("held after moving down")
buffer.clear(); rest("cleared")
feed_secret(buffer); del buffer; rest("freed")
"""
SECRET = bytes((i * 37 & 255) ^ 90 for i in range(1, 200))
HELD = {"held": 1, "held after growing": 1, "held again": 1, "held after moving down": 1}


def writable_memory(pid: int) -> Iterator[bytes]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps, re.MULTILINE):
            memory.seek(int(start, 16))
            yield memory.read(int(end, 16) - int(start, 16))


def test_octets_are_overwritten_when_taken_moved_cleared_and_freed() -> None:
    found = {}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for word in child.stdout:
            try:
                found[word.strip()] = sum(region.count(SECRET) for region in writable_memory(child.pid))
            except PermissionError:
                child.kill()
                pytest.skip("this system does not let a process read its child's memory")
            child.stdin.write("\n")
            child.stdin.flush()
    assert found == {**HELD, "taken": 0, "cleared": 0, "freed": 0}
