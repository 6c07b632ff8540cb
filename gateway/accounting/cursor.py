"""Reads one journal forward, record by record, while its writer goes on writing.

At the end of what is written so far the cursor waits, also before a record that is only half there. Once its writer
has died, or writes the next segment already, what is not whole is torn or damaged: the cursor goes to the next whole
record behind it and counts the octets that it passed over.

Errors: OSError. Limits: CHUNK_OCTETS of memory, a segment where it is damaged.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.accounting.frames import FRAME_HEADER_OCTETS
from gateway.accounting.frames import MAX_FRAME_OCTETS
from gateway.accounting.frames import is_begun
from gateway.accounting.frames import next_whole
from gateway.accounting.frames import whole_frames
from gateway.accounting.segments import DATA_START
from gateway.accounting.segments import MAGIC
from gateway.accounting.segments import segment_numbers
from gateway.accounting.segments import segment_path

CHUNK_OCTETS: Final = 8 * MAX_FRAME_OCTETS
_CLOSED: Final = -1  # in the place of a descriptor


@dataclass(frozen=True, slots=True)
class Entry:
    """A record where it lies. boot_id: of the kernel under which its segment was begun."""

    segment: int
    offset: int
    boot_id: bytes
    payload: bytes


class Cursor:
    """segment 0: before the first. offset: where the next record will be. damaged_octets: passed over so far."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.segment = 0
        self.offset = DATA_START
        self.damaged_octets = 0
        self._boot_id = b""
        self._descriptor = _CLOSED

    def read(self, *, complete: bool) -> list[Entry]:
        """Some of the records that follow, in order; none: that is all for now. complete: nobody writes any more."""
        while True:
            # Before reading: nothing is appended here once the next one is begun.
            next_number = self._next_begun(complete=complete)
            entries = self._read_here(complete=complete or next_number is not None)
            if entries or next_number is None:
                return entries
            self._open(next_number)

    def close(self) -> None:
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
        self._descriptor = _CLOSED

    def _read_here(self, *, complete: bool) -> list[Entry]:
        if self._descriptor == _CLOSED:
            return []
        while True:
            data = os.pread(self._descriptor, CHUNK_OCTETS, self.offset)
            frames, octets = whole_frames(data)
            if frames or not complete or not self._pass_over():
                break
        entries = [Entry(self.segment, self.offset + at, self._boot_id, payload) for at, payload in frames]
        self.offset += octets
        return entries

    def _pass_over(self) -> bool:
        """To the next whole record of this segment; whether there is one."""
        rest = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, self.offset)
        found = next_whole(rest, 1)
        if found is None:
            return False
        self.damaged_octets += found
        self.offset += found
        return True

    def _next_begun(self, *, complete: bool) -> int | None:
        """The next segment if something is written in it, or (after a power failure) in one behind it."""
        following = segment_path(self._directory, self.segment + 1)
        if self.segment and not complete and following.exists():  # by far the most frequent: no need to list them all
            return self.segment + 1 if _is_begun(following) else None
        numbers = [number for number in segment_numbers(self._directory) if number > self.segment]
        begun = any(_is_begun(segment_path(self._directory, number)) for number in numbers)
        return numbers[0] if begun else None

    def _open(self, number: int) -> None:
        self.close()
        self._descriptor = os.open(segment_path(self._directory, number), os.O_RDONLY | os.O_CLOEXEC)
        self._boot_id = os.pread(self._descriptor, DATA_START, 0)[len(MAGIC) :]
        self.segment, self.offset = number, DATA_START


def _is_begun(path: Path) -> bool:
    with path.open("rb", buffering=0) as file:
        file.seek(DATA_START)
        return is_begun(file.read(FRAME_HEADER_OCTETS))
