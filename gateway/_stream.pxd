"""One descriptor, plain or TLS, and what is said over it; see `_stream.pyx`."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from gateway._fastpath cimport Frames
from gateway._wheel cimport Timer

cdef enum:
    RECEIVE_OCTETS = 131072  # of one recv()
    RECORD_OCTETS = 16384 + 256 + 5  # the largest TLS record, RFC 8446 section 5.2

cdef enum Flag:
    READABLE = 1 << 0  # as far as we know; recv() tells
    WRITABLE = 1 << 1
    PEER_SENT_FIN = 1 << 2
    BROKEN = 1 << 3  # epoll reported an error or a hang-up: recv() tells which
    AT_END = 1 << 5  # there is nothing more to receive: close_notify or a FIN came
    LOST = 1 << 6  # reset, or broken TLS: nothing more can be received
    DEAF = 1 << 7  # the peer takes no more; what is sent to it is dropped
    FINISHED = 1 << 8  # we have said all we will
    TLS_OPEN = 1 << 9  # the handshake is over
    HEARD = 1 << 11  # the peer has begun a handshake
    FIN_DUE = 1 << 13  # once all is sent
    LEAN = 1 << 10  # its records hold next to nothing
    LAID_OPEN = 1 << 12  # there are octets that the SSL has yet to read

# What is not TLS, where TLS should be.
cdef enum Stranger:
    NO_STRANGER
    HTTP_REQUEST
    PROXY_HEADER
    OTHER_OCTETS

cdef enum Outcome:
    DONE
    BLOCKED  # not now
    ENDED  # AT_END
    FAILED  # LOST

cdef struct Outbox:
    unsigned char *memory
    uint32_t start
    uint32_t end

cdef struct Stream:
    Timer timer  # must be first: the wheel's timers are streams
    int fd
    uint16_t flags
    uint8_t stranger
    uint32_t unsent  # octets that wait to be sent
    uint32_t raw_octets  # received in all, those of TLS itself included
    void *ssl  # NULL: plain
    void *records_out  # the memory BIO that `ssl` writes to and owns; NULL: none while it is idle
    Outbox outbox  # of a plain stream
    Frames frames  # received and not yet taken, before the relay
    int fault  # why it is LOST or DEAF: an errno,
    unsigned long tls_fault  # or OpenSSL's code

# What stream_receive() gives: valid until the next call for any stream.
cdef unsigned char received[RECEIVE_OCTETS + 2 * RECORD_OCTETS]

cdef void stream_init(Stream *stream, int fd) noexcept nogil
cdef void stream_close(Stream *stream) noexcept nogil
cdef bint stream_start_tls(Stream *stream, void *context, bint as_client) noexcept nogil
cdef Outcome stream_accept_tls(Stream *stream, void *context) noexcept nogil
cdef Outcome stream_shake_hands(Stream *stream) noexcept nogil
cdef Outcome stream_receive(Stream *stream, size_t room, size_t *count) noexcept nogil
cdef Outcome stream_read_on(Stream *stream, size_t *count) noexcept nogil
cdef void stream_put(Stream *stream, const unsigned char *octets, size_t count) noexcept nogil
cdef void stream_flush(Stream *stream) noexcept nogil
cdef void stream_send(Stream *stream, const unsigned char *octets, size_t count) noexcept nogil
cdef void stream_send_last(Stream *stream, const unsigned char *octets, size_t count) noexcept nogil
cdef void stream_finish(Stream *stream) noexcept nogil
cdef void stream_slim(Stream *stream) noexcept nogil

cdef inline bint stream_is_slim(const Stream *stream) noexcept nogil:
    return stream.records_out == NULL
