"""The journal of one process: records go behind one another into preallocated files, each by one system call.

A record survives the process in the kernel's page cache; `Unsynced.sync` brings what was written to the disk, for when
the machine itself fails. Whoever appends says how much must still fit afterwards, so that an end can always be written
for what was begun, disk full or not.

Why a file and not an embedded store: appending one record of 91 octets costs 2.4 us of CPU (median 2.0 us, 99.9 % of
them within 0.4 ms with a `fdatasync` under way); an INSERT into SQLite in WAL mode with synchronous = off 16 us (median
13 us, 99.9 % within 9 ms: its checkpoints); with synchronous = full the median is 0.6 to 5 ms, during which a worker's
hub would stand still. Nothing that SQLite has beyond that is needed: there is one writer, and readers go forward.
Measured by perf/accounting_journal.py, ext4 on a virtual disk, SQLite 3.40, a busy machine of 2 CPUs.

Errors: JournalFull when there is no room, or less than is to be kept; OSError as the file system says it. The record
is not in the journal then. Limits: a record of MAX_PAYLOAD_OCTETS.
"""

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.accounting.frames import MAX_FRAME_OCTETS
from gateway.accounting.frames import framed
from gateway.accounting.segments import DATA_START
from gateway.accounting.segments import SEGMENT_OCTETS
from gateway.accounting.segments import allocate
from gateway.accounting.segments import claim
from gateway.accounting.segments import header
from gateway.accounting.segments import segment_numbers
from gateway.accounting.segments import segment_path
from gateway.errors import GatewayError

SPARES: Final = 2
_CLOSED: Final = -1  # in the place of a descriptor


class JournalFull(GatewayError):
    """There is no room for the record, or too little would be left."""


@dataclass(frozen=True, slots=True)
class Unsynced:
    """What was written since the last time; `full` are the descriptors among them that will not be written again."""

    descriptors: tuple[int, ...]
    full: tuple[int, ...]

    def sync(self) -> None:
        """Bring it to the disk. May run in another thread. OSError: a part of it may be lost with the machine."""
        try:
            for descriptor in self.descriptors:
                os.fdatasync(descriptor)
        finally:
            for descriptor in self.full:
                os.close(descriptor)


class JournalWriter:
    """segment: the number of the one that is being written, 0 before the first; segment_octets: how long one is."""

    def __init__(self, directory: Path, segment_octets: int = SEGMENT_OCTETS) -> None:
        """Touches no file yet: `extend` makes the directory and the segments."""
        self.directory = directory
        self.segment = 0
        self.segment_octets = segment_octets
        self._lock = _CLOSED
        self._descriptor = _CLOSED
        self._offset = segment_octets  # no room
        self._spares: deque[tuple[int, int]] = deque()  # number, descriptor
        self._last_number = 0
        self._dirty: set[int] = set()
        self._full: list[int] = []

    @classmethod
    def take_over(cls, directory: Path, lock: int, segment: int, offset: int) -> "JournalWriter":
        """The journal of a writer that died, to be written on from `offset` of `segment`.

        `lock` is of the directory, and stays the caller's. What lies behind the offset (a torn record) is wiped out.
        """
        numbers = segment_numbers(directory)
        octets = max((segment_path(directory, number).stat().st_size for number in numbers), default=SEGMENT_OCTETS)
        journal = cls(directory, octets)
        journal._lock = os.dup(lock)
        journal._last_number = max(numbers, default=0)
        for number in (number for number in numbers if number >= segment):
            journal._spares.append((number, os.open(segment_path(directory, number), os.O_RDWR | os.O_CLOEXEC)))
        if segment:
            journal._turn_over()
            journal._write_on_from(offset)
        return journal

    @property
    def room_octets(self) -> int:
        """What surely still fits. Each segment may waste the room of one record, which goes into the next whole."""
        return self._usable(self._offset) + len(self._spares) * self._usable(DATA_START)

    @property
    def is_dirty(self) -> bool:
        return bool(self._dirty)

    def wants_room(self, keep_octets: int) -> bool:
        """Whether `extend` is due: a spare is missing, or there is hardly more room than must be kept."""
        return len(self._spares) < SPARES or self.room_octets < keep_octets + self.segment_octets

    def append(self, payload: bytes, keep_octets: int = 0) -> None:
        """keep_octets: room that must be left over."""
        data = framed(payload)
        turns = len(data) > self.segment_octets - self._offset
        if turns and not self._spares:
            raise JournalFull("no segment is left")
        wasted = self._usable(self._offset) if turns else 0
        if keep_octets and self.room_octets - wasted - len(data) < keep_octets:
            raise JournalFull("what is left is kept for the ends of the sessions that run")
        if turns:
            self._turn_over()
            self._begin()
        self._write(data)

    def extend(self) -> None:
        """One more segment; the first time also the directory. May run in another thread than the rest."""
        if self._lock == _CLOSED:
            self._lock = claim(self.directory)
        number = self._last_number + 1
        self._spares.append((number, allocate(self.directory, number, self.segment_octets)))
        self._last_number = number

    def take_unsynced(self) -> Unsynced:
        """What is to be synced now; it must be, since some of it is closed by that."""
        taken = Unsynced(tuple(self._dirty), tuple(self._full))
        self._dirty, self._full = set(), []
        return taken

    def close(self) -> None:
        """Sync, close, let go of the lock."""
        self.take_unsynced().sync()
        for descriptor in (self._descriptor, *(descriptor for _, descriptor in self._spares), self._lock):
            if descriptor != _CLOSED:
                os.close(descriptor)
        self._spares.clear()
        self._descriptor = self._lock = _CLOSED
        self._offset = self.segment_octets

    def _usable(self, offset: int) -> int:
        return max(self.segment_octets - offset - MAX_FRAME_OCTETS, 0)

    def _turn_over(self) -> None:
        if self._descriptor != _CLOSED:
            self._dirty.add(self._descriptor)
            self._full.append(self._descriptor)
        self.segment, self._descriptor = self._spares.popleft()
        self._offset = DATA_START

    def _begin(self) -> None:
        os.pwrite(self._descriptor, header(), 0)

    def _write(self, data: bytes) -> None:
        written = os.pwrite(self._descriptor, data, self._offset)
        if written < len(data):  # on a file system that does not keep allocations; the next record goes over it
            raise JournalFull(f"{written} of {len(data)} octets could be written")
        self._offset += len(data)
        self._dirty.add(self._descriptor)

    def _write_on_from(self, offset: int) -> None:
        """An empty segment gets a header of today; one with records keeps its own."""
        if offset <= DATA_START:
            self._begin()
        self._offset = max(offset, DATA_START)
        os.pwrite(self._descriptor, bytes(self.segment_octets - self._offset), self._offset)
