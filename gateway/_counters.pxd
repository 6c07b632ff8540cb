"""Counting, for the engine: numbers that only grow, of each worker apart, so that nobody waits for another."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from gateway._shared cimport RELAXED, Counters, SharedMemory, Table, add_u64

cdef enum:
    LOGIN_RESULTS = 16  # success, and the refusals
    LOGIN_BUCKETS = 16  # of the histogram of login times

cdef void count_login_time(Table *table, uint16_t worker, uint64_t us) noexcept nogil


cdef inline void count_login(Table *table, uint16_t worker, uint8_t protocol, uint8_t result) noexcept nogil:
    add_u64(&table.workers[worker].counters.logins[protocol][result], 1, RELAXED)


cdef inline void count_relayed(
    Table *table, uint16_t worker, uint8_t protocol, uint64_t octets_in, uint64_t octets_out
) noexcept nogil:
    add_u64(&table.workers[worker].counters.relay_octets[protocol][0], octets_in, RELAXED)
    add_u64(&table.workers[worker].counters.relay_octets[protocol][1], octets_out, RELAXED)


cdef class SharedCounters:
    cdef SharedMemory memory
    cdef int check(self, int worker, int protocol) except -1
