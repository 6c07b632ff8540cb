"""Frames: what is torn, cut off or changed at any octet is seen, and costs no other record."""

import pytest

from gateway.accounting.frames import MAX_PAYLOAD_OCTETS
from gateway.accounting.frames import framed
from gateway.accounting.frames import next_whole
from gateway.accounting.frames import whole_frames

PAYLOADS = [b"first", b"\0\0\1", b"x" * 256, b"last\xff"]  # the length of the third has a lower octet of 0
FRAMES = [framed(payload) for payload in PAYLOADS]
DATA = b"".join(FRAMES)
STARTS = [sum(map(len, FRAMES[:index])) for index in range(len(FRAMES))]


def payloads_of(data: bytes) -> list[bytes]:
    return [payload for _, payload in whole_frames(data)[0]]


def all_whole(data: bytes) -> list[bytes]:
    """As a reader goes who passes over what is not whole."""
    found: list[bytes] = []
    offset: int | None = 0
    while offset is not None:
        frames, octets = whole_frames(data[offset:])
        found += [payload for _, payload in frames]
        offset = next_whole(data, offset + octets)
    return found


def frame_at(offset: int) -> int:
    return max(index for index, start in enumerate(STARTS) if start <= offset)


def test_frames_come_back_with_their_places() -> None:
    assert whole_frames(DATA) == (list(zip(STARTS, PAYLOADS, strict=True)), len(DATA))


def test_what_follows_is_zeros_then_the_end_is_where_they_begin() -> None:
    assert whole_frames(DATA + bytes(100)) == whole_frames(DATA)
    assert next_whole(DATA + bytes(100), len(DATA)) is None


def test_cut_off_at_any_octet_then_all_whole_ones_before_it_are_found() -> None:
    for length in range(len(DATA)):
        whole = PAYLOADS[: frame_at(length)]
        assert payloads_of(DATA[:length]) == whole, length
        assert payloads_of(DATA[:length] + bytes(300)) == whole, length


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_one_octet_changed_anywhere_then_only_its_record_is_lost(change: int) -> None:
    for offset in range(len(DATA)):
        damaged = bytearray(DATA)
        damaged[offset] ^= change
        lost = frame_at(offset)
        assert payloads_of(bytes(damaged)) == PAYLOADS[:lost], offset
        assert all_whole(bytes(damaged)) == PAYLOADS[:lost] + PAYLOADS[lost + 1 :], offset


@pytest.mark.parametrize("hole", [1, 7, 8, 300, 5000])
def test_hole_of_zeros_then_the_next_whole_one_behind_it_is_found(hole: int) -> None:
    for frame in FRAMES:
        assert next_whole(bytes(hole) + frame, 0) == hole


@pytest.mark.parametrize("payload", [b"", b"x" * (MAX_PAYLOAD_OCTETS + 1)])
def test_payload_that_no_frame_can_hold_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="a payload of"):
        framed(payload)


def test_length_that_the_largest_frame_exceeds_is_no_frame() -> None:
    whole = framed(b"x" * MAX_PAYLOAD_OCTETS)
    assert payloads_of(whole) == [b"x" * MAX_PAYLOAD_OCTETS]
    longer = (MAX_PAYLOAD_OCTETS + 1).to_bytes(4, "little") + whole[4:] + b"x"
    assert payloads_of(longer) == []
