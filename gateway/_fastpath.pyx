# cython: autotestdict=False
"""The compiled part of the gateway. So far: framing, which cuts a stream of octets into lines and counted runs.

A `Frames` is a C struct with plain functions over it, none of which needs the GIL; `FrameBuffer` is its thin Python
face. Octets are overwritten the moment they are taken, so that nothing here outlives its use: passwords pass through.

Errors: `FrameTooLong` when a line has no end within its limit; OverflowError when more is fed than may be held.
Limits: at most `capacity_octets` are held, in at most twice as much memory. Every octet is searched for a line end once
and moved a bounded number of times, whatever the chunking and however often a frame is asked for.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memmove

from gateway.errors import FrameTooLong

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *memory, size_t octets)


# ---- framing ----

cdef void frames_clear(Frames *frames) noexcept nogil:
    """Forget everything and give the memory back."""
    if frames.memory != NULL:
        explicit_bzero(frames.memory, frames.size)
        free(frames.memory)
    frames.memory = NULL
    frames.size = frames.start = frames.end = frames.scanned = 0


cdef void frames_settle(Frames *frames, unsigned char *memory) noexcept nogil:
    """`memory` now holds what is held, from its first octet on."""
    frames.scanned -= frames.start
    frames.end -= frames.start
    frames.start = 0
    frames.memory = memory


cdef void frames_move_down(Frames *frames) noexcept nogil:
    cdef size_t held = frames_held(frames)
    memmove(frames.memory, frames.memory + frames.start, held)
    explicit_bzero(frames.memory + held, frames.end - held)
    frames_settle(frames, frames.memory)


cdef bint frames_grow(Frames *frames, size_t size) noexcept nogil:
    """False: no memory, and nothing has changed. Not realloc(), which may leave a copy of the octets behind."""
    cdef unsigned char *old = frames.memory
    cdef unsigned char *memory = <unsigned char *> malloc(size)
    if memory == NULL:
        return False
    if old != NULL:
        memcpy(memory, old + frames.start, frames_held(frames))
        explicit_bzero(old, frames.size)
        free(old)
    frames_settle(frames, memory)
    frames.size = size
    return True


cdef bint frames_reserve(Frames *frames, size_t octets) noexcept nogil:
    """Make room for `octets` more, which the capacity allows.

    Moving down only when at least as much was taken as is held, and doubling otherwise, keeps the cost linear.
    """
    cdef size_t needed = frames_held(frames) + octets
    if octets <= frames.size - frames.end:
        return True
    if needed <= frames.size and frames.start >= frames_held(frames):
        frames_move_down(frames)
        return True
    return frames_grow(frames, max(<size_t> SMALLEST_ALLOCATION, 2 * needed))


cdef Feed frames_feed(Frames *frames, const unsigned char *octets, size_t count) noexcept nogil:
    """All of them or none."""
    if count > frames.capacity - frames_held(frames):
        return FEED_OVER_CAPACITY
    if count == 0:
        return FED
    if not frames_reserve(frames, count):
        return FEED_NO_MEMORY
    memcpy(frames.memory + frames.end, octets, count)
    frames.end += count
    return FED


cdef Scan frames_scan(Frames *frames, size_t limit, size_t *length, size_t *with_end) noexcept nogil:
    """Look for a line of at most `limit` octets, its end included. Takes nothing; asked again it starts at the LF."""
    cdef size_t held = frames_held(frames)
    cdef size_t window = min(held, limit)
    cdef size_t seen = frames.scanned - frames.start
    cdef const unsigned char *line
    cdef const unsigned char *line_end
    if seen < window:
        line = frames.memory + frames.start
        line_end = <const unsigned char *> memchr(line + seen, LF, window - seen)
        if line_end != NULL:
            length[0] = line_end - line
            frames.scanned = frames.start + length[0]
            with_end[0] = length[0] + 1
            if length[0] > 0 and line[length[0] - 1] == CR:
                length[0] -= 1
            return LINE_FOUND
        frames.scanned = frames.start + window
    return LINE_INCOMPLETE if held < limit else LINE_TOO_LONG


cdef void frames_drop(Frames *frames, size_t count) noexcept nogil:
    """The first `count` octets, which must be held, have been used."""
    if count == 0:
        return
    explicit_bzero(frames.memory + frames.start, count)
    frames.start += count
    frames.scanned = max(frames.scanned, frames.start)
    if frames.start == frames.end:
        frames.start = frames.end = frames.scanned = 0


@cython.final
cdef class FrameBuffer:
    cdef Frames frames

    def __cinit__(self, Py_ssize_t capacity_octets):
        if not 0 < capacity_octets <= 1 << 30:
            raise ValueError(f"capacity_octets must be 1 to {1 << 30}, not {capacity_octets}")
        self.frames.memory = NULL
        self.frames.capacity = capacity_octets
        frames_clear(&self.frames)

    def __dealloc__(self):
        frames_clear(&self.frames)

    @property
    def capacity_octets(self):
        return self.frames.capacity

    @property
    def pending(self):
        return frames_held(&self.frames)

    def feed(self, data):
        cdef Py_buffer view
        cdef Feed outcome
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            outcome = frames_feed(&self.frames, <const unsigned char *> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        if outcome == FEED_OVER_CAPACITY:
            raise OverflowError(f"more than {self.frames.capacity} octets")
        if outcome == FEED_NO_MEMORY:
            raise MemoryError

    def has_line(self, Py_ssize_t limit_octets):
        cdef size_t length = 0
        cdef size_t with_end = 0
        return self.scan(limit_octets, &length, &with_end) != LINE_INCOMPLETE

    def take_line(self, Py_ssize_t limit_octets):
        cdef size_t length = 0
        cdef size_t with_end = 0
        cdef Scan outcome = self.scan(limit_octets, &length, &with_end)
        if outcome == LINE_TOO_LONG:
            raise FrameTooLong(limit_octets)
        if outcome == LINE_INCOMPLETE:
            return None
        return self.take(length, with_end)

    def take_octets(self, Py_ssize_t count):
        if not 0 <= count <= <Py_ssize_t> self.frames.capacity:
            raise ValueError(f"count must be 0 to {self.frames.capacity}, not {count}")
        if <size_t> count > frames_held(&self.frames):
            return None
        return self.take(count, count)

    def take_all(self):
        cdef size_t held = frames_held(&self.frames)
        return self.take(held, held)

    def clear(self):
        frames_clear(&self.frames)

    cdef Scan scan(self, Py_ssize_t limit_octets, size_t *length, size_t *with_end) except *:
        if limit_octets < 1:
            raise ValueError("limit_octets must be at least 1")
        return frames_scan(&self.frames, limit_octets, length, with_end)

    cdef bytes take(self, size_t length, size_t with_end):
        cdef bytes octets = b""
        if length > 0:
            octets = PyBytes_FromStringAndSize(<char *> self.frames.memory + self.frames.start, length)
        frames_drop(&self.frames, with_end)
        return octets
