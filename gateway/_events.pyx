# cython: autotestdict=False
"""What epoll and the clock bring: connections, octets, ends, limits.

Clients' and upstreams' descriptors are registered once, edge-triggered; listeners level-triggered and exclusive, since
all workers share them. A run takes one batch of events. Handshakes are half a millisecond each, so only a few are done
a run, in order of arrival; a relay that was not done in one turn gets another in the next run.

Limits: descriptors: near the limit accepting pauses for half a second, and the kernel keeps the queue.
"""

from libc.errno cimport EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway._dialogue cimport advance_dialogue, listen_for_first_line, queue_handshake, shake_hands
from gateway._relay cimport relay, watch_relay
from gateway._session cimport (
    CONNECTING, DIALOGUE, EVICTED, HANDSHAKE, HANDSHAKE_TIMEOUT, LINGER, LOGGED_OFF, LOGIN_TIMEOUT, NOTHING, REASONS,
    RELAY, SILENT, TOO_LATE, answer, bury_session, drain, end_unserved, enter_side, new_session, wake,
)
from gateway._sessions cimport DONE as ADMITTED
from gateway._sessions cimport LOGGED_OFF as KICKED
from gateway._sessions cimport Eviction, table_admit, table_next_evicted
from gateway._stream cimport AT_END, BROKEN, LOST, PEER_SENT_FIN, READABLE, WRITABLE
from gateway._system cimport (
    EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Address, EpollEvent, accept_connection,
    close_descriptor, epoll_wait, milliseconds, read_descriptor, unwatch, watch,
)
from gateway._wheel cimport Timer, tick_of, wheel_next, wheel_set

cdef enum:
    EVENTS_A_RUN = 256
    ACCEPTS_A_RUN = 16
    HANDSHAKES_A_RUN = 8
    PAUSE_TICKS = 8


cdef void pause_accepting(Core *core, int trouble) noexcept nogil:
    """Others of our kind may have descriptors left; the kernel keeps the queue."""
    cdef Listener *listener = core.listeners
    if core.is_paused:
        return
    core.is_paused = True
    core.trouble = trouble
    core.resume_at = core.now + PAUSE_TICKS
    while listener != NULL:
        if listener.is_open:
            unwatch(core.epoll, listener.fd)
        listener = listener.next


cdef void resume_accepting(Core *core) noexcept nogil:
    cdef Listener *listener = core.listeners
    core.is_paused = False
    while listener != NULL:
        if listener.is_open:
            watch_listener(core, listener)
        listener = listener.next


cdef int watch_listener(Core *core, Listener *listener) noexcept nogil:
    return watch(core.epoll, listener.fd, <uint64_t> listener.fd, EPOLLIN | EPOLLEXCLUSIVE)


cdef bint watch_side(Core *core, Side *side) noexcept nogil:
    """Once for a descriptor's life: whatever happens, an edge tells."""
    if not enter_side(core, side):
        return False
    return watch(
        core.epoll, side.stream.fd, <uint64_t> side.serial << 32 | <uint64_t> side.stream.fd,
        EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
    ) == 0


cdef bint admit(Core *core, Session *session) noexcept nogil:
    """Into the table of all workers, perhaps instead of an older session. False: there is no room."""
    return table_admit(
        core.table, core.worker, session.listener.protocol, session.peer.octets, session.peer.port,
        <uint64_t> session.generation << 32 | session.index, <int64_t> core.now_ms, &session.handle,
    ) == ADMITTED


cdef void end_evicted(Core *core) noexcept nogil:
    """Sessions of ours that another worker's newcomer, or an administrator, has ended in the table."""
    cdef Eviction eviction
    cdef uint64_t rings
    cdef uint32_t index
    cdef Session *session
    read_descriptor(core.bell, &rings, sizeof(rings))
    while table_next_evicted(core.table, core.worker, &eviction):
        index = <uint32_t> eviction.sid
        session = core.sessions[index] if index < core.size else NULL
        if session != NULL and session.generation == eviction.sid >> 32:
            end_session(core, session, LOGGED_OFF if eviction.why >= KICKED else EVICTED)


cdef void accept(Core *core, Listener *listener) noexcept nogil:
    cdef Address peer
    cdef Session *session
    cdef int fd
    cdef int _turn
    for _turn in range(ACCEPTS_A_RUN):
        if core.is_paused or not listener.is_open:
            return
        fd = accept_connection(listener.fd, &peer)
        if fd < 0:
            if errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
                core.counters.refused += 1
                pause_accepting(core, errno)
                return
            if errno == EAGAIN:
                return
            continue
        core.counters.accepted += 1
        if fd >= core.descriptor_limit:
            pause_accepting(core, EMFILE)
        session = new_session(core, fd, listener)
        if session == NULL:
            core.counters.refused += 1
            close_descriptor(fd)
            continue
        session.peer = peer
        if core.table != NULL and not admit(core, session):
            core.counters.refused += 1
            bury_session(core, session)
            continue
        wheel_set(&core.wheel, &session.client.stream.timer, core.now + listener.handshake_ticks)
        if not watch_side(core, &session.client):
            core.counters.refused += 1
            bury_session(core, session)


cdef void accept_on(Core *core, int fd) noexcept nogil:
    cdef Listener *listener = core.listeners
    while listener != NULL:
        if listener.fd == fd and listener.is_open:
            accept(core, listener)
            return
        listener = listener.next


cdef void advance(Core *core, Side *side) noexcept nogil:
    if side.phase == RELAY:
        relay(core, side.session)
    elif side.phase == DIALOGUE or side.phase == CONNECTING:
        advance_dialogue(core, side)
    elif side.phase == SILENT:
        listen_for_first_line(core, side.session)
    elif side.phase == HANDSHAKE:
        if side.stream.flags & (READABLE | BROKEN):
            queue_handshake(core, side.session)
    elif side.phase == LINGER:
        drain(core, side.session)


cdef void note(Core *core, const EpollEvent *event) noexcept nogil:
    cdef uint32_t fd = <uint32_t> event.data.u64
    cdef uint32_t serial = <uint32_t> (event.data.u64 >> 32)
    cdef Side *side = core.sides[fd] if fd < core.side_room else NULL
    if serial == 0 and <int> fd == core.bell:
        end_evicted(core)
        return
    if serial == 0:
        accept_on(core, <int> fd)
        return
    if side == NULL or side.serial != serial:
        return
    if event.events & EPOLLOUT:
        side.stream.flags |= WRITABLE
    if event.events & (EPOLLERR | EPOLLHUP):
        side.stream.flags |= READABLE | BROKEN
    if event.events & EPOLLRDHUP:
        side.stream.flags |= READABLE | PEER_SENT_FIN
    if event.events & EPOLLIN:
        side.stream.flags |= READABLE
    if side.stream.flags & (AT_END | LOST):
        side.stream.flags &= ~READABLE
    advance(core, side)


cdef void expire(Core *core, Side *side) noexcept nogil:
    """The timer of a side has run out."""
    if side.phase == HANDSHAKE:
        end_unserved(core, side.session, HANDSHAKE_TIMEOUT)
    elif side.phase == SILENT:
        end_unserved(core, side.session, LOGIN_TIMEOUT)
    elif side.phase == RELAY:
        watch_relay(core, side.session)
    elif side.phase == LINGER:
        bury_session(core, side.session)
    elif side.wish != NOTHING:
        answer(core, side, TOO_LATE)


cdef void turn_wheel(Core *core) noexcept nogil:
    cdef Timer *timer
    while True:
        timer = wheel_next(&core.wheel, core.now)
        if timer == NULL:
            return
        expire(core, <Side *> timer)


cdef void shake_some(Core *core) noexcept nogil:
    cdef Session *session
    cdef int _turn
    for _turn in range(HANDSHAKES_A_RUN):
        session = core.shaking
        if session == NULL:
            return
        core.shaking = session.next_shaking
        session.is_shaking = False
        if session.client.phase == HANDSHAKE:
            shake_hands(core, session)


cdef void go_on_with_ready(Core *core) noexcept nogil:
    """One more turn for each that has had its share."""
    cdef Side *side = core.ready
    cdef Side *next_one
    core.ready = NULL
    while side != NULL:
        next_one = side.next_ready
        side.is_ready = False
        advance(core, side)
        side = next_one


cdef bint run(Core *core) noexcept nogil:
    """One batch of events. True: there is more to do at once."""
    cdef EpollEvent events[EVENTS_A_RUN]
    cdef int count = epoll_wait(core.epoll, events, EVENTS_A_RUN, 0)
    cdef int at
    core.now_ms = milliseconds()
    core.now = tick_of(core.now_ms)
    go_on_with_ready(core)
    for at in range(count):
        note(core, &events[at])
    shake_some(core)
    if core.wheel.now != core.now:
        turn_wheel(core)
        if core.is_paused and <int> (core.now - core.resume_at) >= 0:
            resume_accepting(core)
    return core.ready != NULL or core.shaking != NULL


cdef bint end_session(Core *core, Session *session, Reason reason) noexcept nogil:
    """From outside. False: it is over already."""
    cdef int phase = session.client.phase
    if phase == HANDSHAKE or phase == SILENT:
        end_unserved(core, session, reason)
        return True
    if (phase != DIALOGUE and phase != RELAY) or session.reason != REASONS:
        return False
    session.reason = reason
    wake(core, &session.client)
    return True
