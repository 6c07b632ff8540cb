"""The journal as its writer and its readers see it: nothing is lost but what is torn, and that costs nothing else."""

import os
from pathlib import Path

import pytest

from gateway.accounting.cursor import Cursor
from gateway.accounting.frames import FRAME_HEADER_OCTETS
from gateway.accounting.frames import MAX_PAYLOAD_OCTETS
from gateway.accounting.frames import framed
from gateway.accounting.journal import JournalFull
from gateway.accounting.journal import JournalWriter
from gateway.accounting.segments import DATA_START
from gateway.accounting.segments import segment_numbers
from gateway.accounting.segments import segment_path
from gateway.accounting.segments import try_to_lock
from tests.support.journals import SHORT_SEGMENT
from tests.support.journals import abandon
from tests.support.journals import fill
from tests.support.journals import journal
from tests.support.journals import payloads

THREE = [b"one" * 5, b"two" * 9, b"three" * 3]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "writer"


def first_segment(directory: Path, written: list[bytes]) -> bytes:
    writer = journal(directory, segments=1)
    for payload in written:
        writer.append(payload)
    abandon(writer)
    return segment_path(directory, 1).read_bytes()


def test_records_come_back_in_order_while_the_writer_lives(directory: Path) -> None:
    writer = journal(directory)
    cursor = Cursor(directory)
    assert cursor.read(complete=False) == []
    for payload in THREE:
        writer.append(payload)
        assert [entry.payload for entry in cursor.read(complete=False)] == [payload]
    assert cursor.read(complete=False) == []
    writer.close()
    cursor.close()


def test_records_go_on_in_the_next_segment_when_one_is_full(directory: Path) -> None:
    writer = journal(directory, segments=3)
    written = [bytes([number]) * 3000 for number in range(50)]
    for payload in written:
        writer.append(payload)
    assert writer.segment == 3
    assert payloads(directory, complete=False) == written
    writer.close()


def test_no_segment_is_left_then_full_and_what_is_written_stays(directory: Path) -> None:
    writer = journal(directory, segments=1)
    count = fill(writer, b"x" * 1000)
    assert count == (SHORT_SEGMENT - DATA_START) // 1008
    writer.extend()
    writer.append(b"more")
    assert payloads(directory) == [*([b"x" * 1000] * count), b"more"]
    writer.close()


@pytest.mark.parametrize("size", [10, 700, MAX_PAYLOAD_OCTETS])
def test_room_that_is_to_be_kept_is_there_for_records_of_any_size(directory: Path, size: int) -> None:
    writer = journal(directory, segments=3)
    kept = 40_000
    assert fill(writer, b"x" * 500, kept) > 200
    with pytest.raises(JournalFull, match="kept for the ends"):
        writer.append(b"x" * 500, kept)
    assert fill(writer, b"y" * size) * (size + FRAME_HEADER_OCTETS) >= kept
    writer.close()


def test_directory_is_locked_from_the_first_segment_to_the_end(directory: Path) -> None:
    writer = journal(directory)
    assert try_to_lock(directory) is None
    writer.close()
    lock = try_to_lock(directory)
    assert lock is not None
    os.close(lock)


def test_files_are_private_and_allocated(directory: Path) -> None:
    writer = journal(directory)
    for number in segment_numbers(directory):
        found = segment_path(directory, number).stat()
        assert found.st_mode & 0o777 == 0o600
        assert found.st_blocks * 512 >= SHORT_SEGMENT
    assert directory.stat().st_mode & 0o777 == 0o700
    writer.close()


def test_descriptors_are_closed_once_full_segments_are_synced(directory: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    writer = journal(directory, segments=4)
    for _ in range(200):
        writer.append(b"x" * 1000)
    assert writer.is_dirty
    writer.take_unsynced().sync()
    assert not writer.is_dirty
    assert len(set(os.listdir("/proc/self/fd")) - before) == 2  # the lock and the segment that is written
    writer.close()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("complete", [False, True])
def test_truncated_at_every_octet_then_all_whole_records_before_are_found(directory: Path, *, complete: bool) -> None:
    whole = first_segment(directory, THREE)
    end = DATA_START
    ends = [end := end + len(framed(payload)) for payload in THREE]
    for length in range(ends[-1] + 2):
        segment_path(directory, 1).write_bytes(whole[:length])
        assert payloads(directory, complete=complete) == THREE[: sum(end <= length for end in ends)]


def test_changed_at_every_octet_then_all_others_are_found_once_the_writer_is_dead(directory: Path) -> None:
    whole = first_segment(directory, THREE)
    end = DATA_START
    ends = [end := end + len(framed(payload)) for payload in THREE]
    for offset in range(ends[-1]):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x55
        segment_path(directory, 1).write_bytes(damaged)
        hit = sum(end <= offset for end in ends)
        rest = THREE if offset < DATA_START else THREE[:hit] + THREE[hit + 1 :]
        assert payloads(directory) == rest, offset


def test_record_is_half_there_then_the_cursor_waits_for_the_rest(directory: Path) -> None:
    whole = first_segment(directory, THREE)
    path, cursor = segment_path(directory, 1), Cursor(directory)
    half = DATA_START + len(framed(THREE[0])) + 5
    path.write_bytes(whole[:half] + bytes(len(whole) - half))
    assert [entry.payload for entry in cursor.read(complete=False)] == THREE[:1]
    assert cursor.read(complete=False) == []
    path.write_bytes(whole)
    assert [entry.payload for entry in cursor.read(complete=False)] == THREE[1:]
    assert cursor.damaged_octets == 0
    cursor.close()


def test_damage_is_counted_and_the_next_segment_is_read_all_the_same(directory: Path) -> None:
    writer = journal(directory, segments=2)
    for number in range(12):
        writer.append(bytes([number + 1]) * 8000)
    assert writer.segment == 2
    path = segment_path(directory, 1)
    octets = bytearray(path.read_bytes())
    octets[DATA_START + 2 * 8008 : DATA_START + 3 * 8008] = bytes(8008)  # a hole, as after a power failure
    octets[-500:] = b"\xff" * 500
    path.write_bytes(octets)
    found = [payload[0] for payload in payloads(directory, complete=False)]
    assert found == [1, 2, *range(4, 13)]
    writer.close()


class TestTakeOver:
    """The accountant goes on writing where a worker was killed."""

    def test_torn_record_then_it_is_overwritten_and_nothing_of_it_stays(self, directory: Path) -> None:
        first_segment(directory, THREE[:2])
        torn = framed(b"torn" * 100)
        path = segment_path(directory, 1)
        end = DATA_START + sum(len(framed(payload)) for payload in THREE[:2])
        with path.open("r+b") as file:
            file.seek(end)
            file.write(torn[:-1])
        self.write_on(directory, THREE[2])
        assert payloads(directory) == THREE
        assert not any(path.read_bytes()[end + len(framed(THREE[2])) :])

    def test_tail_segment_is_full_then_its_spare_is_used(self, directory: Path) -> None:
        writer = journal(directory, segments=2)
        written = [b"x" * 8000] * 8
        for payload in written:
            writer.append(payload)
        abandon(writer)
        self.write_on(directory, b"y" * 8000)
        assert payloads(directory) == [*written, b"y" * 8000]

    def test_nothing_was_written_yet_then_the_first_segment_is_used(self, directory: Path) -> None:
        abandon(journal(directory))
        self.write_on(directory, b"only")
        assert payloads(directory) == [b"only"]

    @staticmethod
    def write_on(directory: Path, payload: bytes) -> None:
        cursor = Cursor(directory)
        while cursor.read(complete=True):
            pass
        lock = os.open(directory, os.O_RDONLY)
        writer = JournalWriter.take_over(directory, lock, cursor.segment, cursor.offset)
        writer.append(payload)
        writer.close()
        cursor.close()
        os.close(lock)
