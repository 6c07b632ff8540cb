"""The operations of the session table, for the engine and the other compiled modules. None needs the GIL.

A worker calls those that take a `Handle` for its own sessions only, kick excepted.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from gateway._shared cimport (
    RELAXED, Details, SharedMemory, Table, store_i64, store_u64,
)

cdef enum state_t:
    FREE
    UNAUTHENTICATED
    AUTHENTICATING
    AUTHENTICATED
    EVICTED  # ended from outside; the slot is its owner's until released

cdef enum why_t:  # a session was ended from outside; whoever kicks may use numbers of his own, LOGGED_OFF to 255
    OUTSTANDING = 1
    OUTSTANDING_PER_ADDRESS
    TABLE_FULL
    LOGGED_OFF

cdef enum outcome_t:
    DONE
    GONE  # no such session (any more), or evicted meanwhile: its owner drops it
    REFUSED  # over a limit, or no slot left

cdef enum text_t:
    VPN_USER
    MAIL_USER
    SERVER
    GROUP_POLICY
    TLS_VERSION
    CIPHER
    ACCOUNTING_ID
    TEXTS

ctypedef struct Handle:
    uint32_t slot
    uint32_t generation

ctypedef struct Eviction:
    Handle handle
    uint64_t sid
    uint8_t why
    uint8_t evicted_from


cdef void table_lock(Table *table) noexcept nogil
cdef void table_unlock(Table *table) noexcept nogil
cdef size_t cut_utf8(const char *text, size_t octets, size_t limit) noexcept nogil
cdef uint64_t table_hash_name(Table *table, const char *name, size_t octets) noexcept nogil

cdef outcome_t table_admit(
    Table *table, uint16_t worker, uint8_t protocol, const uint8_t *address, uint16_t port, uint64_t sid,
    int64_t now_ms, Handle *handle,
) noexcept nogil
cdef outcome_t table_start_login(Table *table, Handle handle) noexcept nogil
cdef outcome_t table_authenticate(
    Table *table, Handle handle, uint64_t user, uint32_t limit, bint by_address
) noexcept nogil
cdef outcome_t table_set_text(Table *table, Handle handle, text_t which, const char *text, size_t octets) noexcept nogil
cdef outcome_t table_release(Table *table, Handle handle) noexcept nogil
cdef outcome_t table_kick(Table *table, Handle handle, uint8_t why) noexcept nogil
cdef bint table_next_evicted(Table *table, uint16_t worker, Eviction *eviction) noexcept nogil


cdef inline void table_touch(
    Table *table, uint32_t slot, uint64_t octets_in, uint64_t octets_out, int64_t now_ms
) noexcept nogil:
    """Octets were relayed. Only the session's owner may call this, and it needs no lock: there is one writer."""
    cdef Details *details = &table.details[slot]
    store_u64(&details.octets_in, details.octets_in + octets_in, RELAXED)
    store_u64(&details.octets_out, details.octets_out + octets_out, RELAXED)
    store_i64(&details.active_ms, now_ms, RELAXED)


cdef class SessionTable(SharedMemory):
    cdef Handle handle(self, slot, generation) except *
    cdef int worker_number(self, worker) except -1
    cdef int protocol_number(self, protocol) except -1
    cdef object record(self, uint32_t index)
