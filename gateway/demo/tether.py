"""Run a program that does not outlive its parent: `python tether.py PARENT PROGRAM ARGUMENT …`.

The kernel sends it SIGTERM when the parent, whose process id is given, ends in whatever way (PR_SET_PDEATHSIG in
prctl(2); it survives exec). A file to run, not a module to import: between fork and exec of a process that has threads
nothing of Python may run.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    parent, program, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == int(parent):  # else it ended before the kernel was asked
        os.execv(program, [program, *arguments])  # noqa: S606


if __name__ == "__main__":
    main()
