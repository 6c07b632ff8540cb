"""Which records of a journal one stream has had acknowledged: a file beside each segment, one octet a record.

A mark is one octet written at a place of its own, so it can be neither torn nor lost with the process. The loss of
marks with the machine only sends reports again that were acknowledged.

Errors: none; a mark that the disk does not take is kept in memory until the accountant ends.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from gateway.accounting.segments import file_word
from gateway.accounting.segments import segment_path

_SHORTEST_FRAME_OCTETS: Final = 16  # so no two records have the same place
_MARK: Final = b"\1"


class Marks:
    """Of one journal and one stream."""

    def __init__(self, directory: Path, stream: str) -> None:
        self._directory = directory
        self._suffix = f".acked-{file_word(stream)}"
        self._sheets: dict[int, bytearray] = {}

    def is_marked(self, segment: int, offset: int) -> bool:
        sheet, place = self._sheet(segment), offset // _SHORTEST_FRAME_OCTETS
        return place < len(sheet) and sheet[place] == _MARK[0]

    def mark(self, segment: int, offset: int) -> None:
        sheet, place = self._sheet(segment), offset // _SHORTEST_FRAME_OCTETS
        if place >= len(sheet):
            sheet.extend(bytes(place + 1 - len(sheet)))
        sheet[place] = _MARK[0]
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path(segment), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, _MARK, place)
            finally:
                os.close(descriptor)

    def count(self, segment: int) -> int:
        """How many records of the segment are marked."""
        return self._sheet(segment).count(_MARK)

    def forget(self, segment: int) -> None:
        """The segment is gone."""
        self._sheets.pop(segment, None)

    def _sheet(self, segment: int) -> bytearray:
        if segment not in self._sheets:
            try:
                self._sheets[segment] = bytearray(self._path(segment).read_bytes())
            except OSError:
                self._sheets[segment] = bytearray()
        return self._sheets[segment]

    def _path(self, segment: int) -> Path:
        return segment_path(self._directory, segment).with_suffix(self._suffix)
