# cython: autotestdict=False
"""The engine: every client and upstream descriptor of a worker, from accept to close.

One epoll descriptor, itself watched by the gevent hub, which calls `Engine.run`. C works without the GIL as long as it
can: accept, handshake, greeting, first line, relay, time limits. Python is called with a session's first line, when a
wish of a waiting greenlet (a line, octets, a connection, a handshake, time) has an answer, and when a relay has ended.
A session that is handshaking, silent or relaying is nothing but C structs (and, relaying, one reference to what
wants to know its end).

    accept -> HANDSHAKE -> SILENT -> DIALOGUE -> RELAY -> LINGER -> gone
                                     (Python's)
An upstream is CONNECTING, then in DIALOGUE, then a part of its client's RELAY.

Structs are freed at the end of a run only: events and lists of the same run may still point to them.

Limits: descriptors (accepting pauses near the limit), octets and time before the login, what a peer leaves unread.
"""

import os

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.errno cimport EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno
from libc.stdint cimport UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from gateway._fastpath cimport LINE_FOUND, LINE_INCOMPLETE, LINE_TOO_LONG, FED, Scan
from gateway._fastpath cimport frames_clear, frames_drop, frames_feed, frames_held, frames_scan
from gateway._relay cimport (
    CLIENT_AT_END, CLIENT_GONE, NO_VERDICT, OVER, RESTING, SCANNER_SAYS_NO, TIRED, UPSTREAM_AT_END, UPSTREAM_GONE,
    Relay, Turn, relay_due, relay_forward, relay_turn,
)
from gateway._stream cimport (
    AT_END, BLOCKED, BROKEN, DEAF, DONE, ENDED, FAILED, FINISHED, HEARD, LOST, NO_STRANGER, PEER_SENT_FIN, READABLE, RECEIVE_OCTETS,
    SWOLLEN, TLS_OPEN, WRITABLE, Outcome, Stream, received, stream_accept_tls, stream_close, stream_finish, stream_flush, stream_init,
    stream_put, stream_read_on, stream_receive, stream_send, stream_shake_hands, stream_slim,
)
from gateway._system cimport (
    EPOLL_CLOEXEC, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Address, EpollEvent,
    accept_connection, close_descriptor, epoll_create1, epoll_wait, milliseconds, no_delay, notice_loss,
    own_address as system_own_address, socket_error, start_connection, unwatch, watch,
)
from gateway._tls cimport (
    ServerCertificates, ServerTls, fault_text, stream_fault, tls_connect, tls_facts, tls_prepare, tls_verdict,
)
from gateway._wheel cimport Timer, Wheel, tick_of, ticks_in, wheel_cancel, wheel_next, wheel_set, wheel_start

from gateway.errors import FrameTooLong
from gateway.errors import SessionEnded
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *memory, size_t octets)

cdef enum:
    EVENTS_A_RUN = 256
    ACCEPTS_A_RUN = 16
    HANDSHAKES_A_RUN = 8  # half a millisecond each: others wait for no more than so many
    DIALOGUE_OCTETS = 16384  # of one recv() before the relay
    UPSTREAM_BUDGET_OCTETS = 262144  # that a mail server may say before it has logged us in
    UNSENT_LIMIT_OCTETS = 16384  # of replies that a peer leaves unread before the relay (CVE-2025-21605)
    MOST_OCTETS_A_WRITE = 1 << 20
    UNSERVED_KEPT = 1024  # reports a run; the rest is counted only
    DRAINS_A_RUN = 8  # a client that goes on sending is not waited for
    LINGER_TICKS = 47  # 3 s for the client to take our last words and close
    SLIM_TICKS = 32  # 2 s without an octet: give large buffers back
    PAUSE_TICKS = 8  # half a second without accepting, at the limit of descriptors

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

# In the order of EndReason; checked below.
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

cdef tuple REASON_LIST = tuple(EndReason)
cdef dict REASON_NUMBERS = {reason: number for number, reason in enumerate(EndReason)}

if [reason.name for reason in EndReason] != [
    "HANDSHAKE_FAILED", "HANDSHAKE_TIMEOUT", "LOGIN_TIMEOUT", "LOGOUT", "TOO_MANY_ERRORS", "TOO_MANY_FAILURES",
    "LINE_TOO_LONG", "LITERAL_TOO_LONG", "TOO_MUCH_INPUT", "TOO_MUCH_OUTPUT", "NOT_THIS_PROTOCOL", "EVICTED",
    "CLIENT_CLOSED", "CLIENT_LOST", "LOGGED_OFF", "SHUTDOWN", "INTERNAL_ERROR", "UPSTREAM_CLOSED", "UPSTREAM_LOST",
    "IDLE_TIMEOUT", "SESSION_TIMEOUT",
]:
    raise ImportError("gateway._engine: written for another EndReason")

cdef dict CLIENT_FAILURES = {
    TOO_LATE: LOGIN_TIMEOUT,
    TOO_MUCH: TOO_MUCH_INPUT,
    PEER_READS_NOTHING: TOO_MUCH_OUTPUT,
    PEER_CLOSED: CLIENT_CLOSED,
    PEER_LOST: CLIENT_LOST,
}
cdef dict UPSTREAM_FAILURES = {
    TOO_LATE: "no answer in time",
    TOO_MUCH: "too much input",
    PEER_READS_NOTHING: "output is not read",
    PEER_CLOSED: "closed",
    PEER_LOST: "lost",
}

cdef struct Text:
    const unsigned char *octets
    size_t count

cdef struct Listener:
    int fd
    uint32_t number
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
    uint8_t phase
    uint8_t wish
    uint8_t answer
    uint8_t is_woken
    uint8_t is_client  # the first member of its session
    uint32_t serial  # what epoll gives back with the descriptor: late events of an earlier one are known by it
    size_t wished_octets
    size_t received_octets  # before the relay
    size_t taken_octets  # of them, by Python
    size_t budget_octets

cdef struct Session:
    Side client  # must be first
    Side *upstream  # in the relay
    Relay relay
    Listener *listener
    Address peer
    uint64_t accepted_ms
    uint32_t index
    uint32_t generation
    uint8_t reason  # that somebody ends it for; REASONS: none
    uint8_t is_ready
    uint8_t is_shaking
    uint8_t is_ended
    PyObject *farewells
    PyObject *on_end  # owned
    Session *next_ready
    Session *next_shaking
    Session *next_ended

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
    Session *ready
    Session *shaking
    Session *last_shaking
    Session *ended
    Side *dead
    Unserved unserved[UNSERVED_KEPT]
    uint32_t unserved_count
    Counters counters


# ---- sessions and sides ----

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
    bury(core, &session.client)
    core.sessions[session.index] = NULL
    core.free_indexes[core.free_count] = session.index
    core.free_count += 1
    core.live -= 1


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
    cdef int turn
    cdef Outcome outcome = DONE
    stream_flush(stream)
    for turn in range(DRAINS_A_RUN):
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


# ---- before the relay ----

cdef bint is_granted(Side *side) noexcept nogil:
    cdef size_t length
    cdef size_t with_end
    if side.wish == A_LINE:
        return frames_scan(&side.stream.frames, side.wished_octets, &length, &with_end) != LINE_INCOMPLETE
    return frames_held(&side.stream.frames) >= side.wished_octets


cdef Answer first_answer(Side *side) noexcept nogil:
    """What is known without waiting."""
    if side.wish == A_LINE or side.wish == OCTETS:
        return pursue(side)
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


cdef Answer pursue(Side *side) noexcept nogil:
    """Receive until the wish for a line or octets is granted, as far as it goes now."""
    cdef size_t count
    cdef Outcome outcome
    while not is_granted(side):
        if side.received_octets >= side.budget_octets:
            return TOO_MUCH
        outcome = stream_receive(&side.stream, DIALOGUE_OCTETS, &count)
        if outcome == BLOCKED:
            return PENDING
        if outcome == ENDED:
            return PEER_CLOSED
        if outcome == FAILED:
            return PEER_LOST
        if take_in(side, count) != PENDING:
            return TOO_MUCH
    return GRANTED


cdef void listen_for_first_line(Core *core, Session *session) noexcept nogil:
    cdef Answer given
    stream_flush(&session.client.stream)
    given = pursue(&session.client)
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
        if stream.flags & (WRITABLE | BROKEN):
            stream.fault = socket_error(stream.fd)
            answer(core, side, GRANTED if stream.fault == 0 else PEER_LOST)
        return
    if side.wish == A_HANDSHAKE:
        given = handshake_answer(stream_shake_hands(stream))
        if given != PENDING:
            answer(core, side, given)
        return
    stream_flush(stream)
    if side.wish == A_LINE or side.wish == OCTETS:
        given = pursue(side)
    elif stream.flags & BROKEN and side.session != NULL:
        given = PEER_LOST
        side.session.reason = CLIENT_LOST
    if given != PENDING:
        answer(core, side, given)


# ---- the relay ----

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


cdef void end_relay(Core *core, Session *session, Reason reason, const unsigned char *farewell, size_t count) noexcept nogil:
    """Both streams are let go of; the report goes to Python."""
    cdef Stream *client = &session.client.stream
    session.reason = reason
    core.counters.octets_in += session.relay.octets_in
    core.counters.octets_out += session.relay.octets_out
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
    return session.relay.is_between_lines and client.unsent == 0 and not client.flags & (FINISHED | DEAF | LOST)


cdef void relay(Core *core, Session *session) noexcept nogil:
    cdef Turn turn = relay_turn(&session.relay, core.now)
    if turn == OVER:
        if session.relay.verdict == UPSTREAM_GONE:
            session.reason = UPSTREAM_LOST  # the client is told
            wake(core, &session.client)
        else:
            end_relay(core, session, reason_of(session.relay.verdict), NULL, 0)
        return
    if turn == TIRED and not session.is_ready:
        session.is_ready = True
        session.next_ready = core.ready
        core.ready = session
    if (session.client.stream.flags | session.upstream.stream.flags) & SWOLLEN:
        look_soon(core, session)
    elif session.relay.verdict != NO_VERDICT:
        wheel_set(&core.wheel, &session.client.stream.timer, relay_due(&session.relay))


cdef void look_soon(Core *core, Session *session) noexcept nogil:
    """There will be memory to give back. A limit that is nearer comes first."""
    cdef Timer *timer = &session.client.stream.timer
    cdef uint32_t due = relay_due(&session.relay)
    if timer.back == NULL or <int> (timer.due - core.now) > SLIM_TICKS:
        wheel_set(&core.wheel, timer, core.now + SLIM_TICKS if <int> (due - core.now) > SLIM_TICKS else due)


cdef void watch_relay(Core *core, Session *session) noexcept nogil:
    """The timer of a relaying session: perhaps a limit has passed, perhaps there is memory to give back."""
    cdef uint32_t due = relay_due(&session.relay)
    if <int> (core.now - due) >= 0:
        session.reason = SESSION_TIMEOUT if session.relay.is_limited and due == session.relay.ends_at else IDLE_TIMEOUT
        if session.relay.verdict != NO_VERDICT:
            end_relay(core, session, reason_of(session.relay.verdict), NULL, 0)
        else:
            wake(core, &session.client)
        return
    if not session.relay.notices_loss:
        session.relay.notices_loss = True  # what the client's socket inherited; a short session does without
        notice_loss(session.upstream.stream.fd)
    if (session.client.stream.flags | session.upstream.stream.flags) & SWOLLEN:
        if core.now - session.relay.last_octet_at >= SLIM_TICKS:
            stream_slim(&session.client.stream)
            stream_slim(&session.upstream.stream)
        else:
            due = core.now + SLIM_TICKS
    wheel_set(&core.wheel, &session.client.stream.timer, due)


# ---- events ----

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


cdef bint watch_side(Core *core, Side *side) noexcept nogil:
    """Once for a descriptor's life: whatever happens, an edge tells."""
    if not enter_side(core, side):
        return False
    return watch(
        core.epoll, side.stream.fd, <uint64_t> side.serial << 32 | <uint64_t> side.stream.fd,
        EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
    ) == 0


cdef void accept(Core *core, Listener *listener) noexcept nogil:
    cdef Address peer
    cdef Session *session
    cdef int fd
    cdef int turn
    for turn in range(ACCEPTS_A_RUN):
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
    cdef int turn
    for turn in range(HANDSHAKES_A_RUN):
        session = core.shaking
        if session == NULL:
            return
        core.shaking = session.next_shaking
        session.is_shaking = False
        if session.client.phase == HANDSHAKE:
            shake_hands(core, session)


cdef void relay_ready(Core *core) noexcept nogil:
    """One more turn for each that was tired."""
    cdef Session *session = core.ready
    cdef Session *next_one
    core.ready = NULL
    while session != NULL:
        next_one = session.next_ready
        session.is_ready = False
        if session.client.phase == RELAY:
            relay(core, session)
        session = next_one


cdef bint run(Core *core) noexcept nogil:
    """One batch of events. True: there is more to do at once."""
    cdef EpollEvent events[EVENTS_A_RUN]
    cdef int count = epoll_wait(core.epoll, events, EVENTS_A_RUN, 0)
    cdef int at
    core.now_ms = milliseconds()
    core.now = tick_of(core.now_ms)
    relay_ready(core)
    for at in range(count):
        note(core, &events[at])
    shake_some(core)
    if core.wheel.now != core.now:
        turn_wheel(core)
        if core.is_paused and <int> (core.now - core.resume_at) >= 0:
            resume_accepting(core)
    return core.ready != NULL or core.shaking != NULL


cdef bint is_listed(const Side *side) noexcept nogil:
    if side.is_woken:
        return True
    return side.is_client and (side.session.is_ready or side.session.is_shaking or side.session.is_ended)


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


cdef void start_relay(Core *core, Session *session, uint32_t idle_ticks, uint32_t session_ticks) noexcept nogil:
    """What either side has read ahead goes first."""
    cdef Relay *joined = &session.relay
    cdef Side *client = &session.client
    cdef Side *upstream = session.upstream
    client.phase = upstream.phase = RELAY
    joined.client = &client.stream
    joined.upstream = &upstream.stream
    joined.idle_ticks = idle_ticks
    joined.is_limited = session_ticks > 0
    joined.ends_at = core.now + session_ticks
    joined.last_octet_at = core.now
    joined.is_between_lines = True
    core.counters.relayed += 1
    pass_on(joined, client, &upstream.stream)
    pass_on(joined, upstream, &client.stream)
    relay(core, session)
    if client.phase == RELAY:
        look_soon(core, session)


cdef void pass_on(Relay *joined, Side *side, Stream *to) noexcept nogil:
    cdef size_t held = frames_held(&side.stream.frames)
    if held > 0:
        relay_forward(joined, to, side.stream.frames.memory + side.stream.frames.start, held)
    frames_clear(&side.stream.frames)


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


# ---- for Python ----

cdef tuple address_tuple(const Address *address):
    return PyBytes_FromStringAndSize(<const char *> address.octets, 16), address.port, address.scope


cdef uint32_t deadline_tick(double deadline) noexcept nogil:
    """The first tick that is past a point of time.monotonic()."""
    cdef double ms = deadline * 1000
    cdef double now_ms = <double> milliseconds()
    return tick_of(<uint64_t> min(max(ms, now_ms), now_ms + (1 << 30))) + 1


cdef str detail_of(const Unserved *report):
    if report.reason == CLIENT_CLOSED:
        return "in the handshake" if report.was_heard else "before the handshake"
    return fault_text(report.stranger, report.verdict, report.tls_fault, report.fault)


cdef class Connection:
    """One side in the dialogue. The greenlet that reads from it waits here."""

    cdef Engine engine
    cdef Side *side  # NULL: closed, or handed over
    cdef object waiter  # the greenlet
    cdef readonly tuple address

    def __dealloc__(self):
        if self.side != NULL:
            self.let_go()

    @property
    def unsent(self):
        """Octets that the peer has yet to take."""
        return self.side.stream.unsent if self.side != NULL else 0

    @property
    def own_address(self):
        cdef Address own
        memset(&own, 0, sizeof(own))
        if self.side != NULL:
            system_own_address(self.side.stream.fd, &own)
        return address_tuple(&own)

    def read_line(self, Py_ssize_t limit_octets, double deadline):
        cdef size_t length = 0
        cdef size_t with_end = 0
        if limit_octets < 1:
            raise ValueError("limit_octets must be at least 1")
        self.wait(A_LINE, limit_octets, deadline)
        if frames_scan(&self.side.stream.frames, limit_octets, &length, &with_end) != LINE_FOUND:
            raise FrameTooLong(limit_octets)
        return self.take(length, with_end)

    def read_octets(self, Py_ssize_t count, double deadline):
        if count < 0:
            raise ValueError("count must not be negative")
        self.wait(OCTETS, count, deadline)
        return self.take(count, count)

    def write(self, const unsigned char[::1] data):
        self.check()
        if data.shape[0] == 0:
            return
        if data.shape[0] > MOST_OCTETS_A_WRITE:
            raise ValueError(f"more than {MOST_OCTETS_A_WRITE} octets")
        stream_send(&self.side.stream, &data[0], data.shape[0])
        if self.side.stream.flags & DEAF:
            self.fail(PEER_LOST)
        if self.side.stream.unsent > UNSENT_LIMIT_OCTETS:
            self.fail(PEER_READS_NOTHING)

    def close(self, const unsigned char[::1] last_words=b""):
        if self.side == NULL:
            return
        if 0 < last_words.shape[0] <= MOST_OCTETS_A_WRITE and self.side.stream.unsent <= UNSENT_LIMIT_OCTETS:
            stream_send(&self.side.stream, &last_words[0], last_words.shape[0])
        self.let_go()

    cdef bytes take(self, size_t length, size_t with_end):
        """What goes into the relay later costs nothing of the budget."""
        cdef Stream *stream = &self.side.stream
        cdef bytes octets = b""
        if with_end > self.side.budget_octets - self.side.taken_octets:
            self.fail(TOO_MUCH)
        self.side.taken_octets += with_end
        if length > 0:
            octets = PyBytes_FromStringAndSize(<char *> stream.frames.memory + stream.frames.start, length)
        frames_drop(&stream.frames, with_end)
        return octets

    cdef int wait(self, Wish wish, size_t octets, double deadline) except -1:
        """Returns when the wish is granted; raises what else may come of it."""
        cdef Answer given
        self.check()
        if self.waiter is not None:
            raise RuntimeError("another greenlet waits for this connection")
        self.side.wish = wish
        self.side.wished_octets = octets
        self.side.answer = PENDING
        given = first_answer(self.side)
        if given == PENDING:
            given = self.sleep(deadline)
        else:
            self.side.wish = NOTHING
        if given == GRANTED or (given == TOO_LATE and wish == TIME):
            return 0
        if wish == A_CONNECTION and given == PEER_LOST:
            raise UpstreamLost(stream_fault(&self.side.stream))
        if wish == A_HANDSHAKE:
            raise UpstreamLost((<UpstreamSide> self).handshake_fault(given))
        self.fail(given)
        return 0

    cdef Answer sleep(self, double deadline) except? PENDING:
        wheel_set(&self.engine.core.wheel, &self.side.stream.timer, deadline_tick(deadline))
        self.waiter = self.engine.current_greenlet()
        try:
            while self.side != NULL and self.side.answer == PENDING:
                self.engine.switch_to_hub()
        finally:
            self.waiter = None
            if self.side != NULL:
                self.side.wish = NOTHING
                wheel_cancel(&self.side.stream.timer)
        self.check()
        return <Answer> self.side.answer

    cdef int resume(self) except -1:
        """In the hub: the wish has an answer."""
        cdef object waiter = self.waiter
        if waiter is not None and self.side.answer != PENDING:
            waiter.switch()
        return 0

    cdef Side *detach(self) noexcept:
        """From now on somebody else owns the side."""
        cdef Side *side = self.side
        self.side = NULL
        side.connection = NULL
        side.wish = NOTHING
        wheel_cancel(&side.stream.timer)
        return side

    cdef void let_go(self) noexcept:
        """Close it, if need be with a last word under way."""
        cdef Side *side = self.detach()
        stream_finish(&side.stream)
        bury(&self.engine.core, side)

    cdef int check(self) except -1:
        raise NotImplementedError

    cdef int fail(self, Answer given) except -1:
        raise NotImplementedError


cdef class ClientSide(Connection):
    """A client from its first line to the hand-over."""

    cdef readonly uint64_t key
    cdef readonly uint32_t listener
    cdef readonly double accepted_at
    cdef object owner  # the greenlet that serves it
    cdef bint is_told  # that somebody has ended it

    def facts(self):
        self.check()
        return tls_facts(&self.side.stream)

    def reached(self, state):
        self.check()

    def own(self):
        """`end` interrupts the greenlet that calls this."""
        self.owner = self.engine.current_greenlet()

    def pause(self, double seconds):
        self.wait(TIME, 0, milliseconds() / 1000.0 + seconds)

    def end(self, reason):
        self.engine.end(self.key, reason)

    def join(self, other, idle_s, session_s, farewells, on_end):
        cdef Session *session
        cdef UpstreamSide upstream
        cdef uint32_t idle_ticks = ticks_in(idle_s) if idle_s is not None else 0
        cdef uint32_t session_ticks = ticks_in(session_s) if session_s is not None else 0
        if not isinstance(other, UpstreamSide):
            raise TypeError("the upstream connection is not one of this transport's")
        upstream = other
        if self.side == NULL or upstream.side == NULL:
            raise RuntimeError("a connection that is closed cannot be handed over")
        session = self.detach().session
        session.upstream = upstream.detach()
        session.upstream.session = session
        self.owner = None
        Py_INCREF(farewells)
        Py_INCREF(on_end)
        session.farewells = <PyObject *> farewells
        session.on_end = <PyObject *> on_end
        start_relay(&self.engine.core, session, idle_ticks, session_ticks)
        if session.client.phase == RELAY and session.reason != REASONS:
            wake(&self.engine.core, &session.client)  # ended meanwhile, and the owner has not waited since
        self.engine.nudge()

    cdef int resume(self) except -1:
        cdef object reason
        if self.side.session.reason == REASONS or self.is_told or self.owner is None:
            return Connection.resume(self)
        self.is_told = True
        reason = REASON_LIST[self.side.session.reason]
        self.owner.throw(SessionEnded(reason))
        return 0

    cdef void let_go(self) noexcept:
        cdef Side *side = self.detach()
        self.owner = None
        frames_clear(&side.stream.frames)
        linger(&self.engine.core, side.session)

    cdef int check(self) except -1:
        if self.side == NULL:
            raise SessionEnded(EndReason.INTERNAL_ERROR, "the connection is closed")
        if self.side.session.reason != REASONS:
            self.is_told = True
            raise SessionEnded(REASON_LIST[self.side.session.reason])
        return 0

    cdef int fail(self, Answer given) except -1:
        """Its own end stands against a later `end`."""
        self.side.session.reason = CLIENT_FAILURES[given]
        self.is_told = True
        raise SessionEnded(
            REASON_LIST[self.side.session.reason], stream_fault(&self.side.stream) if given == PEER_LOST else ""
        )


cdef class UpstreamSide(Connection):
    """A mail server from the connection to the hand-over."""

    cdef str server_name  # as it is verified

    def secure(self, context, str server_name, bytes host_name, bytes address, double deadline):
        """address: verify the certificate for it, not for the name (4 or 16 octets; None: for the name)."""
        cdef Stream *stream
        cdef size_t count = 0
        self.check()
        stream = &self.side.stream
        if stream.ssl != NULL:
            raise UpstreamLost("TLS is there already")
        if frames_held(&stream.frames) > 0:
            raise UpstreamLost("the server sent more before TLS than it should (CVE-2011-0411)")
        self.server_name = server_name
        tls_connect(stream, context, host_name, address)
        self.wait(A_HANDSHAKE, 0, deadline)
        stream_flush(stream)
        if stream_read_on(stream, &count) == DONE and take_in(self.side, count) != PENDING:
            self.fail(TOO_MUCH)
        stream_slim(stream)

    def facts(self):
        self.check()
        return tls_facts(&self.side.stream) if self.side.stream.ssl != NULL else None

    cdef int check(self) except -1:
        if self.side == NULL:
            raise UpstreamLost("the connection is closed")
        return 0

    cdef str handshake_fault(self, Answer given):
        cdef str fault = stream_fault(&self.side.stream)
        if given == TOO_LATE:
            return "TLS: no handshake in time"
        if given == PEER_CLOSED:
            fault = "in the handshake" if self.side.stream.flags & HEARD else "before the handshake"
        return f"TLS with {self.server_name}: {fault}"

    cdef int fail(self, Answer given) except -1:
        cdef str words = UPSTREAM_FAILURES[given]
        cdef str fault = stream_fault(&self.side.stream) if given == PEER_LOST else ""
        raise UpstreamLost(f"{words}: {fault}" if fault else words)


cdef class Engine:
    """One a worker, made after the fork, used from the hub's thread only.

    `callbacks` has, each called in the hub and never allowed to wait:
    switch_to_hub(), current_greenlet(): gevent's; schedule(): have `run` called soon;
    opened(client): a first line is there; relay_ended(on_end, reason, octets_in, octets_out): a relay is over;
    unserved(listener, reason, address, detail): a session is over that never had a line; trouble(error): accepting
    pauses; failed(): an exception is being handled that nobody else will.
    """

    cdef Core core
    cdef object callbacks
    cdef object switch_to_hub
    cdef object current_greenlet
    cdef type client_class
    cdef type upstream_class
    cdef list kept  # what the listeners point into
    cdef bint is_running
    cdef bint is_scheduled

    def __cinit__(self, callbacks, type client_class=ClientSide, type upstream_class=UpstreamSide,
                  int descriptor_limit=1 << 30):
        if not issubclass(client_class, ClientSide) or not issubclass(upstream_class, UpstreamSide):
            raise TypeError("the classes must be made of ClientSide and UpstreamSide")
        memset(&self.core, 0, sizeof(Core))
        self.core.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.core.epoll < 0:
            raise OSError(errno, os.strerror(errno))
        self.core.descriptor_limit = descriptor_limit
        self.core.now_ms = milliseconds()
        self.core.now = tick_of(self.core.now_ms)
        wheel_start(&self.core.wheel, self.core.now)
        self.callbacks = callbacks
        self.switch_to_hub = callbacks.switch_to_hub
        self.current_greenlet = callbacks.current_greenlet
        self.client_class = client_class
        self.upstream_class = upstream_class
        self.kept = []

    def __dealloc__(self):
        cdef Listener *listener
        self.close()
        free(self.core.sides)
        free(self.core.sessions)
        free(self.core.free_indexes)
        while self.core.listeners != NULL:
            listener = self.core.listeners
            self.core.listeners = listener.next
            free(listener)

    @property
    def epoll_fd(self):
        return self.core.epoll

    def listen(self, int fd, ServerCertificates certificates not None, bytes greeting, dict farewells, *,
               double handshake_s, double login_s, uint32_t line_octets, uint32_t budget_octets):
        """Accept on a listening socket, which stays the caller's. Returns the listener's number."""
        cdef Listener *listener
        cdef bytes text
        if not 0 < line_octets <= budget_octets <= 1 << 24:
            raise ValueError("0 < line_octets <= budget_octets <= 16777216")
        listener = <Listener *> calloc(1, sizeof(Listener))
        if listener == NULL:
            raise MemoryError
        listener.next = self.core.listeners
        self.core.listeners = listener
        listener.fd = fd
        listener.number = listener.next.number + 1 if listener.next != NULL else 0
        listener.server = &certificates.tls
        listener.greeting.octets = greeting
        listener.greeting.count = len(greeting)
        for reason, text in farewells.items():
            listener.farewells[<int> REASON_NUMBERS[reason]].octets = text
            listener.farewells[<int> REASON_NUMBERS[reason]].count = len(text)
        self.kept += [certificates, greeting, list(farewells.values())]
        listener.handshake_ticks = ticks_in(handshake_s)
        listener.login_ticks = ticks_in(login_s)
        listener.line_octets = line_octets
        listener.budget_octets = budget_octets
        no_delay(fd)  # what is accepted inherits both
        notice_loss(fd)
        if watch_listener(&self.core, listener) < 0:
            raise OSError(errno, os.strerror(errno))
        listener.is_open = True
        return listener.number

    def stop_listening(self):
        cdef Listener *listener = self.core.listeners
        while listener != NULL:
            if listener.is_open and not self.core.is_paused:
                unwatch(self.core.epoll, listener.fd)
            listener.is_open = False
            listener = listener.next

    def run(self):
        """Do what there is to do now. True: call again soon."""
        if self.is_running:
            return False
        self.is_running = True
        self.is_scheduled = False
        try:
            with nogil:
                run(&self.core)
            self.deliver()
        finally:
            self.is_running = False
        return self.core.ready != NULL or self.core.shaking != NULL

    def connect(self, bytes octets not None, uint16_t port, uint32_t scope, double deadline):
        """An open connection to an IPv6 address, or to an IPv4 address that is mapped to one. Raises UpstreamLost."""
        cdef Address address
        cdef Side *side
        cdef int fd
        cdef UpstreamSide upstream
        if len(octets) != 16:
            raise ValueError("an address has 16 octets")
        memset(&address, 0, sizeof(address))
        memcpy(address.octets, <const unsigned char *> octets, 16)
        address.port = port
        address.scope = scope
        upstream = self.upstream_class.__new__(self.upstream_class)
        upstream.engine = self
        upstream.address = address_tuple(&address)
        fd = start_connection(&address)
        if fd < 0:
            raise UpstreamLost(os.strerror(errno))
        upstream.side = side = self.new_upstream(fd)
        side.connection = <PyObject *> upstream
        try:
            upstream.wait(A_CONNECTION, 0, deadline)
        except BaseException:
            upstream.close()
            raise
        side.phase = DIALOGUE
        return upstream

    def end(self, uint64_t key, reason):
        """End the session with that key (a ClientSide's), wherever it is. False: there is none, or it is over."""
        cdef uint32_t index = <uint32_t> key
        cdef Session *session
        cdef bint is_ended
        if index >= self.core.size:
            return False
        session = self.core.sessions[index]
        if session == NULL or session.generation != key >> 32:
            return False
        is_ended = end_session(&self.core, session, REASON_NUMBERS[reason])
        self.nudge()
        return is_ended

    def end_all(self, reason):
        """How many were ended."""
        cdef uint32_t index
        cdef int number = REASON_NUMBERS[reason]
        cdef unsigned long ended = 0
        for index in range(self.core.size):
            if self.core.sessions[index] != NULL:
                ended += end_session(&self.core, self.core.sessions[index], <Reason> number)
        self.nudge()
        return ended

    def close(self):
        """Drop all sessions and listeners at once. Nothing is reported."""
        self.stop_listening()
        self.bury_all()
        free_dead(&self.core)
        if self.core.epoll >= 0:
            close_descriptor(self.core.epoll)
            self.core.epoll = -1

    @property
    def live(self):
        """Sessions, those included that linger."""
        return self.core.live

    def counters(self):
        cdef Counters *counters = &self.core.counters
        cdef int number
        return {
            "accepted": counters.accepted,
            "refused": counters.refused,
            "handshakes": counters.handshakes,
            "served": counters.served,
            "relayed": counters.relayed,
            "octets_in": counters.octets_in,
            "octets_out": counters.octets_out,
            "unserved": {
                REASON_LIST[number]: counters.unserved[number]
                for number in range(<int> REASONS) if counters.unserved[number]
            },
        }

    cdef Side *new_upstream(self, int fd) except NULL:
        cdef Side *side = <Side *> calloc(1, sizeof(Side))
        if side == NULL:
            close_descriptor(fd)
            raise MemoryError
        stream_init(&side.stream, fd)
        side.stream.flags = 0
        side.phase = CONNECTING
        side.budget_octets = UPSTREAM_BUDGET_OCTETS
        side.stream.frames.capacity = UPSTREAM_BUDGET_OCTETS + 3 * DIALOGUE_OCTETS
        if not watch_side(&self.core, side):
            bury(&self.core, side)
            raise UpstreamLost(os.strerror(errno))
        return side

    cdef int nudge(self) except -1:
        """Work was left behind outside of `run`: have it called."""
        if self.is_running or self.is_scheduled:
            return 0
        if self.core.woken != NULL or self.core.ended != NULL or self.core.ready != NULL or self.core.unserved_count > 0:
            self.is_scheduled = True
            self.callbacks.schedule()
        return 0

    cdef int deliver(self) except -1:
        """Call Python with what the run has brought; that may bring more."""
        cdef Side *side
        while self.core.woken != NULL or self.core.ended != NULL or self.core.unserved_count > 0:
            while self.core.woken != NULL:
                side = self.core.woken
                self.core.woken = side.next_woken
                side.is_woken = False
                try:
                    self.deliver_one(side)
                except BaseException:
                    self.callbacks.failed()
            self.report_ended()
            self.report_unserved()
        self.report_trouble()
        free_dead(&self.core)
        return 0

    cdef int deliver_one(self, Side *side) except -1:
        if side.phase == RELAY:
            self.say_farewell(side.session)
        elif side.phase == GONE or side.phase == LINGER:
            pass
        elif side.connection != NULL:
            (<Connection> side.connection).resume()
        elif side.is_client:
            self.open(side.session)
        return 0

    cdef int open(self, Session *session) except -1:
        cdef ClientSide client = self.client_class.__new__(self.client_class)
        client.engine = self
        client.side = &session.client
        client.key = <uint64_t> session.generation << 32 | session.index
        client.listener = session.listener.number
        client.accepted_at = session.accepted_ms / 1000.0
        client.address = address_tuple(&session.peer)
        session.client.connection = <PyObject *> client
        self.callbacks.opened(client)
        return 0

    cdef int say_farewell(self, Session *session) except -1:
        """Somebody, or a limit, ends a relaying session."""
        cdef object reason = REASON_LIST[session.reason]
        cdef bytes farewell = b""
        try:
            if may_say_farewell(session):
                farewell = (<object> session.farewells)(reason)
        finally:
            end_relay(&self.core, session, <Reason> session.reason, farewell, len(farewell))
        return 0

    cdef int report_ended(self) except -1:
        cdef Session *session
        cdef object on_end
        while self.core.ended != NULL:
            session = self.core.ended
            self.core.ended = session.next_ended
            session.is_ended = False
            on_end = <object> session.on_end
            Py_XDECREF(session.on_end)
            Py_XDECREF(session.farewells)
            session.on_end = session.farewells = NULL
            try:
                self.callbacks.relay_ended(
                    on_end, REASON_LIST[session.reason], session.relay.octets_in, session.relay.octets_out
                )
            except BaseException:
                self.callbacks.failed()
        return 0

    cdef int report_trouble(self) except -1:
        cdef int trouble = self.core.trouble
        if trouble != 0:
            self.core.trouble = 0
            self.callbacks.trouble(OSError(trouble, os.strerror(trouble)))
        return 0

    cdef int report_unserved(self) except -1:
        cdef Unserved *report
        cdef uint32_t at = 0
        while at < self.core.unserved_count:
            report = &self.core.unserved[at]
            at += 1
            try:
                self.callbacks.unserved(
                    report.listener, REASON_LIST[report.reason], address_tuple(&report.peer), detail_of(report)
                )
            except BaseException:
                self.callbacks.failed()
        self.core.unserved_count = 0
        return 0

    cdef void bury_all(self) noexcept:
        cdef uint32_t index
        cdef Session *session
        self.core.woken = NULL
        self.core.ready = self.core.shaking = self.core.ended = NULL
        for index in range(self.core.size):
            session = self.core.sessions[index]
            if session == NULL:
                continue
            if session.client.connection != NULL:
                (<Connection> session.client.connection).detach()
            session.is_ready = session.is_shaking = session.is_ended = session.client.is_woken = False
            Py_XDECREF(session.on_end)
            Py_XDECREF(session.farewells)
            session.on_end = session.farewells = NULL
            if session.client.phase == RELAY:
                session.upstream.is_woken = False
                bury(&self.core, session.upstream)
            bury_session(&self.core, session)
