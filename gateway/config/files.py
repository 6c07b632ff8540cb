"""Reading a small file that an administrator named, whatever it turns out to be.

Errors: OSError, also for what is not a regular file (a pipe would block) or is too large."""

import errno
import os
import stat
from pathlib import Path


def read_regular_file(path: Path, max_octets: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        octets = file.read(max_octets + 1)
    if len(octets) > max_octets:
        raise OSError(errno.EFBIG, f"larger than {max_octets} octets")
    return octets
