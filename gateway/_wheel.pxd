"""The timer wheel; see `_wheel.pyx`."""

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    WHEEL_SLOTS = 1024  # a power of two: 65 s; what is due later is looked at again on the way
    TICK_SHIFT = 6  # a tick is 64 ms

cdef struct Timer:
    Timer *next
    Timer **back  # what points at this one; NULL: not on the wheel
    uint32_t due
    uint32_t looked_at  # the tick at which the wheel comes by

cdef struct Wheel:
    uint32_t now
    Timer *slots[WHEEL_SLOTS]


cdef inline uint32_t tick_of(uint64_t ms) noexcept nogil:
    return <uint32_t> (ms >> TICK_SHIFT)


cdef inline uint32_t ticks_in(double seconds) noexcept nogil:
    """So many that at least this time passes, whenever within the present tick they are counted from."""
    cdef double ticks = seconds * 1000 / (1 << TICK_SHIFT) + 2
    return 2 if ticks < 2 else (1 << 30 if ticks > 1 << 30 else <uint32_t> ticks)


cdef void wheel_start(Wheel *wheel, uint32_t now) noexcept nogil
cdef void wheel_set(Wheel *wheel, Timer *timer, uint32_t due) noexcept nogil
cdef void wheel_cancel(Timer *timer) noexcept nogil
cdef Timer *wheel_next(Wheel *wheel, uint32_t now) noexcept nogil
