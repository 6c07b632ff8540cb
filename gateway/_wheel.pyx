# cython: autotestdict=False
"""Time limits by the ten thousand: a wheel of slots, a tick each, with intrusive lists.

Setting and cancelling are O(1). A timer that is put off stays in its slot and is looked at once more when the wheel
comes by, so that a session whose limit moves with every octet pays nothing for it.
"""

from libc.string cimport memset


cdef void wheel_start(Wheel *wheel, uint32_t now) noexcept nogil:
    memset(wheel, 0, sizeof(Wheel))
    wheel.now = now


cdef void link(Wheel *wheel, Timer *timer) noexcept nogil:
    """Into the slot of its due time, but neither the present slot nor more than a turn ahead."""
    cdef int ahead = <int> (timer.due - wheel.now)
    cdef Timer **slot
    timer.looked_at = wheel.now + <uint32_t> max(1, min(ahead, WHEEL_SLOTS - 1))
    slot = &wheel.slots[timer.looked_at % WHEEL_SLOTS]
    timer.next = slot[0]
    timer.back = slot
    if timer.next != NULL:
        timer.next.back = &timer.next
    slot[0] = timer


cdef void wheel_set(Wheel *wheel, Timer *timer, uint32_t due) noexcept nogil:
    timer.due = due
    if timer.back != NULL:
        if <int> (due - timer.looked_at) >= 0:
            return
        wheel_cancel(timer)
    link(wheel, timer)


cdef void wheel_cancel(Timer *timer) noexcept nogil:
    if timer.back == NULL:
        return
    timer.back[0] = timer.next
    if timer.next != NULL:
        timer.next.back = timer.back
    timer.back = NULL


cdef Timer *wheel_next(Wheel *wheel, uint32_t now) noexcept nogil:
    """The next timer that is due at `now`, off the wheel; NULL: no more, and the wheel has come to `now`."""
    cdef Timer *timer
    while True:
        timer = wheel.slots[wheel.now % WHEEL_SLOTS]
        while timer != NULL:
            wheel_cancel(timer)
            if <int> (now - timer.due) >= 0:
                return timer
            link(wheel, timer)
            timer = wheel.slots[wheel.now % WHEEL_SLOTS]
        if wheel.now == now:
            return NULL
        wheel.now += 1


cdef class Timers:
    """For tests: numbered timers on a wheel of their own."""

    cdef Wheel wheel
    cdef Timer timers[64]

    def __cinit__(self, uint32_t now):
        memset(&self.timers[0], 0, sizeof(self.timers))
        wheel_start(&self.wheel, now)

    def set(self, unsigned int number, uint32_t due):
        wheel_set(&self.wheel, &self.timers[number % 64], due)

    def cancel(self, unsigned int number):
        wheel_cancel(&self.timers[number % 64])

    def advance(self, uint32_t now):
        """The numbers of those that are due, in the order in which the wheel finds them."""
        cdef Timer *timer
        due = []
        while True:
            timer = wheel_next(&self.wheel, now)
            if timer == NULL:
                return due
            due.append(timer - &self.timers[0])
