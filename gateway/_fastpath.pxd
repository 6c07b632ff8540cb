"""Framing for other compiled modules; see `_fastpath.pyx`."""

cdef enum:
    LF = 10
    CR = 13
    SMALLEST_ALLOCATION = 512

cdef enum Scan:
    LINE_FOUND
    LINE_INCOMPLETE
    LINE_TOO_LONG

cdef enum Feed:
    FED
    FEED_OVER_CAPACITY
    FEED_NO_MEMORY

cdef struct Frames:
    unsigned char *memory  # NULL until the first octet
    size_t size  # of memory
    size_t capacity  # at most so many octets are held
    size_t start  # the octets held are memory[start:end]
    size_t end
    size_t scanned  # memory[start:scanned] is known to hold no LF


cdef inline size_t frames_held(const Frames *frames) noexcept nogil:
    return frames.end - frames.start


cdef void frames_clear(Frames *frames) noexcept nogil
cdef Feed frames_feed(Frames *frames, const unsigned char *octets, size_t count) noexcept nogil
cdef Scan frames_scan(Frames *frames, size_t limit, size_t *length, size_t *with_end) noexcept nogil
cdef void frames_drop(Frames *frames, size_t count) noexcept nogil
