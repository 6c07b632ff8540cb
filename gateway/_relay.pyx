# cython: autotestdict=False
"""A session's relay: its beginning, its limits, its end.

Limits: idle time and absolute time, looked at when the session's timer comes by; an octet only notes the time. Where
one side has said all, a minute without an octet is enough.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway._counters cimport count_relayed
from gateway._fastpath cimport frames_clear, frames_held
from gateway._pump cimport (
    CLIENT_AT_END, CLIENT_GONE, NO_VERDICT, OVER, TIRED, UPSTREAM_AT_END, UPSTREAM_GONE, Pump, Turn, pump_due,
    pump_forward, pump_turn,
)
from gateway._session cimport (
    CLIENT_CLOSED, CLIENT_LOST, IDLE_TIMEOUT, NOT_THIS_PROTOCOL, RELAY, SESSION_TIMEOUT, UPSTREAM_CLOSED, UPSTREAM_LOST,
    Side, bury, come_back, linger, wake,
)
from gateway._sessions cimport table_touch
from gateway._stream cimport DEAF, FINISHED, LOST, Stream, stream_is_slim, stream_send, stream_slim
from gateway._system cimport notice_loss
from gateway._wheel cimport Timer, wheel_set

cdef enum:
    SLIM_TICKS = 16  # 1 s without an octet: give buffers back


cdef Reason reason_of(int verdict) noexcept nogil:
    if verdict == CLIENT_AT_END:
        return CLIENT_CLOSED
    if verdict == CLIENT_GONE:
        return CLIENT_LOST
    if verdict == UPSTREAM_AT_END:
        return UPSTREAM_CLOSED
    if verdict == UPSTREAM_GONE:
        return UPSTREAM_LOST
    return NOT_THIS_PROTOCOL


cdef void end_relay(
    Core *core, Session *session, Reason reason, const unsigned char *farewell, size_t count,
) noexcept nogil:
    """Both streams are let go of; the report goes to Python."""
    cdef Stream *client = &session.client.stream
    session.reason = reason
    core.counters.octets_in += session.pump.octets_in
    core.counters.octets_out += session.pump.octets_out
    if count > 0:
        stream_send(client, farewell, count)
    bury(core, session.upstream)
    session.is_ended = True
    session.next_ended = core.ended
    core.ended = session
    linger(core, session)


cdef bint may_say_farewell(const Session *session) noexcept nogil:
    """Only where a line may begin, and not behind octets that wait."""
    cdef const Stream *client = &session.client.stream
    return session.pump.is_between_lines and client.unsent == 0 and not client.flags & (FINISHED | DEAF | LOST)


cdef void start_relay(Core *core, Session *session, uint32_t idle_ticks, uint32_t session_ticks) noexcept nogil:
    """What either side has read ahead goes first."""
    cdef Pump *pump = &session.pump
    cdef Side *client = &session.client
    cdef Side *upstream = session.upstream
    client.phase = upstream.phase = RELAY
    pump.client = &client.stream
    pump.upstream = &upstream.stream
    pump.idle_ticks = idle_ticks
    pump.is_limited = session_ticks > 0
    pump.ends_at = core.now + session_ticks
    pump.last_octet_at = core.now
    pump.is_between_lines = True
    core.counters.relayed += 1
    pass_on(pump, client, &upstream.stream)
    pass_on(pump, upstream, &client.stream)
    if core.table != NULL:
        count(core, session, pump.octets_in, pump.octets_out)
    relay(core, session)
    if client.phase == RELAY:
        look_soon(core, session)


cdef void pass_on(Pump *pump, Side *side, Stream *to) noexcept nogil:
    cdef size_t held = frames_held(&side.stream.frames)
    if held > 0:
        pump_forward(pump, to, side.stream.frames.memory + side.stream.frames.start, held, False)
    frames_clear(&side.stream.frames)


cdef void count(Core *core, Session *session, uint64_t octets_in, uint64_t octets_out) noexcept nogil:
    """Where others see it."""
    if octets_in == 0 and octets_out == 0:
        return
    count_relayed(core.table, core.worker, session.listener.protocol, octets_in, octets_out)
    if session.handle.slot != 0:
        table_touch(core.table, session.handle.slot, octets_in, octets_out, <int64_t> core.now_ms)


cdef void relay(Core *core, Session *session) noexcept nogil:
    cdef uint64_t octets_in = session.pump.octets_in
    cdef uint64_t octets_out = session.pump.octets_out
    cdef Turn turn = pump_turn(&session.pump, core.now)
    if core.table != NULL:
        count(core, session, session.pump.octets_in - octets_in, session.pump.octets_out - octets_out)
    if turn == OVER:
        if session.pump.verdict == UPSTREAM_GONE:
            session.reason = UPSTREAM_LOST  # the client is told
            wake(core, &session.client)
        else:
            end_relay(core, session, reason_of(session.pump.verdict), NULL, 0)
        return
    if turn == TIRED:
        come_back(core, &session.client)
    if not are_slim(session):
        look_soon(core, session)
    elif session.pump.verdict != NO_VERDICT:
        wheel_set(&core.wheel, &session.client.stream.timer, pump_due(&session.pump))


cdef bint are_slim(const Session *session) noexcept nogil:
    return stream_is_slim(&session.client.stream) and stream_is_slim(&session.upstream.stream)


cdef void look_soon(Core *core, Session *session) noexcept nogil:
    """There will be memory to give back. A limit that is nearer comes first."""
    cdef Timer *timer = &session.client.stream.timer
    cdef uint32_t due = pump_due(&session.pump)
    if timer.back == NULL or <int> (timer.due - core.now) > SLIM_TICKS:
        wheel_set(&core.wheel, timer, core.now + SLIM_TICKS if <int> (due - core.now) > SLIM_TICKS else due)


cdef void watch_relay(Core *core, Session *session) noexcept nogil:
    """The timer of a relaying session: perhaps a limit has passed, perhaps there is memory to give back."""
    cdef uint32_t due = pump_due(&session.pump)
    if <int> (core.now - due) >= 0:
        session.reason = SESSION_TIMEOUT if session.pump.is_limited and due == session.pump.ends_at else IDLE_TIMEOUT
        if session.pump.verdict != NO_VERDICT:
            end_relay(core, session, reason_of(session.pump.verdict), NULL, 0)
        else:
            wake(core, &session.client)
        return
    if not session.pump.notices_loss:
        session.pump.notices_loss = True  # what the client's socket inherited; a short session does without
        notice_loss(session.upstream.stream.fd)
    if not are_slim(session) and core.now - session.pump.last_octet_at < SLIM_TICKS:
        look_soon(core, session)
        return
    stream_slim(&session.client.stream)
    stream_slim(&session.upstream.stream)
    wheel_set(&core.wheel, &session.client.stream.timer, due)
