# cython: autotestdict=False
"""The memory that master and workers share: one mapping of a memfd, and an eventfd for each worker.

The master makes it before it forks. A later master, of perhaps another version, takes it over by its descriptors, if
the layout is still the same. What lies in it is declared in `_shared.pxd`; what is done with it, in `_sessions.pyx`,
`_counters.pyx` and `_health.pyx`.

Errors: ValueError for a size out of range and for memory of another layout; OSError, MemoryError.
Limits: MAX_SLOTS, MAX_WORKERS, MAX_PROTOCOLS. Pages are used when slots on them are used for the first time: about 660
octets a slot. A core dump does not show it.
"""

import fcntl
import os

from libc.string cimport memcmp, memcpy, memset
from posix.mman cimport MADV_DONTDUMP, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, madvise, mmap, munmap
from posix.unistd cimport close

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutexattr_t:
        pass
    const int PTHREAD_PROCESS_SHARED
    const int PTHREAD_MUTEX_ROBUST
    int pthread_mutexattr_init(pthread_mutexattr_t *)
    int pthread_mutexattr_setpshared(pthread_mutexattr_t *, int)
    int pthread_mutexattr_setrobust(pthread_mutexattr_t *, int)
    int pthread_mutexattr_destroy(pthread_mutexattr_t *)
    int pthread_mutex_init(pthread_mutex_t *, const pthread_mutexattr_t *)

cdef enum:
    PAGE_OCTETS = 4096

cdef uint64_t MAGIC = 0x5345_5353_494F_4E53ULL  # "SESSIONS"


# ---- layout ----

cdef inline uint64_t place(uint64_t *end, uint64_t octets) noexcept nogil:
    """Sections begin at pages."""
    cdef uint64_t start = end[0]
    end[0] += (octets + PAGE_OCTETS - 1) // PAGE_OCTETS * PAGE_OCTETS
    return start


cdef Geometry geometry_for(uint32_t slots, uint32_t workers, uint32_t protocols) noexcept nogil:
    cdef Geometry geometry
    memset(&geometry, 0, sizeof(geometry))
    geometry.magic = MAGIC
    geometry.layout = LAYOUT
    geometry.slots = slots
    geometry.workers = workers
    geometry.protocols = protocols
    geometry.buckets = 1
    while geometry.buckets < 2 * slots:
        geometry.buckets *= 2
    geometry.octets = [
        sizeof(Header), sizeof(ProtocolArea), sizeof(WorkerArea), sizeof(Server),
        sizeof(Slot), sizeof(Details), sizeof(Tally),
    ]
    place(&geometry.length, sizeof(Header))
    geometry.protocols_at = place(&geometry.length, protocols * sizeof(ProtocolArea))
    geometry.workers_at = place(&geometry.length, workers * sizeof(WorkerArea))
    geometry.servers_at = place(&geometry.length, MAX_SERVERS * sizeof(Server))
    geometry.slots_at = place(&geometry.length, (<uint64_t> slots + 1) * sizeof(Slot))
    geometry.details_at = place(&geometry.length, (<uint64_t> slots + 1) * sizeof(Details))
    geometry.tallies_at = place(&geometry.length, (2 * <uint64_t> slots + 1) * sizeof(Tally))
    geometry.buckets_at = place(&geometry.length, geometry.buckets * sizeof(uint32_t))
    geometry.order_at = place(&geometry.length, slots * sizeof(Aged))
    return geometry


cdef void *map_octets(int fd, size_t octets) except NULL:
    cdef void *memory = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    if memory == MAP_FAILED:
        raise MemoryError(f"cannot map {octets} octets of shared memory")
    return memory


cdef int make_mutex(pthread_mutex_t *mutex) except -1:
    cdef pthread_mutexattr_t attributes
    cdef int error = pthread_mutexattr_init(&attributes)
    if error == 0:
        error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED)
    if error == 0:
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST)
    if error == 0:
        error = pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
    if error:
        raise OSError(error, os.strerror(error))
    return 0


cdef int format_memory(int fd, Geometry geometry) except -1:
    """The rest is right as zeros."""
    cdef char *memory = <char *> map_octets(fd, geometry.length)
    cdef Header *header = <Header *> memory
    cdef ProtocolArea *protocols = <ProtocolArea *> (memory + geometry.protocols_at)
    cdef bytes keys = os.urandom(sizeof(header.keys))
    cdef uint32_t i
    try:
        memcpy(header.keys, <const char *> keys, sizeof(header.keys))
        make_mutex(&header.mutex)
        for i in range(geometry.protocols):
            protocols[i].outstanding_cap = protocols[i].address_cap = UNLIMITED
        header.geometry = geometry
    finally:
        munmap(memory, geometry.length)
    return 0


cdef Geometry read_geometry(int fd) except *:
    """Nothing is believed before it is known that another version of this file would have laid it out the same."""
    cdef Geometry found, expected
    cdef bytes start = os.pread(fd, sizeof(Geometry), 0)
    if <size_t> len(start) != sizeof(Geometry):
        raise ValueError("not a session table: too short")
    memcpy(&found, <const char *> start, sizeof(Geometry))
    if found.magic != MAGIC:
        raise ValueError("not a session table")
    if found.layout != LAYOUT:
        raise ValueError(f"session table of layout {found.layout}, this version has layout {LAYOUT}")
    check_size(found.slots, found.workers, found.protocols)
    expected = geometry_for(found.slots, found.workers, found.protocols)
    if memcmp(&found, &expected, sizeof(Geometry)) != 0 or <uint64_t> os.fstat(fd).st_size < expected.length:
        raise ValueError("session table of another geometry")
    return found


cdef void point_into(Table *table, char *memory, Geometry geometry) noexcept nogil:
    madvise(memory, geometry.length, MADV_DONTDUMP)
    table.header = <Header *> memory
    table.protocols = <ProtocolArea *> (memory + geometry.protocols_at)
    table.workers = <WorkerArea *> (memory + geometry.workers_at)
    table.servers = <Server *> (memory + geometry.servers_at)
    table.slots = <Slot *> (memory + geometry.slots_at)
    table.details = <Details *> (memory + geometry.details_at)
    table.tallies = <Tally *> (memory + geometry.tallies_at)
    table.buckets = <uint32_t *> (memory + geometry.buckets_at)
    table.order = <Aged *> (memory + geometry.order_at)
    table.slot_count = geometry.slots
    table.reserve = geometry.slots // 64
    table.bucket_mask = geometry.buckets - 1
    table.worker_count = geometry.workers
    table.protocol_count = geometry.protocols


cdef int check_size(slots, workers, protocols) except -1:
    for name, number, most in (
        ("slots", slots, MAX_SLOTS), ("workers", workers, MAX_WORKERS), ("protocols", protocols, MAX_PROTOCOLS),
    ):
        if not 1 <= number <= most:
            raise ValueError(f"{name} must be 1 to {most}, not {number}")
    return 0


# ---- for Python ----

cdef class SharedMemory:
    def __cinit__(self, int fd, eventfds):
        cdef Geometry geometry
        cdef uint32_t i
        self.fd = -1
        geometry = read_geometry(fd)
        self.eventfds = tuple(eventfds)
        if <size_t> len(self.eventfds) != geometry.workers:
            raise ValueError(f"{geometry.workers} eventfds are needed, not {len(self.eventfds)}")
        for i in range(geometry.workers):
            self.table.eventfds[i] = self.eventfds[i]
        point_into(&self.table, <char *> map_octets(fd, geometry.length), geometry)
        self.fd = fd

    def __dealloc__(self):
        cdef int i
        if self.fd < 0:
            return
        munmap(self.table.header, self.table.header.geometry.length)
        close(self.fd)
        for i in range(self.table.worker_count):
            close(self.table.eventfds[i])

    @classmethod
    def create(cls, slots, workers, protocols=3):
        check_size(slots, workers, protocols)
        cdef Geometry geometry = geometry_for(slots, workers, protocols)
        fds = []
        try:
            fds.append(os.memfd_create("gateway-sessions", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            os.ftruncate(fds[0], geometry.length)
            fcntl.fcntl(fds[0], fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            format_memory(fds[0], geometry)
            fds.extend([os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(workers)])
            return cls(fds[0], fds[1:])
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise

    @property
    def slots(self):
        return self.table.slot_count

    @property
    def workers(self):
        return self.table.worker_count

    @property
    def protocols(self):
        return self.table.protocol_count
