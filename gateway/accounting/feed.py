"""One journal as one stream reads it: what is to be reported and is not acknowledged yet, in order."""

from dataclasses import dataclass

from gateway.accounting.cursor import Cursor
from gateway.accounting.cursor import Entry
from gateway.accounting.marks import Marks
from gateway.accounting.records import Record
from gateway.accounting.records import unpacked
from gateway.accounting.segments import boot_id
from gateway.accounting.spooled import SpooledJournal


@dataclass(slots=True)
class Report:
    """A record on its way. attempts: made so far; server: who was told in the last one, "" before the first."""

    feed: "Feed"
    entry: Entry
    record: Record
    attempts: int = 0
    server: str = ""

    @property
    def same_boot(self) -> bool:
        return self.entry.boot_id == boot_id()

    def acknowledge(self) -> None:
        self.feed.marks.mark(self.entry.segment, self.entry.offset)


class Feed:
    def __init__(self, journal: SpooledJournal, stream: str) -> None:
        self.journal = journal
        self.marks = Marks(journal.directory, stream)
        self._cursor = Cursor(journal.directory)
        self._is_read_out = False

    @property
    def waiting(self) -> int:
        """How many records are still to be acknowledged, read or not."""
        return sum(count - self.marks.count(segment) for segment, count in self.journal.records.items())

    def is_told(self, segment: int) -> bool:
        return self.marks.count(segment) >= self.journal.records[segment]

    def read(self) -> list[Report]:
        """Some more; none: that is all for now."""
        reports: list[Report] = []
        if self._is_read_out:
            return reports
        was_over = self.journal.is_over
        while not reports and (entries := self._cursor.read(complete=not self.journal.is_alive)):
            reports = [report for entry in entries if (report := self._maybe_report(entry)) is not None]
        self._is_read_out = was_over and not reports
        return reports

    def close(self) -> None:
        self._cursor.close()

    def _maybe_report(self, entry: Entry) -> Report | None:
        """None: it is not for a server, acknowledged already, or unreadable (which the journal counts)."""
        try:
            record = unpacked(entry.payload)
        except ValueError:
            return None
        if not record.is_reported or self.marks.is_marked(entry.segment, entry.offset):
            return None
        return Report(self, entry, record)
