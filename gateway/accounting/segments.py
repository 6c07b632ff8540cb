"""The files of a journal: a directory for each writer, in it segments that are allocated before they are needed.

    STATE-DIRECTORY/accounting/group-NAME/WRITER/00000001.journal, 00000002.journal ...

The names of writers sort by their birth. The lock (flock) of a writer's directory is the writer's life: the kernel
lets go of it when the process has ended, however it ended.

A segment begins with MAGIC and the kernel's boot identifier, by which a reader knows whether the monotonic clock that
a record was stamped with is still running; then frames; then zeros.

Errors: OSError. Limits: allocation in advance holds on file systems that write in place (ext4, xfs, tmpfs), not on
those that copy on write (btrfs, zfs): there a full disk may still refuse what was promised.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

SEGMENT_OCTETS: Final = 1 << 20
MAGIC: Final = b"GWACCT1\n"
BOOT_ID_OCTETS: Final = 16
DATA_START: Final = len(MAGIC) + BOOT_ID_OCTETS

_SUFFIX: Final = ".journal"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_MAX_WORD_OCTETS: Final = 200  # a whole name may have 255


def spool_directory(state_directory: Path) -> Path:
    """Where everything of accounting lies."""
    return state_directory / "accounting"


def group_directory(spool: Path, group: str) -> Path:
    """Where the journals of one server group lie."""
    return spool / f"group-{file_word(group)}"


def file_word(name: str) -> str:
    """A name of the configuration as a part of a file's name, whatever characters it has."""
    word = quote(name, safe="")
    return word if len(word) <= _MAX_WORD_OCTETS else hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def writer_name(label: str) -> str:
    """A name that no writer had before. label: for who looks into the directory."""
    return f"{time.time_ns():016x}-{label}"


@cache
def boot_id() -> bytes:
    """Of this run of the kernel."""
    return bytes.fromhex(_BOOT_ID.read_text("ascii").strip().replace("-", ""))


def header() -> bytes:
    """How a segment begins that is written now."""
    return MAGIC + boot_id()


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}{_SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """In ascending order."""
    names = (name.removesuffix(_SUFFIX) for name in os.listdir(directory) if name.endswith(_SUFFIX))
    return sorted(int(name) for name in names if name.isdecimal())


def allocate(directory: Path, number: int, octets: int) -> int:
    """A new segment with all its space on the disk; the descriptor. Nothing is left behind where there is no space."""
    path = segment_path(directory, number)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, octets)
    except BaseException:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def claim(directory: Path) -> int:
    """Make the directory and lock it; the lock's descriptor. Again if the accountant took it for one left behind."""
    while True:
        with contextlib.suppress(FileExistsError):  # Path.mkdir(exist_ok=True) raises it where it vanishes meanwhile
            directory.mkdir(mode=0o700)
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if is_still_there(directory, descriptor):
            return descriptor
        os.close(descriptor)


def try_to_lock(directory: Path) -> int | None:
    """The lock of a directory whose writer has died. None: it lives, or the directory is gone."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_still_there(directory: Path, descriptor: int) -> bool:
    """Whether the path still leads to what the descriptor is open on."""
    try:
        return os.path.samestat(directory.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
