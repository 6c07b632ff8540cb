# cython: autotestdict=False
"""One descriptor, plain or TLS: receive, send, finish, without blocking and without the GIL.

TLS goes through memory BIOs. To receive, one recv() fills `ciphertext`, a read-only BIO is laid over it, and SSL_read
is called until it wants more: then everything was used (a part of a record is kept by the SSL), and `ciphertext` is
free for the next stream. What is to be sent collects in a BIO of the stream's own and goes out by one send(). An idle
stream thus owns no buffer.

Errors: none are raised; flags say what a stream is still good for, `fault` says why not.
Limits: at most what was asked for and one record more is received at a time; the sender looks at `unsent`.
Source: RFC 8446 section 5; edge-triggered epoll: a short recv() means that there is no more, unless a FIN was seen.
"""

from libc.errno cimport EAGAIN, ENOMEM, EPIPE, EPROTO, errno
from libc.stdint cimport UINT32_MAX, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from gateway._fastpath cimport frames_clear
from gateway._openssl cimport (
    SSL_ERROR_WANT_READ, SSL_ERROR_ZERO_RETURN, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_ENABLE_PARTIAL_WRITE,
    SSL_MODE_RELEASE_BUFFERS, SSL_OP_NO_RENEGOTIATION, openssl,
)
from gateway._system cimport MSG_NOSIGNAL, SHUT_WR, close_descriptor, recv, send, shutdown

cdef enum:
    HANDSHAKE_RECORD = 22
    ALERT_RECORD = 21
    HANDSHAKE_OCTETS = 16384  # of one recv()
    SMALL_OCTETS = 1024  # a few records, of which nothing is concluded
    LEAN_RATIO = 8
    LEAN_OCTETS = 2048  # of one recv(), from a peer whose records are lean: less than an eighth is for us

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *memory, size_t octets)

cdef const char *HTTP_METHODS[9]
HTTP_METHODS[:] = [
    b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"PATCH ", b"DELETE ", b"PRI ",
]
cdef const char *PROXY_BEGINNINGS[2]
PROXY_BEGINNINGS[:] = [b"PROXY ", b"\r\n\r\n\0"]

cdef unsigned char ciphertext[RECEIVE_OCTETS]
cdef unsigned char sent[16384]  # what BIO_read() copies and nobody looks at


# ---- life ----

cdef void stream_init(Stream *stream, int fd) noexcept nogil:
    memset(stream, 0, sizeof(Stream))
    stream.fd = fd
    stream.flags = READABLE | WRITABLE


cdef void stream_close(Stream *stream) noexcept nogil:
    """Give everything back at once, whatever waits unsent. Idempotent."""
    if stream.ssl != NULL:
        openssl.SSL_free(stream.ssl)
        stream.ssl = stream.records_out = NULL
    outbox_clear(&stream.outbox)
    frames_clear(&stream.frames)
    stream.unsent = 0
    stream.flags = AT_END | DEAF | FINISHED
    if stream.fd >= 0:
        close_descriptor(stream.fd)
        stream.fd = -1


cdef void fail(Stream *stream, int fault) noexcept nogil:
    stream.flags = (stream.flags | LOST) & ~READABLE
    if stream.fault == 0:
        stream.fault = fault


cdef void fail_tls(Stream *stream) noexcept nogil:
    if stream.tls_fault == 0:
        stream.tls_fault = openssl.ERR_peek_error()
    openssl.ERR_clear_error()
    fail(stream, EPROTO)


# ---- receiving ----

cdef size_t pull(Stream *stream, unsigned char *to, size_t room) noexcept nogil:
    """One recv(). 0: the flags say what happened."""
    cdef ssize_t count
    count = recv(stream.fd, to, room, 0)
    if count > 0:
        stream.raw_octets += min(<uint32_t> count, UINT32_MAX - stream.raw_octets)
        if <size_t> count < room and not stream.flags & BROKEN:
            stream.flags &= ~READABLE
            if stream.flags & PEER_SENT_FIN:
                stream.flags |= AT_END
        return count
    if count == 0 and stream.flags & DEAF and stream.fault != EPIPE:
        fail(stream, stream.fault)  # a reset that send() has met first looks like an end here
    elif count == 0:
        stream.flags = (stream.flags | AT_END) & ~READABLE
    elif errno == EAGAIN:
        stream.flags &= ~READABLE
    else:
        fail(stream, errno)
    return 0


cdef bint can_write(Stream *stream) noexcept nogil:
    """The SSL has a BIO to write records to, now at the latest."""
    cdef void *writes
    if stream.records_out == NULL:
        writes = openssl.BIO_new(openssl.BIO_s_mem())
        if writes == NULL:
            openssl.ERR_clear_error()
            return False
        openssl.SSL_set_bio(stream.ssl, NULL, writes)
        stream.records_out = writes
    return True


cdef bint lay_open(Stream *stream, size_t count) noexcept nogil:
    """Let the SSL read the first `count` octets of `ciphertext`; it may have to answer."""
    cdef void *bio = openssl.BIO_new_mem_buf(ciphertext, <int> count)
    if bio == NULL or not can_write(stream):
        openssl.BIO_free(bio)
        openssl.ERR_clear_error()
        fail(stream, ENOMEM)
        return False
    openssl.BIO_set_mem_eof_return(bio, -1)
    openssl.SSL_set_bio(stream.ssl, bio, stream.records_out)
    stream.flags |= LAID_OPEN
    return True


cdef void decrypt(Stream *stream, size_t *count) noexcept nogil:
    """All that the SSL can read now, to `received` from `count` on. Its answers (KeyUpdate, alerts) are sent."""
    cdef int result = 0
    cdef int error
    openssl.ERR_clear_error()
    while count[0] < sizeof(received):
        result = openssl.SSL_read(stream.ssl, received + count[0], <int> (sizeof(received) - count[0]))
        if result <= 0:
            break
        count[0] += result
    if result <= 0:
        error = openssl.SSL_get_error(stream.ssl, result)
        if error == SSL_ERROR_ZERO_RETURN:
            stream.flags = (stream.flags | AT_END) & ~READABLE
        elif error == SSL_ERROR_WANT_READ:
            stream.flags &= ~LAID_OPEN
        else:
            fail_tls(stream)
    else:
        fail(stream, ENOMEM)  # cannot happen: there is room for all that was laid open
    count_unsent(stream)
    if stream.unsent > 0:
        stream_flush(stream)


cdef Outcome outcome_of(const Stream *stream) noexcept nogil:
    if stream.flags & LOST:
        return FAILED
    return ENDED if stream.flags & AT_END else BLOCKED


cdef size_t pull_records(Stream *stream, size_t room, size_t *count) noexcept nogil:
    """One recv(), and what it held for us. Records that hold next to nothing are taken in small portions: each costs
    as much as one that is full."""
    cdef size_t got = pull(stream, ciphertext, min(room, <size_t> (LEAN_OCTETS if stream.flags & LEAN else room)))
    if got > 0 and lay_open(stream, got):
        decrypt(stream, count)
    if got > SMALL_OCTETS:
        stream.flags = stream.flags | LEAN if count[0] < got // LEAN_RATIO else stream.flags & ~LEAN
    return got


cdef Outcome stream_receive(Stream *stream, size_t room, size_t *count) noexcept nogil:
    """Octets from the peer into `received`, by one recv(). DONE: up to `room` and a record; perhaps none, and there
    may be more. What came before an end or a fault is given first.
    """
    cdef size_t got = 0
    count[0] = 0
    if stream.flags & READABLE:
        if stream.ssl == NULL:
            count[0] = pull(stream, received, min(room, sizeof(received)))
        else:
            got = pull_records(stream, min(room, sizeof(ciphertext)), count)
    if count[0] > 0 or (got > 0 and stream.flags & READABLE):
        return DONE
    return outcome_of(stream)


cdef Outcome stream_read_on(Stream *stream, size_t *count) noexcept nogil:
    """What came in the same flight as the end of a handshake, as stream_receive() would give it."""
    count[0] = 0
    decrypt(stream, count)
    return DONE if count[0] > 0 else outcome_of(stream)


# ---- sending ----

cdef void outbox_clear(Outbox *outbox) noexcept nogil:
    if outbox.memory != NULL:
        explicit_bzero(outbox.memory + outbox.start, outbox.end - outbox.start)
        free(outbox.memory)
    outbox.memory = NULL
    outbox.start = outbox.end = 0


cdef bint outbox_add(Outbox *outbox, const unsigned char *octets, size_t count) noexcept nogil:
    """Exactly as much memory as is needed: it waits for a slow peer, and there may be many."""
    cdef size_t waiting = outbox.end - outbox.start
    cdef unsigned char *memory
    if count > (1 << 30) - waiting:
        return False
    memory = <unsigned char *> malloc(waiting + count)
    if memory == NULL:
        return False
    if waiting > 0:
        memcpy(memory, outbox.memory + outbox.start, waiting)
    memcpy(memory + waiting, octets, count)
    outbox_clear(outbox)
    outbox.memory = memory
    outbox.end = <uint32_t> (waiting + count)
    return True


cdef size_t push(Stream *stream, const unsigned char *octets, size_t count) noexcept nogil:
    """One send(); how many octets it took."""
    cdef ssize_t taken = send(stream.fd, octets, count, MSG_NOSIGNAL)
    if taken < 0:
        if errno != EAGAIN:
            deafen(stream, errno)
        else:
            stream.flags &= ~WRITABLE
        return 0
    if <size_t> taken < count:
        stream.flags &= ~WRITABLE
    return taken


cdef void deafen(Stream *stream, int fault) noexcept nogil:
    """Nothing can be sent any more. What the peer sent before it left can still be read."""
    stream.flags = (stream.flags | DEAF) & ~WRITABLE
    if stream.fault == 0:
        stream.fault = fault
    outbox_clear(&stream.outbox)
    stream.unsent = 0


cdef void count_unsent(Stream *stream) noexcept nogil:
    cdef char *octets
    if not stream.flags & DEAF and stream.records_out != NULL:
        stream.unsent = <uint32_t> openssl.BIO_get_mem_data(stream.records_out, &octets)


cdef void stream_put(Stream *stream, const unsigned char *octets, size_t count) noexcept nogil:
    """Queue octets, to go out with the next flush."""
    if count == 0 or stream.flags & (DEAF | FINISHED):
        return
    if stream.ssl == NULL:
        if not outbox_add(&stream.outbox, octets, count):
            deafen(stream, ENOMEM)
            return
        stream.unsent = stream.outbox.end - stream.outbox.start
        return
    openssl.ERR_clear_error()
    if not can_write(stream):
        deafen(stream, ENOMEM)
        return
    if openssl.SSL_write(stream.ssl, octets, <int> count) != <int> count:
        deafen(stream, EPROTO)
        openssl.ERR_clear_error()
        return
    count_unsent(stream)


cdef void flush_records(Stream *stream) noexcept nogil:
    cdef char *octets
    cdef size_t taken
    openssl.BIO_get_mem_data(stream.records_out, &octets)
    taken = push(stream, <unsigned char *> octets, stream.unsent)
    if not stream.flags & DEAF:
        stream.unsent -= <uint32_t> taken
    while taken > 0:
        taken -= openssl.BIO_read(stream.records_out, sent, <int> min(taken, sizeof(sent)))


cdef void flush_outbox(Stream *stream) noexcept nogil:
    cdef Outbox *outbox = &stream.outbox
    cdef size_t taken = push(stream, outbox.memory + outbox.start, outbox.end - outbox.start)
    outbox.start += <uint32_t> taken
    if outbox.start == outbox.end:
        outbox_clear(outbox)
    stream.unsent = outbox.end - outbox.start


cdef void send_fin(Stream *stream) noexcept nogil:
    stream.flags &= ~FIN_DUE
    shutdown(stream.fd, SHUT_WR)


cdef void stream_flush(Stream *stream) noexcept nogil:
    """Send what waits, as far as the peer takes it."""
    if stream.unsent == 0 or not stream.flags & WRITABLE:
        return
    if stream.ssl == NULL:
        flush_outbox(stream)
    else:
        flush_records(stream)
    if stream.unsent == 0 and stream.flags & FIN_DUE:
        send_fin(stream)


cdef void stream_send(Stream *stream, const unsigned char *octets, size_t count) noexcept nogil:
    """Put and flush. Octets for a plain stream that takes them at once are not copied."""
    cdef size_t taken
    if stream.ssl == NULL and stream.unsent == 0 and stream.flags & WRITABLE and count > 0:
        if stream.flags & FINISHED:
            return
        taken = push(stream, octets, count)
        octets += taken
        count -= taken
    stream_put(stream, octets, count)
    stream_flush(stream)


cdef void stream_send_last(Stream *stream, const unsigned char *octets, size_t count) noexcept nogil:
    """Send and finish; close_notify goes in the same segment."""
    if stream.ssl == NULL:
        stream_send(stream, octets, count)
    else:
        stream_put(stream, octets, count)
    stream_finish(stream)


cdef void stream_finish(Stream *stream) noexcept nogil:
    """Say that nothing more comes: close_notify, then a FIN, when all is sent. The other direction goes on."""
    if stream.flags & FINISHED or stream.fd < 0:
        return
    stream.flags |= FINISHED
    if stream.flags & TLS_OPEN and not stream.flags & (LOST | DEAF) and can_write(stream):
        openssl.ERR_clear_error()
        openssl.SSL_shutdown(stream.ssl)
        openssl.ERR_clear_error()
        count_unsent(stream)
        stream_flush(stream)
    if stream.unsent > 0:
        stream.flags |= FIN_DUE
    else:
        send_fin(stream)


# ---- TLS ----

cdef bint new_bios(void **reads, void **writes) noexcept nogil:
    reads[0] = openssl.BIO_new(openssl.BIO_s_mem())
    writes[0] = openssl.BIO_new(openssl.BIO_s_mem())
    if reads[0] == NULL or writes[0] == NULL:
        openssl.BIO_free(reads[0])
        openssl.BIO_free(writes[0])
        openssl.ERR_clear_error()
        return False
    openssl.BIO_set_mem_eof_return(reads[0], -1)
    return True


cdef bint stream_start_tls(Stream *stream, void *context, bint as_client) noexcept nogil:
    """From now on the stream is TLS, once stream_shake_hands() is DONE."""
    cdef void *reads
    cdef void *writes
    cdef void *ssl = openssl.SSL_new(context)
    if ssl == NULL or not new_bios(&reads, &writes):
        openssl.SSL_free(ssl)
        openssl.ERR_clear_error()
        fail(stream, ENOMEM)
        return False
    openssl.SSL_set_bio(ssl, reads, writes)
    openssl.SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS)
    openssl.SSL_clear_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE)  # which pyOpenSSL sets: a write is all its records
    openssl.SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION)
    if as_client:
        openssl.SSL_set_connect_state(ssl)
    else:
        openssl.SSL_set_accept_state(ssl)
    stream.ssl = ssl
    stream.records_out = writes
    return True


cdef Stranger look_at(const unsigned char *octets, size_t count) noexcept nogil:
    """The first octets where a handshake, or a server's alert (RFC 8446 section 5.1), should be."""
    cdef const char *method
    if octets[0] == HANDSHAKE_RECORD or octets[0] == ALERT_RECORD:
        return NO_STRANGER
    for method in HTTP_METHODS:
        if count >= strlen(method) and memcmp(octets, method, strlen(method)) == 0:
            return HTTP_REQUEST
    for method in PROXY_BEGINNINGS:
        if count >= strlen(method) and memcmp(octets, method, strlen(method)) == 0:
            return PROXY_HEADER
    return OTHER_OCTETS


cdef Outcome hear(Stream *stream, size_t *count) noexcept nogil:
    """More octets of the peer's handshake, into `ciphertext`."""
    count[0] = 0
    while count[0] == 0:
        if stream.flags & LOST:
            return FAILED
        if not stream.flags & READABLE:
            return ENDED if stream.flags & AT_END else BLOCKED
        count[0] = pull(stream, ciphertext, HANDSHAKE_OCTETS)
    if not stream.flags & HEARD:
        stream.flags |= HEARD
        stream.stranger = look_at(ciphertext, count[0])
        if stream.stranger != NO_STRANGER:
            fail(stream, EPROTO)
            return FAILED
    return DONE


cdef Outcome stream_accept_tls(Stream *stream, void *context) noexcept nogil:
    """Be TLS, as the server, once a client has begun a handshake. Until then it costs no memory."""
    cdef size_t count
    cdef Outcome outcome = hear(stream, &count)
    if outcome != DONE:
        return outcome
    return DONE if stream_start_tls(stream, context, False) and lay_open(stream, count) else FAILED


cdef Outcome stream_shake_hands(Stream *stream) noexcept nogil:
    """As far as it goes now. DONE: the last flight is not yet flushed, so that a greeting can go with it."""
    cdef int result
    cdef size_t count
    cdef Outcome outcome
    while True:
        openssl.ERR_clear_error()
        result = openssl.SSL_do_handshake(stream.ssl)
        if result == 1:
            stream.flags |= TLS_OPEN
            count_unsent(stream)
            return DONE
        if openssl.SSL_get_error(stream.ssl, result) != SSL_ERROR_WANT_READ:
            fail_tls(stream)
        count_unsent(stream)
        stream_flush(stream)
        outcome = hear(stream, &count)
        if outcome != DONE:
            return outcome
        if not lay_open(stream, count):
            return FAILED


cdef void stream_slim(Stream *stream) noexcept nogil:
    """Give back both BIOs, which a large answer may have made grow, unless something waits in them."""
    if stream.records_out == NULL or stream.unsent > 0 or stream.flags & LAID_OPEN:
        return
    openssl.SSL_set_bio(stream.ssl, NULL, NULL)
    stream.records_out = NULL
