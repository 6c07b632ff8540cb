"""The loops that the suite's chapter `table` times: the table's operations as the engine calls them, without Python.

Each returns nanoseconds of wall time for an operation.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from gateway._counters cimport count_relayed
from gateway._sessions cimport (
    Eviction, Handle, SessionTable, table_admit, table_authenticate, table_next_evicted, table_release,
    table_start_login, table_touch,
)
from gateway._shared cimport UNLIMITED, Table

cdef extern from "<time.h>" nogil:
    ctypedef int clockid_t
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    const clockid_t CLOCK_MONOTONIC
    int clock_gettime(clockid_t, timespec *)


cdef double now_ns() noexcept nogil:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1e9 + time.tv_nsec


cdef inline uint64_t following(uint64_t *random) noexcept nogil:
    """xorshift64 (Marsaglia 2003): spread is all that is asked of it."""
    random[0] ^= random[0] << 13
    random[0] ^= random[0] >> 7
    random[0] ^= random[0] << 17
    return random[0]


cdef Handle admit(Table *table, int worker, uint32_t client) noexcept nogil:
    cdef uint8_t address[16]
    cdef Handle handle
    memset(address, 0, 16)
    address[10] = address[11] = 0xFF
    memcpy(address + 12, &client, 4)
    handle.slot = 0
    table_admit(table, worker, 0, address, 1, 1, 1, &handle)
    return handle


def rounds(SessionTable sessions, int worker, long count):
    """Admit, start of login, release: three operations a round."""
    cdef Table *table = &sessions.table
    cdef Handle handle
    cdef double start = now_ns()
    cdef long _i
    with nogil:
        for _i in range(count):
            handle = admit(table, worker, worker)
            table_start_login(table, handle)
            table_release(table, handle)
    return (now_ns() - start) / (3 * count)


def logins(SessionTable sessions, int worker, long count):
    """The same with a login of one of 100 users and addresses: four operations a round."""
    cdef Table *table = &sessions.table
    cdef Handle handle
    cdef double start = now_ns()
    cdef long i
    with nogil:
        for i in range(count):
            handle = admit(table, worker, i % 100)
            table_start_login(table, handle)
            table_authenticate(table, handle, i % 100, UNLIMITED, True)
            table_release(table, handle)
    return (now_ns() - start) / (4 * count)


def churn(SessionTable sessions, int worker, long live, long count):
    """A random one of `live` sessions ends, and one from a random address is admitted: two operations a round."""
    cdef Table *table = &sessions.table
    cdef Handle *handles = <Handle *> malloc(live * sizeof(Handle))
    cdef uint64_t random = 88172645463325252 + worker
    cdef double start
    cdef long _i, i, j
    if handles == NULL:
        raise MemoryError
    with nogil:
        for i in range(live):
            handles[i] = admit(table, worker, <uint32_t> following(&random))
        start = now_ns()
        for _i in range(count):
            j = following(&random) % live
            table_release(table, handles[j])
            handles[j] = admit(table, worker, <uint32_t> following(&random))
        start = now_ns() - start
        for i in range(live):
            table_release(table, handles[i])
    free(handles)
    return start / (2 * count)


def flood(SessionTable sessions, int worker, long count):
    """Each admission evicts the oldest; the owner hears of 64 at a time and releases them: three operations a round."""
    cdef Table *table = &sessions.table
    cdef Eviction eviction
    cdef double start = now_ns()
    cdef long i
    with nogil:
        for i in range(count):
            admit(table, worker, <uint32_t> i)
            if i % 64 == 0:
                while table_next_evicted(table, worker, &eviction):
                    table_release(table, eviction.handle)
    return (now_ns() - start) / (3 * count)


def touches(SessionTable sessions, int worker, long count):
    """The relay's note of octets, in the session and in the worker's counters."""
    cdef Table *table = &sessions.table
    cdef Handle handle = admit(table, worker, 1)
    cdef double start = now_ns()
    cdef int64_t i
    with nogil:
        for i in range(count):
            table_touch(table, handle.slot, 100, 1000, i)
            count_relayed(table, worker, 0, 100, 1000)
        start = now_ns() - start
        table_release(table, handle)
    return start / count


def populate(SessionTable sessions, int worker, long count):
    """Sessions that are alive, half of them authenticated."""
    cdef Table *table = &sessions.table
    cdef Handle handle
    cdef double start = now_ns()
    cdef long i
    with nogil:
        for i in range(count):
            handle = admit(table, worker, <uint32_t> i)
            if i % 2:
                table_authenticate(table, handle, i, UNLIMITED, True)
    return (now_ns() - start) / count
