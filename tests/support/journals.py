"""Journals for tests: facts of a session, the records of a directory, short segments."""

import contextlib
from pathlib import Path
from typing import Final

from gateway.accounting.base import SessionFacts
from gateway.accounting.cursor import Cursor
from gateway.accounting.journal import JournalFull
from gateway.accounting.journal import JournalWriter
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record
from gateway.accounting.records import Usage
from gateway.accounting.records import unpacked

SHORT_SEGMENT: Final = 1 << 16


def facts(session_id: str = "0123456789abcdef", user: str = "alice", **more: object) -> SessionFacts:
    """Of a session of alice's."""
    return SessionFacts(session_id, user, "imap4s", "outside", "192.0.2.7", **more)  # type: ignore[arg-type]


def record(kind: Kind = Kind.START, session_id: str = "s1", cause: int = 0) -> Record:
    return Record(kind, session_id, Moment(1_700_000_000, 1000.5), Usage(), cause, facts(session_id))


def journal(directory: Path, segment_octets: int = SHORT_SEGMENT, segments: int = 2) -> JournalWriter:
    """With so many segments, locked by this process."""
    writer = JournalWriter(directory, segment_octets)
    for _ in range(segments):
        writer.extend()
    return writer


def fill(writer: JournalWriter, payload: bytes, keep_octets: int = 0) -> int:
    """Append it until there is no room; how often it fitted."""
    count = 0
    with contextlib.suppress(JournalFull):
        while True:
            writer.append(payload, keep_octets)
            count += 1
    return count


def payloads(directory: Path, *, complete: bool = True) -> list[bytes]:
    """Everything that a reader finds, in order."""
    cursor = Cursor(directory)
    found: list[bytes] = []
    try:
        while entries := cursor.read(complete=complete):
            found += [entry.payload for entry in entries]
    finally:
        cursor.close()
    return found


def records(directory: Path) -> list[Record]:
    return [unpacked(payload) for payload in payloads(directory)]


def events(directory: Path) -> list[tuple[str, str]]:
    """Kind and session of each record."""
    return [(one.kind.name, one.session_id) for one in records(directory)]


def abandon(writer: JournalWriter) -> None:
    """As if its process had died: the lock and all descriptors are gone, nothing else was done."""
    writer.close()
