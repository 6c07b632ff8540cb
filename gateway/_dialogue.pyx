# cython: autotestdict=False
"""Before the relay: the client's handshake, its first line, and what greenlets wish for.

A wish is a line, a number of octets, a connection, a handshake, or time. It is pursued here, octet by octet if need be,
and Python hears of it once, when it has an answer.

Limits: octets of a line and in all; what is read ahead is at most one recv() and a TLS record.
"""

from gateway._fastpath cimport FED, LINE_INCOMPLETE, frames_feed, frames_held, frames_scan
from gateway._session cimport (
    A_CONNECTION, A_HANDSHAKE, A_LINE, CLIENT_CLOSED, CLIENT_LOST, DIALOGUE, DIALOGUE_OCTETS, GRANTED, HANDSHAKE_FAILED,
    NOT_THIS_PROTOCOL, OCTETS, PEER_CLOSED, PEER_LOST, PEER_READS_NOTHING, PENDING, SILENT, TOO_MUCH, TOO_MUCH_INPUT,
    TOO_MUCH_OUTPUT, UNSENT_LIMIT_OCTETS, Listener, Reason, answer, come_back, end_unserved, wake,
)
from gateway._stream cimport (
    BLOCKED, BROKEN, DONE, ENDED, FAILED, LOST, NO_STRANGER, WRITABLE, Outcome, Stream, received, stream_accept_tls,
    stream_flush, stream_put, stream_read_on, stream_receive, stream_shake_hands, stream_slim,
)
from gateway._system cimport socket_error
from gateway._tls cimport tls_prepare
from gateway._wheel cimport tick_of, wheel_cancel, wheel_set

cdef enum:
    PORTIONS_A_TURN = 4
    RAW_TIMES = 4  # as many octets, those of TLS itself included, as the budget allows

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *memory, size_t octets)


cdef bint is_granted(Side *side) noexcept nogil:
    cdef size_t length
    cdef size_t with_end
    if side.wish == A_LINE:
        return frames_scan(&side.stream.frames, side.wished_octets, &length, &with_end) != LINE_INCOMPLETE
    return frames_held(&side.stream.frames) >= side.wished_octets


cdef Answer first_answer(Core *core, Side *side) noexcept nogil:
    """What is known without waiting."""
    if side.wish == A_LINE or side.wish == OCTETS:
        return pursue(core, side)
    if side.wish == A_HANDSHAKE:
        return handshake_answer(stream_shake_hands(&side.stream))
    return PENDING


cdef Answer handshake_answer(Outcome outcome) noexcept nogil:
    if outcome == BLOCKED:
        return PENDING
    if outcome == DONE:
        return GRANTED
    return PEER_CLOSED if outcome == ENDED else PEER_LOST


cdef Answer take_in(Side *side, size_t count) noexcept nogil:
    """Octets from `received` to the frames. They may be a password, so nothing stays behind."""
    cdef int fed = frames_feed(&side.stream.frames, received, count)
    explicit_bzero(received, count)
    side.received_octets += count
    return PENDING if fed == FED else TOO_MUCH


cdef Answer pursue(Core *core, Side *side) noexcept nogil:
    """Receive until the wish for a line or octets is granted, as far as it goes now and is fair to others."""
    cdef Stream *stream = &side.stream
    cdef size_t count
    cdef Outcome outcome
    cdef int _portion
    for _portion in range(PORTIONS_A_TURN):
        if is_granted(side):
            return GRANTED
        if side.received_octets >= side.budget_octets or stream.raw_octets > RAW_TIMES * side.budget_octets:
            return TOO_MUCH
        if stream.unsent > UNSENT_LIMIT_OCTETS:
            return PEER_READS_NOTHING
        outcome = stream_receive(stream, DIALOGUE_OCTETS, &count)
        if outcome == BLOCKED:
            return PENDING
        if outcome == ENDED:
            return PEER_CLOSED
        if outcome == FAILED:
            return PEER_LOST
        if take_in(side, count) != PENDING:
            return TOO_MUCH
    if is_granted(side):
        return GRANTED
    come_back(core, side)
    return PENDING


cdef void listen_for_first_line(Core *core, Session *session) noexcept nogil:
    cdef Answer given
    stream_flush(&session.client.stream)
    given = pursue(core, &session.client)
    if given == PENDING:
        return
    if given == GRANTED:
        session.client.phase = DIALOGUE
        wheel_cancel(&session.client.stream.timer)
        core.counters.served += 1
        wake(core, &session.client)
    elif given == PEER_CLOSED:
        end_unserved(core, session, CLIENT_CLOSED)
    elif given == TOO_MUCH:
        end_unserved(core, session, TOO_MUCH_INPUT)
    elif given == PEER_READS_NOTHING:
        end_unserved(core, session, TOO_MUCH_OUTPUT)
    else:
        end_unserved(core, session, CLIENT_LOST)


cdef Reason handshake_end(const Stream *stream) noexcept nogil:
    """Why there was none."""
    if not stream.flags & LOST:
        return CLIENT_CLOSED
    if stream.stranger != NO_STRANGER:
        return NOT_THIS_PROTOCOL
    return HANDSHAKE_FAILED if stream.tls_fault != 0 else CLIENT_LOST


cdef void shake_hands(Core *core, Session *session) noexcept nogil:
    """One step of the handshake. The greeting goes out with our last flight; a line may have come with the client's."""
    cdef Stream *stream = &session.client.stream
    cdef Listener *listener = session.listener
    cdef Outcome outcome = DONE
    cdef size_t count
    tls_prepare(listener.server)
    if stream.ssl == NULL:
        outcome = stream_accept_tls(stream, listener.server.certificates[0].context)
    if outcome == DONE:
        outcome = stream_shake_hands(stream)
    if outcome == BLOCKED:
        return
    if outcome != DONE:
        end_unserved(core, session, handshake_end(stream))
        return
    core.counters.handshakes += 1
    session.client.phase = SILENT
    session.client.wish = A_LINE
    session.client.wished_octets = listener.line_octets
    wheel_set(&core.wheel, &stream.timer, tick_of(session.accepted_ms) + listener.login_ticks)
    stream_put(stream, listener.greeting.octets, listener.greeting.count)
    stream_flush(stream)
    if stream_read_on(stream, &count) == DONE:
        take_in(&session.client, count)
    stream_slim(stream)
    listen_for_first_line(core, session)


cdef void queue_handshake(Core *core, Session *session) noexcept nogil:
    if session.is_shaking:
        return
    session.is_shaking = True
    session.next_shaking = NULL
    if core.shaking == NULL:
        core.shaking = session
    else:
        core.last_shaking.next_shaking = session
    core.last_shaking = session


cdef void advance_dialogue(Core *core, Side *side) noexcept nogil:
    """An event for a side that a greenlet owns: perhaps its wish has an answer."""
    cdef Stream *stream = &side.stream
    cdef Answer given = PENDING
    if side.wish == A_CONNECTION:
        if stream.flags & BROKEN:
            stream.fault = socket_error(stream.fd)
        if stream.flags & (WRITABLE | BROKEN):
            answer(core, side, GRANTED if stream.fault == 0 else PEER_LOST)
        return
    if side.wish == A_HANDSHAKE:
        given = handshake_answer(stream_shake_hands(stream))
        if given != PENDING:
            answer(core, side, given)
        return
    stream_flush(stream)
    if side.wish == A_LINE or side.wish == OCTETS:
        given = pursue(core, side)
    elif stream.flags & BROKEN and side.session != NULL:
        given = PEER_LOST
        side.session.reason = CLIENT_LOST
    if given != PENDING:
        answer(core, side, given)
