"""Sessions and what is to be done for them; see `_session.pyx`."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from gateway._pump cimport Pump
from gateway._sessions cimport Handle
from gateway._shared cimport Table
from gateway._stream cimport Stream
from gateway._system cimport Address
from gateway._tls cimport ServerTls
from gateway._wheel cimport Wheel

cdef enum:
    DIALOGUE_OCTETS = 16384  # of one recv() before the relay
    UNSENT_LIMIT_OCTETS = 16384  # that a peer leaves unread before the relay (CVE-2025-21605)
    UNSERVED_KEPT = 1024  # reports a run; the rest is counted only

cdef enum Phase:
    HANDSHAKE
    SILENT
    CONNECTING
    DIALOGUE
    RELAY
    LINGER
    GONE

cdef enum Wish:
    NOTHING
    A_LINE
    OCTETS
    TIME
    A_CONNECTION
    A_HANDSHAKE

cdef enum Answer:
    PENDING
    GRANTED
    TOO_LATE
    TOO_MUCH
    PEER_CLOSED
    PEER_LOST
    PEER_READS_NOTHING

# In the order of EndReason, which `_engine` checks.
cdef enum Reason:
    HANDSHAKE_FAILED
    HANDSHAKE_TIMEOUT
    LOGIN_TIMEOUT
    LOGOUT
    TOO_MANY_ERRORS
    TOO_MANY_FAILURES
    LINE_TOO_LONG_REASON
    LITERAL_TOO_LONG
    TOO_MUCH_INPUT
    TOO_MUCH_OUTPUT
    NOT_THIS_PROTOCOL
    EVICTED
    CLIENT_CLOSED
    CLIENT_LOST
    LOGGED_OFF
    SHUTDOWN
    INTERNAL_ERROR
    UPSTREAM_CLOSED
    UPSTREAM_LOST
    IDLE_TIMEOUT
    SESSION_TIMEOUT
    REASONS

cdef struct Text:
    const unsigned char *octets
    size_t count

cdef struct Listener:
    int fd
    uint32_t number
    uint8_t protocol  # its number in the session table
    bint is_open
    const ServerTls *server
    Text greeting
    Text farewells[REASONS]  # for sessions that no greenlet has seen
    uint32_t handshake_ticks
    uint32_t login_ticks
    uint32_t line_octets
    uint32_t budget_octets
    Listener *next

cdef struct Side:
    Stream stream  # must be first: the wheel's timers are sides
    Session *session  # NULL: an upstream before the relay
    PyObject *connection  # whose `side` this is; NULL outside of the dialogue
    Side *next_woken
    Side *next_dead
    Side *next_ready
    uint8_t phase
    uint8_t wish
    uint8_t answer
    uint8_t is_woken
    uint8_t is_ready
    uint8_t is_client  # the first member of its session
    uint32_t serial  # what epoll gives back with the descriptor: late events of an earlier one are known by it
    size_t wished_octets
    size_t received_octets  # before the relay
    size_t taken_octets  # of them, by Python
    size_t budget_octets

cdef struct Session:
    Side client  # must be first
    Side *upstream  # in the relay
    Pump pump
    Listener *listener
    Address peer
    uint64_t accepted_ms
    uint32_t index
    uint32_t generation
    Handle handle  # in the table that all workers share; slot 0: in none
    uint8_t reason  # that somebody ends it for; REASONS: none
    uint8_t is_shaking
    uint8_t is_ended
    PyObject *farewells
    PyObject *on_end  # owned
    Session *next_shaking
    Session *next_ended

# A report of a session that no greenlet has seen.
cdef struct Unserved:
    uint32_t listener
    uint8_t reason
    uint8_t stranger
    uint8_t was_heard
    int fault
    unsigned long tls_fault
    long verdict
    Address peer
    uint64_t accepted_ms

cdef struct Counters:
    uint64_t accepted
    uint64_t refused  # descriptors or memory
    uint64_t handshakes
    uint64_t served  # first lines
    uint64_t relayed
    uint64_t octets_in
    uint64_t octets_out
    uint64_t unserved[REASONS]

cdef struct Core:
    int epoll
    Table *table  # that all workers share; NULL: none
    uint16_t worker  # our number there
    int bell  # readable when somebody has ended sessions of ours there
    int descriptor_limit
    uint32_t now
    uint64_t now_ms
    Wheel wheel
    Listener *listeners
    bint is_paused
    int trouble  # the errno that it is paused for, not yet told; 0: told
    uint32_t resume_at
    Side **sides  # by descriptor
    uint32_t side_room
    uint32_t serial
    Session **sessions
    uint32_t *free_indexes
    uint32_t size
    uint32_t free_count
    uint32_t live
    uint32_t generation
    Side *woken
    Side *last_woken
    Side *ready  # there is more to do for them, but others come first
    Session *shaking
    Session *last_shaking
    Session *ended
    Side *dead
    Unserved unserved[UNSERVED_KEPT]
    uint32_t unserved_count
    Counters counters

cdef Session *new_session(Core *core, int fd, Listener *listener) noexcept nogil
cdef void bury(Core *core, Side *side) noexcept nogil
cdef void bury_session(Core *core, Session *session) noexcept nogil
cdef void wake(Core *core, Side *side) noexcept nogil
cdef void come_back(Core *core, Side *side) noexcept nogil
cdef void answer(Core *core, Side *side, Answer given) noexcept nogil
cdef void linger(Core *core, Session *session) noexcept nogil
cdef void drain(Core *core, Session *session) noexcept nogil
cdef void end_unserved(Core *core, Session *session, Reason reason) noexcept nogil
cdef void leave_table(Core *core, Session *session) noexcept nogil
cdef bint enter_side(Core *core, Side *side) noexcept nogil
cdef void free_dead(Core *core) noexcept nogil
