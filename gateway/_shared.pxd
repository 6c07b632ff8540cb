"""The shape of the memory that master and workers share, and atomic access to it.

What is a struct here lies in memory shared by processes of perhaps different versions: a change of any of
them needs a new LAYOUT. Numbers of slots and tallies begin at 1, so that a zeroed mapping is an empty table and 0
means "none". Times are milliseconds of CLOCK_MONOTONIC, which all processes share.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass

cdef extern from "<stdint.h>":
    const uint32_t UNLIMITED "UINT32_MAX"

cdef extern from *:
    const int RELAXED "__ATOMIC_RELAXED"
    const int ACQUIRE "__ATOMIC_ACQUIRE"
    const int RELEASE "__ATOMIC_RELEASE"
    uint8_t load_u8 "__atomic_load_n"(const uint8_t *, int) nogil
    uint32_t load_u32 "__atomic_load_n"(const uint32_t *, int) nogil
    uint64_t load_u64 "__atomic_load_n"(const uint64_t *, int) nogil
    int64_t load_i64 "__atomic_load_n"(const int64_t *, int) nogil
    void store_u8 "__atomic_store_n"(uint8_t *, uint8_t, int) nogil
    void store_u32 "__atomic_store_n"(uint32_t *, uint32_t, int) nogil
    void store_u64 "__atomic_store_n"(uint64_t *, uint64_t, int) nogil
    void store_i64 "__atomic_store_n"(int64_t *, int64_t, int) nogil
    uint64_t add_u64 "__atomic_fetch_add"(uint64_t *, uint64_t, int) nogil
    void fence "__atomic_thread_fence"(int) nogil

cdef enum:
    LAYOUT = 1
    MAX_SLOTS = 1_000_000
    MAX_WORKERS = 256  # processes at a time: two generations, while one is drained
    MAX_PROTOCOLS = 8
    MAX_SERVERS = 256  # 15 groups of 16 servers is what the ASA allows

cdef enum Queue:  # the links of a slot: which of its neighbourhoods
    BY_STATE  # unauthenticated of its protocol; or told to go, of its worker; or free
    BY_AGE  # not authenticated, of its protocol
    BY_STATE_AT_ADDRESS  # the same two among those of its address
    BY_AGE_AT_ADDRESS
    QUEUES

ctypedef struct Link:
    uint32_t prev
    uint32_t next

ctypedef struct List:
    uint32_t head
    uint32_t tail
    uint32_t count

# What the operations touch: one cache line. `state` is the truth and is written by one store; `seq` is the age;
# links and tally are derived.
ctypedef struct Slot:
    uint64_t seq
    uint64_t sid  # the engine's own number
    uint32_t generation
    uint32_t tally  # of its address, or of its user at its address
    Link links[4]
    uint16_t worker
    uint8_t protocol
    uint8_t state
    uint8_t evicted_from
    uint8_t why
    uint8_t told  # the owner knows that it is evicted

# The rest, written by the owner alone. The first cache line is what the relay touches.
ctypedef struct Details:
    uint64_t octets_in  # from the client to the mail server
    uint64_t octets_out
    int64_t active_ms
    int64_t accepted_ms
    uint64_t user  # hash of the user's whole name, once authenticated
    uint8_t address[16]  # IPv4 is mapped
    uint32_t version  # odd while texts are written
    uint16_t port
    uint8_t texts_set  # bit n: text n
    uint8_t unused
    char texts[448]  # users, server, policy and so on: UTF-8, filled up with NULs

# How many sessions share a key: an address of a protocol (not authenticated), a user, a user at an address.
ctypedef struct Tally:
    uint64_t key
    uint32_t next  # with the same bucket
    uint32_t sessions
    uint32_t devices  # of a user: the addresses
    uint32_t user  # of a user at an address: the user's tally
    List by_state  # of an address
    List by_age

ctypedef struct Counters:
    uint64_t logins[8][16]  # by protocol and result
    uint64_t evictions[8][4]  # by the state before
    uint64_t relay_octets[8][2]  # in, out
    uint64_t login_times[16]
    uint64_t login_us
    uint64_t restarts
    uint64_t spare[6]

ctypedef struct WorkerArea:
    List evicted  # and not yet told
    uint32_t unused[13]
    Counters counters

ctypedef struct ProtocolArea:
    List by_state  # unauthenticated
    List by_age  # unauthenticated and authenticating
    uint32_t authenticated
    uint32_t outstanding_cap
    uint32_t address_cap
    uint32_t peak
    uint32_t authenticated_peak
    uint32_t unused
    uint64_t admitted  # ever
    uint64_t authentications  # ever
    uint64_t refused  # for want of a slot
    uint64_t spare[7]

ctypedef struct Server:  # the health of an AAA server
    char group[64]
    char label[64]
    uint64_t key  # hash of both names; 0: unused
    uint32_t failed
    uint32_t attempts  # failed ones in a row
    int64_t since_ms
    int64_t until_ms
    uint64_t requests
    uint64_t answers[4]  # accept, reject, challenge, error
    uint64_t timeouts
    uint64_t rtt_us
    uint64_t rtt_max_us
    uint64_t spare[4]

ctypedef struct Geometry:
    uint64_t magic
    uint32_t layout
    uint32_t slots
    uint32_t workers
    uint32_t protocols
    uint32_t buckets
    uint32_t octets[7]  # of each struct
    uint64_t protocols_at
    uint64_t workers_at
    uint64_t servers_at
    uint64_t slots_at
    uint64_t details_at
    uint64_t tallies_at
    uint64_t buckets_at
    uint64_t order_at
    uint64_t length

ctypedef struct Header:
    Geometry geometry
    uint64_t keys[2]
    uint8_t unused[48]
    pthread_mutex_t mutex
    uint64_t seq
    uint64_t recoveries
    uint32_t fresh  # slots 1 to fresh have been used
    uint32_t free_head
    uint32_t free_count
    uint32_t fresh_tallies
    uint32_t free_tally

ctypedef struct Aged:  # room for sorting, when lists are rebuilt
    uint64_t seq
    uint64_t slot

# A process's own view of it.
ctypedef struct Table:
    Header *header
    ProtocolArea *protocols
    WorkerArea *workers
    Server *servers
    Slot *slots
    Details *details
    Tally *tallies
    uint32_t *buckets
    Aged *order
    uint32_t slot_count
    uint32_t reserve
    uint32_t bucket_mask
    uint16_t worker_count
    uint8_t protocol_count
    uint64_t bells  # workers (modulo 64) to wake once the lock is given back
    int eventfds[256]


cdef class SharedMemory:
    cdef Table table
    cdef readonly int fd
    cdef readonly tuple eventfds
