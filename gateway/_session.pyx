# cython: autotestdict=False
"""Sessions: their structs, the tables they are found in, the lists of what is to be done for them, and their end.

    accept -> HANDSHAKE -> SILENT -> DIALOGUE -> RELAY -> LINGER -> gone
                                     (Python's)
An upstream is CONNECTING, then in DIALOGUE, then a part of its client's RELAY.

A session is known to others by index and generation, a descriptor to epoll by its number and a serial: what comes late
finds nothing. Structs are freed when nothing is listed any more, at the end of a run.
"""

from libc.stdint cimport UINT32_MAX
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from gateway._sessions cimport table_release
from gateway._stream cimport (
    DEAF, DONE, ENDED, FAILED, HEARD, LOST, RECEIVE_OCTETS, TLS_OPEN, WRITABLE, Outcome, stream_close,
    stream_finish, stream_flush, stream_init, stream_receive, stream_send,
)
from gateway._tls cimport tls_verdict
from gateway._wheel cimport wheel_cancel, wheel_set

cdef enum:
    LINGER_TICKS = 47  # 3 s for the client to take our last words and close
    DRAINS_A_RUN = 8  # a client that goes on sending is not waited for


cdef bint grow_table(Core *core) noexcept nogil:
    cdef uint32_t size = core.size * 2 if core.size > 0 else 256
    cdef uint32_t index
    cdef Session **sessions = <Session **> realloc(core.sessions, size * sizeof(Session *))
    cdef uint32_t *indexes
    if sessions == NULL:
        return False
    core.sessions = sessions
    indexes = <uint32_t *> realloc(core.free_indexes, size * sizeof(uint32_t))
    if indexes == NULL:
        return False
    core.free_indexes = indexes
    for index in range(core.size, size):
        core.sessions[index] = NULL
        core.free_indexes[core.free_count] = index
        core.free_count += 1
    core.size = size
    return True


cdef Session *new_session(Core *core, int fd, Listener *listener) noexcept nogil:
    cdef Session *session
    if core.free_count == 0 and not grow_table(core):
        return NULL
    session = <Session *> calloc(1, sizeof(Session))
    if session == NULL:
        return NULL
    stream_init(&session.client.stream, fd)
    session.client.stream.flags = WRITABLE
    session.client.session = session
    session.client.is_client = True
    session.client.phase = HANDSHAKE
    session.client.budget_octets = listener.budget_octets
    session.client.stream.frames.capacity = listener.budget_octets + 3 * DIALOGUE_OCTETS
    session.listener = listener
    session.reason = REASONS
    session.accepted_ms = core.now_ms
    core.free_count -= 1
    session.index = core.free_indexes[core.free_count]
    core.generation += 1
    session.generation = core.generation
    core.sessions[session.index] = session
    core.live += 1
    return session


cdef void bury(Core *core, Side *side) noexcept nogil:
    """Close, and free at the end of the run."""
    if side.phase == GONE:
        return
    side.phase = GONE
    if side.serial != 0:
        core.sides[side.stream.fd] = NULL
    wheel_cancel(&side.stream.timer)
    stream_close(&side.stream)
    side.connection = NULL
    side.next_dead = core.dead
    core.dead = side


cdef void bury_session(Core *core, Session *session) noexcept nogil:
    if session.client.phase == GONE:
        return
    if not session.is_ended:  # else its end has yet to be noted elsewhere
        leave_table(core, session)
    bury(core, &session.client)
    free(session.pump.scanned_in)
    free(session.pump.scanned_out)
    session.pump.scanned_in = session.pump.scanned_out = NULL
    core.sessions[session.index] = NULL
    core.free_indexes[core.free_count] = session.index
    core.free_count += 1
    core.live -= 1


cdef void leave_table(Core *core, Session *session) noexcept nogil:
    """It counts no more, evicted or not."""
    if session.handle.slot != 0:
        table_release(core.table, session.handle)
        session.handle.slot = 0


cdef void wake(Core *core, Side *side) noexcept nogil:
    """Python is needed."""
    if side.is_woken:
        return
    side.is_woken = True
    side.next_woken = NULL
    if core.woken == NULL:
        core.woken = side
    else:
        core.last_woken.next_woken = side
    core.last_woken = side


cdef void come_back(Core *core, Side *side) noexcept nogil:
    """There is more to do for it in the next run."""
    if not side.is_ready:
        side.is_ready = True
        side.next_ready = core.ready
        core.ready = side


cdef void answer(Core *core, Side *side, Answer given) noexcept nogil:
    side.answer = given
    side.wish = NOTHING
    wake(core, side)


cdef void linger(Core *core, Session *session) noexcept nogil:
    """Our last words are on their way: let the client take them before the descriptor is closed.

    Input that lies unread when it is closed would make the kernel send RST, which can destroy them.
    """
    cdef Side *client = &session.client
    if not client.stream.flags & (LOST | DEAF):
        stream_finish(&client.stream)
    client.phase = LINGER
    wheel_set(&core.wheel, &client.stream.timer, core.now + LINGER_TICKS)
    drain(core, session)


cdef void drain(Core *core, Session *session) noexcept nogil:
    cdef Stream *stream = &session.client.stream
    cdef size_t count
    cdef int _turn
    cdef Outcome outcome = DONE
    stream_flush(stream)
    for _turn in range(DRAINS_A_RUN):
        outcome = stream_receive(stream, RECEIVE_OCTETS, &count)
        if outcome != DONE:
            break
    if outcome == FAILED or stream.flags & DEAF or (outcome == ENDED and stream.unsent == 0) or outcome == DONE:
        bury_session(core, session)


cdef void end_unserved(Core *core, Session *session, Reason reason) noexcept nogil:
    """A session that no greenlet has seen is over."""
    cdef Stream *stream = &session.client.stream
    cdef const Text *farewell = &session.listener.farewells[<int> reason]
    cdef Unserved *report
    leave_table(core, session)
    core.counters.unserved[<int> reason] += 1
    if core.unserved_count < UNSERVED_KEPT:
        report = &core.unserved[core.unserved_count]
        core.unserved_count += 1
        report.listener = session.listener.number
        report.reason = reason
        report.stranger = stream.stranger
        report.was_heard = stream.flags & HEARD != 0
        report.fault = stream.fault
        report.tls_fault = stream.tls_fault
        report.verdict = tls_verdict(stream)
        report.peer = session.peer
        report.accepted_ms = session.accepted_ms
    if not stream.flags & TLS_OPEN:
        bury_session(core, session)
        return
    if farewell.count > 0:
        stream_send(stream, farewell.octets, farewell.count)
    linger(core, session)


cdef bint enter_side(Core *core, Side *side) noexcept nogil:
    """Into the table that epoll's marks are looked up in."""
    cdef uint32_t fd = <uint32_t> side.stream.fd
    cdef uint32_t room = core.side_room
    cdef Side **sides
    if fd >= room:
        room = max(2 * room, fd + 256)
        sides = <Side **> realloc(core.sides, room * sizeof(Side *))
        if sides == NULL:
            return False
        memset(sides + core.side_room, 0, (room - core.side_room) * sizeof(Side *))
        core.sides = sides
        core.side_room = room
    core.serial = core.serial + 1 if core.serial != UINT32_MAX else 1
    side.serial = core.serial
    core.sides[fd] = side
    return True


cdef bint is_listed(const Side *side) noexcept nogil:
    if side.is_woken or side.is_ready:
        return True
    return side.is_client and (side.session.is_shaking or side.session.is_ended)


cdef void free_dead(Core *core) noexcept nogil:
    """A client's side is the first member of its session."""
    cdef Side *side = core.dead
    cdef Side *next_one
    cdef Side *kept = NULL
    while side != NULL:
        next_one = side.next_dead
        if is_listed(side):
            side.next_dead = kept
            kept = side
        else:
            free(side)
        side = next_one
    core.dead = kept
