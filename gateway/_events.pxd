"""What epoll and the clock bring; see `_events.pyx`."""

from gateway._session cimport Core, Listener, Reason, Session, Side

cdef int watch_listener(Core *core, Listener *listener) noexcept nogil
cdef bint watch_side(Core *core, Side *side) noexcept nogil
cdef bint run(Core *core) noexcept nogil
cdef void end_evicted(Core *core) noexcept nogil
cdef bint end_session(Core *core, Session *session, Reason reason) noexcept nogil
