# cython: autotestdict=False
"""What all workers have done, summed when somebody asks: logins, evictions, octets, login times, restarts.

A worker that dies leaves its numbers to its successor, so that no sum ever falls.

Errors: ValueError for a worker, protocol or result out of range.
Limits: a sum is no snapshot: numbers added meanwhile may be in it or not.
"""

from typing import NamedTuple

cimport cython
from libc.stdint cimport uint64_t
from libc.string cimport memset

from gateway._shared cimport load_u64

# From the fastest login on loopback to the longest anybody waits; the last bucket is for those who waited longer.
LOGIN_SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

cdef double MAX_LOGIN_SECONDS = 1e9

cdef uint64_t[15] BOUNDS_US = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
]


class CounterTotals(NamedTuple):
    logins: tuple[tuple[int, ...], ...]
    evictions: tuple[tuple[int, ...], ...]
    relay_octets: tuple[tuple[int, int], ...]
    login_times: tuple[int, ...]
    login_seconds: float
    restarts: int


cdef void count_login_time(Table *table, uint16_t worker, uint64_t us) noexcept nogil:
    cdef Counters *counters = &table.workers[worker].counters
    cdef int bucket = 0
    while bucket < LOGIN_BUCKETS - 1 and us > BOUNDS_US[bucket]:
        bucket += 1
    add_u64(&counters.login_times[bucket], 1, RELAXED)
    add_u64(&counters.login_us, us, RELAXED)


cdef Counters sum_of(Table *table) noexcept nogil:
    """All of a Counters is numbers of 64 bits, whatever their names."""
    cdef Counters total
    cdef uint64_t *sums = <uint64_t *> &total
    cdef const uint64_t *numbers
    cdef size_t worker, i
    memset(&total, 0, sizeof(Counters))
    for worker in range(table.worker_count):
        numbers = <const uint64_t *> &table.workers[worker].counters
        for i in range(sizeof(Counters) // sizeof(uint64_t)):
            sums[i] += load_u64(&numbers[i], RELAXED)
    return total


@cython.final
cdef class SharedCounters:
    def __cinit__(self, SharedMemory memory not None):
        self.memory = memory

    def login(self, int worker, int protocol, int result):
        self.check(worker, protocol)
        if not 0 <= result < LOGIN_RESULTS:
            raise ValueError(f"result must be 0 to {LOGIN_RESULTS - 1}, not {result}")
        count_login(&self.memory.table, worker, protocol, result)

    def login_time(self, int worker, double seconds):
        self.check(worker, 0)
        if not 0 <= seconds <= MAX_LOGIN_SECONDS:
            raise ValueError(f"seconds must be 0 to {MAX_LOGIN_SECONDS}, not {seconds}")
        count_login_time(&self.memory.table, worker, <uint64_t> (seconds * 1e6))

    def relayed(self, int worker, int protocol, uint64_t octets_in, uint64_t octets_out):
        self.check(worker, protocol)
        count_relayed(&self.memory.table, worker, protocol, octets_in, octets_out)

    def restarted(self, int worker):
        self.check(worker, 0)
        add_u64(&self.memory.table.workers[worker].counters.restarts, 1, RELAXED)

    def totals(self):
        cdef Counters total = sum_of(&self.memory.table)
        protocols = range(self.memory.table.protocol_count)
        return CounterTotals(
            tuple([tuple([total.logins[i][j] for j in range(LOGIN_RESULTS)]) for i in protocols]),
            tuple([tuple([total.evictions[i][j] for j in range(1, 4)]) for i in protocols]),
            tuple([(total.relay_octets[i][0], total.relay_octets[i][1]) for i in protocols]),
            tuple([total.login_times[i] for i in range(LOGIN_BUCKETS)]),
            total.login_us / 1e6,
            total.restarts,
        )

    cdef int check(self, int worker, int protocol) except -1:
        if not 0 <= worker < self.memory.table.worker_count:
            raise ValueError(f"worker must be 0 to {self.memory.table.worker_count - 1}, not {worker}")
        if not 0 <= protocol < self.memory.table.protocol_count:
            raise ValueError(f"protocol must be 0 to {self.memory.table.protocol_count - 1}, not {protocol}")
        return 0
