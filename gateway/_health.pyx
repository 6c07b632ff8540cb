# cython: autotestdict=False
"""How the AAA servers are doing, in the eyes of all workers together: who has failed, since when, until when.

A record belongs to a group and a label and is found again by them after a reload. What to do about a failed server
(reactivation, the next in the group) is decided by the caller; here it is only remembered, so that one worker's
time-outs spare the others theirs.

Errors: ValueError for an unknown index or answer; OverflowError when there are too many servers.
Limits: MAX_SERVERS; names are shown cut at 64 octets, and told apart by all of them.
"""

from enum import IntEnum
from typing import NamedTuple

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from gateway._sessions cimport cut_utf8, table_hash_name, table_lock, table_unlock
from gateway._shared cimport MAX_SERVERS, Server, SharedMemory, Table

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *, size_t)

cdef enum:
    NAME_OCTETS = 64
    NOT_FOUND = -1

Answer = IntEnum("Answer", ["ACCEPT", "REJECT", "CHALLENGE", "ERROR"], start=0, module=__name__)


class ServerHealth(NamedTuple):
    number: int
    group: str
    label: str
    failed: bool
    attempts: int
    since_ms: int
    until_ms: int
    requests: int
    accepts: int
    rejects: int
    challenges: int
    errors: int
    timeouts: int
    rtt_us: int
    rtt_max_us: int


cdef int find_server(Table *table, uint64_t key) noexcept nogil:
    """Key 0 finds an unused record."""
    cdef int index
    for index in range(MAX_SERVERS):
        if table.servers[index].key == key:
            return index
    return NOT_FOUND


cdef int keep_name(char *place, bytes name) except -1:
    memcpy(place, <const char *> name, cut_utf8(name, len(name), NAME_OCTETS))
    return 0


cdef int name_server(Server *server, uint64_t key, str group, str label) except -1:
    memset(server, 0, sizeof(Server))
    keep_name(server.group, group.encode("utf-8", "replace"))
    keep_name(server.label, label.encode("utf-8", "replace"))
    server.key = key
    return 0


cdef str name_of(const char *place):
    return place[:strnlen(place, NAME_OCTETS)].decode("utf-8", "replace")


@cython.final
cdef class HealthRecords:
    cdef SharedMemory memory

    def __cinit__(self, SharedMemory memory not None):
        self.memory = memory

    def register(self, str group, str label):
        cdef bytes both = f"{group}\0{label}".encode("utf-8", "replace")
        cdef Table *table = &self.memory.table
        cdef uint64_t key = table_hash_name(table, both, len(both)) | 1  # never 0
        cdef Server fresh
        cdef int index
        name_server(&fresh, key, group, label)
        table_lock(table)
        index = find_server(table, key)
        if index == NOT_FOUND:
            index = find_server(table, 0)
            if index != NOT_FOUND:
                table.servers[index] = fresh
        table_unlock(table)
        if index == NOT_FOUND:
            raise OverflowError(f"more than {MAX_SERVERS} AAA servers")
        return index

    def forget(self, int index):
        cdef Server *server = self.server(index)
        table_lock(&self.memory.table)
        memset(server, 0, sizeof(Server))
        table_unlock(&self.memory.table)

    def asked(self, int index):
        cdef Server *server = self.server(index)
        table_lock(&self.memory.table)
        server.requests += 1
        table_unlock(&self.memory.table)

    def answered(self, int index, int answer, uint64_t rtt_us):
        cdef Server *server = self.server(index)
        if not 0 <= answer < 4:
            raise ValueError(f"not an answer: {answer}")
        table_lock(&self.memory.table)
        server.answers[answer] += 1
        server.rtt_us += rtt_us
        server.rtt_max_us = max(server.rtt_max_us, rtt_us)
        revive(server)
        table_unlock(&self.memory.table)

    def timed_out(self, int index, uint32_t max_attempts, int64_t now_ms, int64_t until_ms):
        cdef Server *server = self.server(index)
        cdef bint fails_now
        table_lock(&self.memory.table)
        server.timeouts += 1
        server.attempts += 1
        fails_now = server.attempts >= max_attempts and not server.failed
        if server.attempts >= max_attempts:
            fail(server, now_ms, until_ms)
        table_unlock(&self.memory.table)
        return fails_now

    def fail(self, int index, int64_t now_ms, int64_t until_ms):
        cdef Server *server = self.server(index)
        table_lock(&self.memory.table)
        fail(server, now_ms, until_ms)
        table_unlock(&self.memory.table)

    def revive(self, int index):
        cdef Server *server = self.server(index)
        table_lock(&self.memory.table)
        revive(server)
        table_unlock(&self.memory.table)

    def health(self, int index):
        cdef Server copy
        cdef Server *server = self.server(index)
        table_lock(&self.memory.table)
        copy = server[0]
        table_unlock(&self.memory.table)
        if copy.key == 0:
            return None
        return ServerHealth(
            index, name_of(copy.group), name_of(copy.label), bool(copy.failed), copy.attempts, copy.since_ms,
            copy.until_ms, copy.requests, *[copy.answers[i] for i in range(4)], copy.timeouts, copy.rtt_us,
            copy.rtt_max_us,
        )

    def all(self):
        return [health for index in range(MAX_SERVERS) if (health := self.health(index)) is not None]

    cdef Server *server(self, int index) except NULL:
        if not 0 <= index < MAX_SERVERS:
            raise ValueError(f"no AAA server {index}")
        return &self.memory.table.servers[index]


cdef void fail(Server *server, int64_t now_ms, int64_t until_ms) noexcept nogil:
    """A server that has failed before has failed since then."""
    if not server.failed:
        server.since_ms = now_ms
    server.until_ms = until_ms
    server.failed = True


cdef void revive(Server *server) noexcept nogil:
    server.failed = False
    server.attempts = 0
