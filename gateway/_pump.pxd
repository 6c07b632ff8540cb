"""Octets both ways between two streams; see `_pump.pyx`."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from gateway._stream cimport Stream

# Sees every octet of one direction before it is sent on, in order. False: the session must end, and these octets do
# not go out. NULL where nobody wants to look, which costs nothing.
ctypedef bint (*scanner)(void *state, const unsigned char *octets, size_t count) noexcept nogil

cdef enum Turn:
    RESTING  # nothing to do until epoll says so
    TIRED  # there is more to do, but others come first
    OVER  # see `verdict`

cdef enum Verdict:
    NO_VERDICT
    CLIENT_AT_END
    CLIENT_GONE
    UPSTREAM_AT_END
    UPSTREAM_GONE
    SCANNER_SAYS_NO

cdef struct Pump:
    Stream *client
    Stream *upstream
    uint64_t octets_in  # from the client
    uint64_t octets_out
    uint32_t idle_ticks  # 0: no limit
    uint32_t ends_at  # tick; only if `is_limited`
    uint32_t last_octet_at  # tick
    uint8_t is_limited
    uint8_t notices_loss  # keep-alive is on
    uint8_t is_between_lines  # the client has had whole lines only
    uint8_t verdict  # who ended it first
    scanner scan_in
    scanner scan_out
    void *scanned_in
    void *scanned_out

cdef bint pump_forward(
    Pump *pump, Stream *to, const unsigned char *octets, size_t count, bint are_last
) noexcept nogil
cdef Turn pump_turn(Pump *pump, uint32_t now) noexcept nogil
cdef uint32_t pump_due(const Pump *pump) noexcept nogil
