"""A session before its relay; see `_dialogue.pyx`."""

from gateway._session cimport Answer, Core, Session, Side

cdef Answer first_answer(Core *core, Side *side) noexcept nogil
cdef Answer take_in(Side *side, size_t count) noexcept nogil
cdef void listen_for_first_line(Core *core, Session *session) noexcept nogil
cdef void shake_hands(Core *core, Session *session) noexcept nogil
cdef void queue_handshake(Core *core, Session *session) noexcept nogil
cdef void advance_dialogue(Core *core, Side *side) noexcept nogil
