"""Frames: how records lie in a file, so that a torn or damaged one is seen and the whole ones around it are found.

A frame is the payload's length and CRC-32 (4 octets each, little-endian), then the payload. The file has zeros where
nothing is written yet, so a length of 0 is the end of what is written. CRC-32 is that of zlib (IEEE 802.3): CRC-32C,
which is no better at this, would cost a module more.

Errors: ValueError for a payload that no frame can hold; none for anything that is read.
"""

import re
import struct
import zlib
from typing import Final

MAX_PAYLOAD_OCTETS: Final = 8192  # more than the largest RADIUS packet and the names around it
_HEADER: Final = struct.Struct("<II")
FRAME_HEADER_OCTETS: Final = _HEADER.size
MAX_FRAME_OCTETS: Final = FRAME_HEADER_OCTETS + MAX_PAYLOAD_OCTETS
_WRITTEN: Final = re.compile(rb"[^\0]")
_HOLE: Final = bytes(4096)  # by which holes are crossed: 150 times as fast as octet by octet


def framed(payload: bytes) -> bytes:
    """The payload as a frame."""
    if not 1 <= len(payload) <= MAX_PAYLOAD_OCTETS:
        raise ValueError(f"a payload of {len(payload)} octets")
    return _HEADER.pack(len(payload), _checksum(payload)) + payload


def whole_frames(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """The whole frames at the beginning of `data`, each with its offset, and where the first octet behind them is."""
    found: list[tuple[int, bytes]] = []
    offset = 0
    while (payload := _payload_at(data, offset)) is not None:
        found.append((offset, payload))
        offset += FRAME_HEADER_OCTETS + len(payload)
    return found, offset


def next_whole(data: bytes, start: int) -> int | None:
    """Where the first whole frame at or after `start` begins: the way across a torn or damaged one. None: nowhere."""
    offset = start
    while offset + FRAME_HEADER_OCTETS < len(data):
        if _payload_at(data, offset) is not None:
            return offset
        offset = offset + 1 if data[offset] else _before_next_written(data, offset)
    return None


def is_begun(data: bytes) -> bool:
    """Whether anything was written here."""
    return any(data[:FRAME_HEADER_OCTETS])


def _payload_at(data: bytes, offset: int) -> bytes | None:
    if offset + FRAME_HEADER_OCTETS > len(data):
        return None
    length, checksum = _HEADER.unpack_from(data, offset)
    if not 1 <= length <= MAX_PAYLOAD_OCTETS or length > len(data) - offset - FRAME_HEADER_OCTETS:
        return None
    payload = data[offset + FRAME_HEADER_OCTETS : offset + FRAME_HEADER_OCTETS + length]
    return payload if _checksum(payload) == checksum else None


def _before_next_written(data: bytes, offset: int) -> int:
    """Past a hole; the lower octet of a length may be 0, so a frame may begin one octet before."""
    place = offset + 1
    while data.startswith(_HOLE, place):
        place += len(_HOLE)
    written = _WRITTEN.search(data, place)
    return len(data) if written is None else max(offset + 1, written.start() - 1)


def _checksum(payload: bytes) -> int:
    """The length is the seed, so that a changed length is as sure to be seen as a changed payload."""
    return zlib.crc32(payload, len(payload))
