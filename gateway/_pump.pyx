# cython: autotestdict=False
"""Octets both ways between two streams, each plain or TLS, until both have said all.

One direction moves when its sender has octets and its receiver has taken the last ones; so at most one chunk waits for
each receiver, and a peer that does not read stops the other by TCP's own means. A half-close is passed on.
A turn moves a bounded number of chunks: a bulk transfer does not keep the others waiting.

Limits: about CHUNKS_A_TURN * 128 KiB a direction and turn; what waits for a receiver is one chunk.
"""

from gateway._fastpath cimport LF
from gateway._stream cimport (
    AT_END, DEAF, DONE, LOST, RECEIVE_OCTETS, Outcome, received,
    stream_finish, stream_flush, stream_receive, stream_send, stream_send_last,
)

cdef enum:
    CHUNKS_A_TURN = 4
    # A TLS peer makes us answer (KeyUpdate); one that does not read the answers is not read either.
    UNREAD_ANSWERS_OCTETS = 65536
    HALF_CLOSED_TICKS = 938  # a minute without an octet is enough where one direction is left


cdef bint pump_forward(
    Pump *pump, Stream *to, const unsigned char *octets, size_t count, bint are_last
) noexcept nogil:
    """Count and send octets that came from the other side. False: the scanner says no."""
    if to is pump.upstream:
        pump.octets_in += count
        if pump.scan_in != NULL and not pump.scan_in(pump.scanned_in, octets, count):
            pump.verdict = SCANNER_SAYS_NO
            return False
    else:
        pump.octets_out += count
        if pump.scan_out != NULL and not pump.scan_out(pump.scanned_out, octets, count):
            pump.verdict = SCANNER_SAYS_NO
            return False
        pump.is_between_lines = octets[count - 1] == LF
    if are_last:
        stream_send_last(to, octets, count)
    else:
        stream_send(to, octets, count)
    return True


cdef bint is_taken(Pump *pump, Stream *receiver, uint32_t now) noexcept nogil:
    """The last octets are out, after another attempt if need be. A slow reader is not idle."""
    cdef uint32_t before = receiver.unsent
    if before > 0:
        stream_flush(receiver)
        if receiver.unsent < before:
            pump.last_octet_at = now
    return receiver.unsent == 0


cdef Turn move(Pump *pump, Stream *sender, Stream *receiver, uint32_t now) noexcept nogil:
    cdef size_t count
    cdef int _chunk
    cdef Outcome outcome
    cdef bint ends
    for _chunk in range(CHUNKS_A_TURN):
        if not is_taken(pump, receiver, now) or sender.unsent > UNREAD_ANSWERS_OCTETS:
            return RESTING
        outcome = stream_receive(sender, RECEIVE_OCTETS, &count)
        ends = sender.flags & AT_END and not receiver.flags & (AT_END | LOST)
        if outcome != DONE:
            if ends:
                stream_finish(receiver)
            return RESTING
        if count == 0:
            continue
        pump.last_octet_at = now
        if not pump_forward(pump, receiver, received, count, ends):
            return OVER
    return TIRED


cdef void note_first_end(Pump *pump) noexcept nogil:
    cdef int client = pump.client.flags
    cdef int upstream = pump.upstream.flags
    if pump.verdict != NO_VERDICT:
        return
    if upstream & AT_END:
        pump.verdict = UPSTREAM_AT_END
    elif client & AT_END:
        pump.verdict = CLIENT_AT_END
    elif client & (LOST | DEAF):
        pump.verdict = CLIENT_GONE
    elif upstream & LOST:
        pump.verdict = UPSTREAM_GONE


cdef bint is_over(const Pump *pump) noexcept nogil:
    """Nothing more can reach the client, or nothing more will."""
    cdef int client = pump.client.flags
    cdef int upstream = pump.upstream.flags
    if client & (LOST | DEAF):
        return True
    if pump.client.unsent > 0:
        return False
    return upstream & LOST or (upstream & AT_END and (client & AT_END or upstream & DEAF))


cdef Turn pump_turn(Pump *pump, uint32_t now) noexcept nogil:
    """Move what can be moved. After an event of either stream, and again later if TIRED."""
    cdef Turn inwards
    cdef Turn outwards
    if pump.verdict == SCANNER_SAYS_NO:
        return OVER
    inwards = move(pump, pump.client, pump.upstream, now)
    outwards = move(pump, pump.upstream, pump.client, now)
    if inwards == OVER or outwards == OVER:
        return OVER
    note_first_end(pump)
    if is_over(pump):
        return OVER
    return TIRED if inwards == TIRED or outwards == TIRED else RESTING


cdef uint32_t pump_due(const Pump *pump) noexcept nogil:
    """The tick at which the next time limit passes, if nothing moves; far ahead: none."""
    cdef uint32_t idle = pump.idle_ticks
    cdef uint32_t due
    if (pump.upstream.flags | pump.client.flags) & AT_END and (idle == 0 or idle > HALF_CLOSED_TICKS):
        idle = HALF_CLOSED_TICKS
    due = pump.last_octet_at + (idle if idle > 0 else 1 << 30)
    if pump.is_limited and <int> (pump.ends_at - due) < 0:
        due = pump.ends_at
    return due
