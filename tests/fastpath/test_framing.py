"""The compiled framing against its oracle, and what an oracle cannot show: cost, limits, memory."""

import itertools
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fastpath import FrameBuffer
from gateway.errors import FrameTooLong
from tests.fastpath.oracle import FrameOracle

CAPACITY_OCTETS = 2000

# Line ends and sizes around the allocation's steps matter; what the other octets are does not.
OCTETS = st.one_of(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"a", b"\xff"]), max_size=12).map(b"".join),
    st.builds(lambda count, tail: b"x" * count + tail, st.integers(0, 1100), st.sampled_from([b"", b"\n", b"\r\n"])),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), OCTETS),
        st.tuples(st.sampled_from(["take_line", "has_line"]), st.one_of(st.integers(1, 20), st.integers(500, 2100))),
        st.tuples(st.just("take_octets"), st.one_of(st.integers(0, 20), st.integers(0, CAPACITY_OCTETS + 1))),
        st.tuples(st.just("take_all")),
        st.tuples(st.just("clear")),
    ),
    max_size=60,
)


def outcome(buffer: FrameBuffer | FrameOracle, name: str, *arguments: object) -> object:
    try:
        return getattr(buffer, name)(*arguments)
    except (FrameTooLong, OverflowError, ValueError) as error:
        return type(error)


@given(STEPS)
def test_any_steps_give_what_the_oracle_gives(steps: list[tuple[str, object]]) -> None:
    buffer, oracle = FrameBuffer(CAPACITY_OCTETS), FrameOracle(CAPACITY_OCTETS)
    for step in steps:
        assert outcome(buffer, *step) == outcome(oracle, *step), step
        assert buffer.pending == oracle.pending
    assert buffer.take_all() == oracle.take_all()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10), st.integers(1, 80))
def test_any_chunking_gives_the_same_lines(stream: bytes, cuts: list[int], limit_octets: int) -> None:
    def lines(chunks: list[bytes]) -> list[object]:
        buffer, found = FrameBuffer(CAPACITY_OCTETS), []
        for chunk in chunks:
            buffer.feed(chunk)
            while (line := outcome(buffer, "take_line", limit_octets)) is not None:
                found.append(line)
                if line is FrameTooLong:
                    return found
        return [*found, buffer.take_all()]

    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert lines(pieces) == lines([stream])
    assert lines([stream[at : at + 1] for at in range(len(stream))]) == lines([stream])


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_line_of_exactly_the_limit_is_taken_and_one_octet_more_is_too_long(line_end: bytes) -> None:
    limit_octets = 255
    line = b"a" * (limit_octets - len(line_end))
    buffer = FrameBuffer(1024)
    buffer.feed(line + line_end)
    assert buffer.take_line(limit_octets) == line
    buffer.feed(b"a" + line + line_end)
    with pytest.raises(FrameTooLong) as raised:
        buffer.take_line(limit_octets)
    assert raised.value.limit_octets == limit_octets
    assert buffer.pending == limit_octets + 1


def test_line_without_end_is_too_long_as_soon_as_the_limit_is_reached() -> None:
    buffer = FrameBuffer(1024)
    for _ in range(9):
        buffer.feed(b"a")
        assert buffer.take_line(10) is None
    buffer.feed(b"a")
    with pytest.raises(FrameTooLong):
        buffer.take_line(10)


def test_feed_over_the_capacity_changes_nothing() -> None:
    buffer = FrameBuffer(10)
    buffer.feed(b"12345678")
    with pytest.raises(OverflowError):
        buffer.feed(b"abc")
    buffer.feed(b"90")
    assert buffer.take_all() == b"1234567890"


@pytest.mark.parametrize(
    "data", [b"ab\n", bytearray(b"ab\n"), memoryview(b"xab\n")[1:]], ids=["bytes", "array", "view"]
)
def test_feed_takes_any_run_of_octets(data: bytes | bytearray | memoryview) -> None:
    buffer = FrameBuffer(10)
    buffer.feed(data)
    assert buffer.take_line(10) == b"ab"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: FrameBuffer(0),
        lambda: FrameBuffer(-1),
        lambda: FrameBuffer((1 << 30) + 1),
        lambda: FrameBuffer(10).take_line(0),
        lambda: FrameBuffer(10).has_line(0),
        lambda: FrameBuffer(10).take_octets(-1),
        lambda: FrameBuffer(10).take_octets(11),
    ],
)
def test_sizes_that_make_no_sense_are_refused(mistake: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        mistake()


@pytest.mark.parametrize("wrong", ["text", 5, None, memoryview(b"abcdef")[::2]])
def test_what_is_not_a_run_of_octets_is_refused(wrong: object) -> None:
    buffer = FrameBuffer(10)
    with pytest.raises((TypeError, BufferError)):
        buffer.feed(wrong)  # type: ignore[arg-type]
    assert buffer.pending == 0


def test_clear_leaves_a_buffer_that_works() -> None:
    buffer = FrameBuffer(100)
    buffer.feed(b"secret with no line end")
    assert buffer.take_line(50) is None
    buffer.clear()
    assert buffer.pending == 0
    buffer.feed(b"a\n")
    assert buffer.take_line(50) == b"a"


def cpu_s(octets: int) -> float:
    """Feed one octet at a time and ask for the line after each, which a rescanning buffer makes quadratic."""
    buffer = FrameBuffer(octets)
    started = time.thread_time()
    for _ in range(octets - 1):
        buffer.feed(b"a")
        buffer.take_line(octets)
    return time.thread_time() - started


def test_cost_of_a_dribbled_line_is_linear() -> None:
    assert min(cpu_s(80_000) for _ in range(3)) < 3 * min(cpu_s(40_000) for _ in range(3))


def test_cost_of_a_full_buffer_is_linear() -> None:
    """One octet in, one octet out, at the capacity: each move down must be paid for by what was taken."""
    buffer = FrameBuffer(1 << 20)
    buffer.feed(b"a" * (1 << 20))
    started = time.thread_time()
    for _ in range(50_000):
        buffer.take_octets(1)
        buffer.feed(b"b")
    assert time.thread_time() - started < 1.0  # 50,000 moves of a MiB would take seconds
    assert buffer.pending == 1 << 20
