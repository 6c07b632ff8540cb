"""A session's relay; see `_relay.pyx`."""

from libc.stdint cimport uint32_t

from gateway._session cimport Core, Reason, Session

cdef void end_relay(Core *core, Session *session, Reason reason, const unsigned char *farewell, size_t count) noexcept nogil
cdef bint may_say_farewell(const Session *session) noexcept nogil
cdef void start_relay(Core *core, Session *session, uint32_t idle_ticks, uint32_t session_ticks) noexcept nogil
cdef void relay(Core *core, Session *session) noexcept nogil
cdef void watch_relay(Core *core, Session *session) noexcept nogil
