# cython: autotestdict=False
"""The engine: every client and upstream descriptor of a worker, from accept to close, as Python sees it.

One epoll descriptor, itself watched by the gevent hub, which calls `Engine.run`. C works without the GIL as long as it
can: accept, handshake, greeting, first line, relay, time limits. Python is called with a session's first line, when a
wish of a waiting greenlet (a line, octets, a connection, a handshake, time) has an answer, and when a relay has ended.
A session that is handshaking, silent or relaying is nothing but C structs (and, relaying, references to what says
its farewell and wants to know its end).

Errors: connections raise `SessionEnded` (a client's), `UpstreamLost` (an upstream's) and `FrameTooLong`.
Limits: see `_session`, `_dialogue`, `_relay`, `_events`; and here, what a peer leaves unread before the relay.
See also: `_openssl` and `_tls` (handshakes), `_stream` (one descriptor), `_pump` (octets both ways), `_wheel` (time).
"""

import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from gateway._dialogue cimport first_answer, take_in
from gateway._events cimport end_evicted, end_session, run, watch_listener, watch_side
from gateway._fastpath cimport LINE_FOUND, frames_clear, frames_drop, frames_held, frames_scan
from gateway._relay cimport end_relay, may_say_farewell, start_relay
from gateway._session cimport (
    A_CONNECTION, A_HANDSHAKE, A_LINE, CLIENT_CLOSED, CLIENT_LOST, CONNECTING, DIALOGUE, DIALOGUE_OCTETS, EVICTED,
    GONE, GRANTED, LINGER, LOGIN_TIMEOUT, NOTHING, OCTETS, PEER_CLOSED, PEER_LOST, PEER_READS_NOTHING, PENDING,
    REASONS, RELAY, TIME, TOO_LATE, TOO_MUCH, TOO_MUCH_INPUT, TOO_MUCH_OUTPUT, UNSENT_LIMIT_OCTETS, Answer, Core,
    Counters, Listener, Reason, Session, Side, Unserved, Wish, bury, bury_session, free_dead, leave_table, linger,
    wake,
)
from gateway._scan cimport CommandFilter, new_line_scan, scan_lines
from gateway._sessions cimport GONE as NOT_THERE
from gateway._sessions cimport SessionTable, table_start_login
from gateway._stream cimport (
    DEAF, DONE, HEARD, Stream, stream_finish, stream_flush, stream_init, stream_read_on, stream_send, stream_slim,
)
from gateway._system cimport (
    EPOLL_CLOEXEC, EPOLLIN, Address, close_descriptor, epoll_create1, milliseconds, no_delay, notice_loss,
    own_address as system_own_address, start_connection, unwatch, watch,
)
from gateway._tls cimport ServerCertificates, fault_text, stream_fault, tls_connect, tls_facts
from gateway._wheel cimport tick_of, ticks_in, wheel_cancel, wheel_set, wheel_start

from gateway.errors import FrameTooLong
from gateway.errors import SessionEnded
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason

cdef enum:
    UPSTREAM_BUDGET_OCTETS = 262144  # that a mail server may say before it has logged us in
    MOST_OCTETS_A_WRITE = 1 << 20

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
        given = first_answer(&self.engine.core, self.side)
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

    @property
    def table_handle(self):
        """Slot and generation in the session table; None: there is none, or it is over."""
        if self.side == NULL or self.side.session.handle.slot == 0:
            return None
        return self.side.session.handle.slot, self.side.session.handle.generation

    def start_login(self):
        """A user name was given. Raises SessionEnded if the session was evicted meanwhile."""
        cdef Session *session
        self.check()
        session = self.side.session
        if session.handle.slot != 0 and table_start_login(self.engine.core.table, session.handle) == NOT_THERE:
            self.raise_eviction()

    def raise_eviction(self):
        """The table says that somebody has ended it: raise SessionEnded with the reason."""
        self.check()
        end_evicted(&self.engine.core)
        end_session(&self.engine.core, self.side.session, EVICTED)  # unless that has found it
        self.engine.nudge()
        self.check()

    def own(self):
        """`end` interrupts the greenlet that calls this."""
        self.owner = self.engine.current_greenlet()

    def inspect(self, CommandFilter commands not None):
        """Once it relays, the session ends if the client sends one of these commands."""
        cdef Session *session
        cdef void *scan
        self.check()
        session = self.side.session
        scan = new_line_scan(&commands.words)
        if scan == NULL:
            raise MemoryError
        self.engine.filters.add(commands)
        free(session.pump.scanned_in)
        session.pump.scanned_in = scan
        session.pump.scan_in = scan_lines

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
        leave_table(&self.engine.core, side.session)
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
    unserved(listener, reason, address, accepted_at, detail): a session is over that never had a line;
    trouble(error): accepting pauses; failed(): an exception is being handled that nobody else will.
    """

    cdef Core core
    cdef object callbacks
    cdef object switch_to_hub
    cdef object current_greenlet
    cdef type client_class
    cdef type upstream_class
    cdef list kept  # what the listeners point into
    cdef set filters  # what sessions that are inspected point into
    cdef bint is_running
    cdef bint is_scheduled

    def __cinit__(self, callbacks, type client_class=ClientSide, type upstream_class=UpstreamSide,
                  int descriptor_limit=1 << 30, SessionTable table=None, uint16_t worker=0):
        if not issubclass(client_class, ClientSide) or not issubclass(upstream_class, UpstreamSide):
            raise TypeError("the classes must be made of ClientSide and UpstreamSide")
        self.kept = []
        self.filters = set()
        memset(&self.core, 0, sizeof(Core))
        self.core.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.core.epoll < 0:
            raise OSError(errno, os.strerror(errno))
        self.core.descriptor_limit = descriptor_limit
        self.core.bell = -1
        if table is not None:
            self.watch_table(table, worker)
        self.core.now_ms = milliseconds()
        self.core.now = tick_of(self.core.now_ms)
        wheel_start(&self.core.wheel, self.core.now)
        self.callbacks = callbacks
        self.switch_to_hub = callbacks.switch_to_hub
        self.current_greenlet = callbacks.current_greenlet
        self.client_class = client_class
        self.upstream_class = upstream_class

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

    cdef int watch_table(self, SessionTable table, uint16_t worker) except -1:
        if worker >= table.workers:
            raise ValueError(f"the table has {table.workers} workers")
        self.kept.append(table)
        self.core.table = &table.table
        self.core.worker = worker
        self.core.bell = table.eventfds[worker]
        if watch(self.core.epoll, self.core.bell, <uint64_t> self.core.bell, EPOLLIN) < 0:
            raise OSError(errno, os.strerror(errno))
        return 0

    @property
    def epoll_fd(self):
        return self.core.epoll

    def listen(self, int fd, ServerCertificates certificates not None, bytes greeting, dict farewells, *,
               double handshake_s, double login_s, uint32_t line_octets, uint32_t budget_octets, uint8_t protocol=0):
        """Accept on a listening socket, which stays the caller's. Returns the listener's number.

        protocol: its number in the session table.
        """
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
        listener.protocol = protocol
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
        self.core.table = NULL
        self.kept = []
        self.filters = set()

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
        if (self.core.woken != NULL or self.core.ended != NULL or self.core.ready != NULL
                or self.core.unserved_count > 0):
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
                    on_end, REASON_LIST[session.reason], session.pump.octets_in, session.pump.octets_out
                )
            except BaseException:
                self.callbacks.failed()
            leave_table(&self.core, session)
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
                    report.listener, REASON_LIST[report.reason], address_tuple(&report.peer),
                    report.accepted_ms / 1000.0, detail_of(report)
                )
            except BaseException:
                self.callbacks.failed()
        self.core.unserved_count = 0
        return 0

    cdef void bury_all(self) noexcept:
        cdef uint32_t index
        cdef Session *session
        self.core.woken = NULL
        self.core.ready = NULL
        self.core.shaking = self.core.ended = NULL
        for index in range(self.core.size):
            session = self.core.sessions[index]
            if session == NULL:
                continue
            if session.client.connection != NULL:
                (<Connection> session.client.connection).detach()
            session.is_shaking = session.is_ended = session.client.is_ready = session.client.is_woken = False
            Py_XDECREF(session.on_end)
            Py_XDECREF(session.farewells)
            session.on_end = session.farewells = NULL
            if session.client.phase == RELAY:
                session.upstream.is_woken = session.upstream.is_ready = False
                bury(&self.core, session.upstream)
            bury_session(&self.core, session)
