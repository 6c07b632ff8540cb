"""One writer's journal as the accountant sees it: what is in it, whether its writer lives, what can be removed.

When the writer has died, its lock is ours, and so is the journal: the sessions that it began and did not end get
their ends written behind its own records. So every stream finds exactly one end for every start, however often the
accountant itself dies meanwhile.

A segment is removed, the oldest first, once nothing in it is still to be told and no session runs whose last record
it holds.

Errors: OSError, JournalFull.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gateway.accounting.causes import TerminateCause
from gateway.accounting.cursor import Cursor
from gateway.accounting.cursor import Entry
from gateway.accounting.journal import JournalFull
from gateway.accounting.journal import JournalWriter
from gateway.accounting.last_seen import LastSeen
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record
from gateway.accounting.records import Usage
from gateway.accounting.records import unpacked
from gateway.accounting.segments import is_still_there
from gateway.accounting.segments import segment_numbers
from gateway.accounting.segments import segment_path
from gateway.accounting.segments import try_to_lock


class SpooledJournal:
    """records: how many are to be reported, by segment."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.records: Counter[int] = Counter()
        self.is_gone = False
        self._running: dict[str, tuple[int, bytes]] = {}  # session -> where its last record is, and that
        self._cursor = Cursor(directory)
        self._lock: int | None = None
        self._is_read_out = False  # since the writer's death
        self._unreadable_octets = 0
        self._damage_told = 0

    @property
    def is_alive(self) -> bool:
        return self._lock is None

    @property
    def running(self) -> int:
        """Sessions that were begun and have not ended."""
        return len(self._running)

    @property
    def is_over(self) -> bool:
        """Nothing will be added any more."""
        return self._is_read_out and not self._running

    def poll(self) -> bool:
        """Take note of some of the new records; whether there were any."""
        entries = self._cursor.read(complete=not self.is_alive)
        for entry in entries:
            self._note(entry)
        self._is_read_out = not entries and not self.is_alive
        return bool(entries)

    def new_damage(self) -> int:
        """Octets that were no records, since this was last asked."""
        damage = self._cursor.damaged_octets + self._unreadable_octets
        new, self._damage_told = damage - self._damage_told, damage
        return new

    def notice_death(self) -> bool:
        """Whether the writer is found dead by this call."""
        if self._lock is not None:
            return False
        lock = try_to_lock(self.directory)
        if lock is None:
            return False
        if not is_still_there(self.directory, lock):
            os.close(lock)
            return False
        self._lock = lock
        return True

    def bury(self, cause: TerminateCause, last_seen: Mapping[str, LastSeen]) -> int:
        """Write the ends of what still ran when the writer died; how many."""
        if self._lock is None:
            return 0
        self._poll_to_end()
        if not self._running:
            return 0
        ends = [_end(unpacked(payload), cause, last_seen) for _, payload in self._running.values()]
        journal = JournalWriter.take_over(self.directory, self._lock, self._cursor.segment, self._cursor.offset)
        try:
            for end in ends:
                _append(journal, end)
        finally:
            journal.close()
        return len(ends)

    def retire(self, is_told: Callable[[int], bool]) -> list[int]:
        """Remove what nobody needs; the numbers of the segments. is_told: whether a segment is, by every stream."""
        removed: list[int] = []
        needed = {segment for segment, _ in self._running.values()}
        for number in segment_numbers(self.directory):
            finished = number < self._cursor.segment or self.is_over
            if not finished or number in needed or not is_told(number):
                break
            self._remove(number)
            removed.append(number)
        else:
            self._remove_directory()
        return removed

    def close(self) -> None:
        self._cursor.close()
        if self._lock is not None:
            os.close(self._lock)

    def _poll_to_end(self) -> None:
        while self.poll():
            pass

    def _note(self, entry: Entry) -> None:
        try:
            record = unpacked(entry.payload)
        except ValueError:
            self._unreadable_octets += len(entry.payload)
            return
        self.records[entry.segment] += record.is_reported
        if record.kind is Kind.STOP:
            self._running.pop(record.session_id, None)
        elif record.facts is not None:
            self._running[record.session_id] = (entry.segment, entry.payload)

    def _remove(self, number: int) -> None:
        """The segment first: without its marks it would be told again, they without it mean nothing."""
        segment = segment_path(self.directory, number)
        segment.unlink()
        for marks in self.directory.glob(f"{segment.stem}.*"):
            marks.unlink(missing_ok=True)
        self.records.pop(number, None)

    def _remove_directory(self) -> None:
        """A newborn writer may be waiting for its lock: it will find the directory gone and make another."""
        if self.is_over:
            with contextlib.suppress(OSError):
                for path in self.directory.iterdir():
                    path.unlink()
                self.directory.rmdir()
                self.is_gone = True


def _end(last: Record, cause: TerminateCause, last_seen: Mapping[str, LastSeen]) -> Record:
    """At the last moment that the journal or the master knows the session alive, with what was counted by then."""
    end = replace(last, kind=Kind.STOP, cause=int(cause))
    seen = last_seen.get(last.session_id)
    if seen is None:
        return end
    usage, later_s = last.usage, max(int(seen.active_at - last.at.monotonic_s), 0)
    return replace(
        end,
        at=Moment(last.at.wall_s + later_s, last.at.monotonic_s + later_s),
        usage=Usage(
            usage.seconds + later_s, max(usage.octets_in, seen.octets_in), max(usage.octets_out, seen.octets_out)
        ),
    )


def _append(journal: JournalWriter, record: Record) -> None:
    """In the room that the dead writer kept for it, else in new room."""
    try:
        journal.append(record.packed())
    except JournalFull:
        journal.extend()
        journal.append(record.packed())
