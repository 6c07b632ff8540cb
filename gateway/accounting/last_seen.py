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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgpack

from gateway.accounting.records import Moment
from gateway.accounting.records import Usage
from gateway.accounting.segments import writer_name

KEPT_S: Final = 3600.0
_DIRECTORY: Final = "last-seen"
_SUFFIX: Final = ".seen"


@dataclass(frozen=True, slots=True)
class LastSeen:
    """at: when the session was last active. usage: up to then."""

    session_id: str
    at: Moment
    usage: Usage


def leave(spool: Path, sessions: Iterable[LastSeen]) -> None:
    """By the master, once for each dead worker, at once."""
    rows = [_row(session) for session in sessions]
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
            found |= {seen.session_id: seen for seen in map(_of_row, msgpack.unpackb(path.read_bytes()))}
    return found


def make_place(spool: Path, uid: int, gid: int) -> None:
    """The directory of these files, which the accountant has to be able to remove."""
    directory = spool / _DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(directory, uid, gid)


def _row(seen: LastSeen) -> tuple[object, ...]:
    usage = seen.usage
    return seen.session_id, seen.at.wall_s, seen.at.monotonic_s, usage.seconds, usage.octets_in, usage.octets_out


def _of_row(row: tuple[str, int, float, int, int, int]) -> LastSeen:
    session_id, wall_s, monotonic_s, seconds, octets_in, octets_out = row
    return LastSeen(session_id, Moment(wall_s, monotonic_s), Usage(seconds, octets_in, octets_out))
