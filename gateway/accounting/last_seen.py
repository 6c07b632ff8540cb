"""What the master still knows of the sessions of a dead worker: the last octets that the shared table counted.

The master leaves a file when it has reaped a worker; the accountant reads it before it writes the ends of that
worker's sessions, which would otherwise report no more than the journal's last record of each.

Errors: OSError from `leave`; `collect` takes what it can read. Limits: files are removed after KEPT_S.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import astuple
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgpack

from gateway.accounting.segments import writer_name

KEPT_S: Final = 3600.0
_DIRECTORY: Final = "last-seen"
_SUFFIX: Final = ".seen"


@dataclass(frozen=True, slots=True)
class LastSeen:
    """active_at: when octets were last relayed, of CLOCK_MONOTONIC. octets_in: from the client."""

    session_id: str
    active_at: float
    octets_in: int
    octets_out: int


def leave(spool: Path, sessions: Iterable[LastSeen]) -> None:
    """By the master, once for each dead worker, at once."""
    rows = [astuple(session) for session in sessions]
    if rows:
        directory = spool / _DIRECTORY
        path = directory / writer_name("worker")
        path.write_bytes(msgpack.packb(rows))
        owner = directory.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
        path.rename(path.with_suffix(_SUFFIX))


def collect(spool: Path) -> Mapping[str, LastSeen]:
    """By session id, of all dead workers of the last hour."""
    found: dict[str, LastSeen] = {}
    for path in sorted((spool / _DIRECTORY).glob(f"*{_SUFFIX}")):
        with contextlib.suppress(OSError, ValueError, TypeError, msgpack.UnpackException):
            if time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
                continue
            found |= {row[0]: LastSeen(*row) for row in msgpack.unpackb(path.read_bytes())}
    return found


def make_place(spool: Path, uid: int, gid: int) -> None:
    """The directory of these files, which the accountant has to be able to remove."""
    directory = spool / _DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(directory, uid, gid)
