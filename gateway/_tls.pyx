# cython: autotestdict=False
"""What the engine decides in a TLS handshake: the certificate by the client's SNI, ALPN, the OCSP response; and, as a
client, whose certificate it believes.

pyOpenSSL's own callbacks want a pyOpenSSL Connection. These are C functions set on the same contexts. OpenSSL gives
them no argument of ours, so the engine says before each step of a handshake whose server it is (`tls_prepare`).

Errors: TypeError and ValueError for certificates that cannot be used.
Source: RFC 6066 sections 3 and 8, RFC 7301, RFC 9525 section 6 (one label per wildcard, in the leftmost place).
"""

import os
from sys import intern

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, strlen

from gateway._openssl cimport (
    SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_NOACK, SSL_TLSEXT_ERR_OK, SSL_VERIFY_PEER,
    TLSEXT_NAMETYPE_host_name, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, X509_V_OK,
    context_pointer, openssl,
)
from gateway._stream cimport HTTP_REQUEST, NO_STRANGER, OTHER_OCTETS, PROXY_HEADER, stream_start_tls

cdef enum:
    MAX_NAME_OCTETS = 255  # of a host name, RFC 1035 section 2.3.4

cdef const ServerTls *server_at_work = NULL

cdef dict STRANGERS = {
    HTTP_REQUEST: "an HTTP request instead of TLS",
    PROXY_HEADER: "a PROXY header instead of TLS",
    OTHER_OCTETS: "octets that are not TLS",
}
cdef dict FAULTS = {b"no application protocol": "no common application protocol"}
# X509_V_ERR_: unable to get issuer certificate, (locally), to verify the leaf; self-signed leaf, or in the chain
cdef frozenset UNKNOWN_AUTHORITY = frozenset({2, 20, 21, 18, 19})


# ---- the choice by name ----

cdef int compare(const unsigned char *one, size_t length, const ServerName *other) noexcept nogil:
    cdef int difference = memcmp(one, other.text, min(length, <size_t> other.length))
    if difference != 0:
        return difference
    return (length > other.length) - (length < other.length)


cdef const ServerName *find(const ServerTls *server, const unsigned char *text, size_t length) noexcept nogil:
    cdef size_t low = 0
    cdef size_t high = server.name_count
    cdef size_t middle
    cdef int order
    while low < high:
        middle = (low + high) // 2
        order = compare(text, length, &server.names[middle])
        if order == 0:
            return &server.names[middle]
        if order < 0:
            high = middle
        else:
            low = middle + 1
    return NULL


cdef const ServerName *find_for(const ServerTls *server, const char *asked) noexcept nogil:
    """The name itself, or the wildcard for its leftmost label. NULL: the default certificate."""
    cdef unsigned char text[MAX_NAME_OCTETS]
    cdef size_t length
    cdef size_t at
    cdef const unsigned char *dot
    cdef const ServerName *found
    if asked == NULL or server.name_count == 0:
        return NULL
    length = strlen(asked)
    if length == 0 or length > MAX_NAME_OCTETS or asked[0] == c".":
        return NULL
    for at in range(length):
        text[at] = asked[at] + 32 if c"A" <= asked[at] <= c"Z" else asked[at]
    found = find(server, text, length)
    if found == NULL:
        dot = <const unsigned char *> memchr(text, c".", length)
        if dot != NULL and dot != text:
            found = find(server, dot, length - (dot - text))
    return found


# ---- OpenSSL's callbacks ----

cdef int choose_certificate(void *ssl, int *alert, void *unused) noexcept nogil:
    cdef const ServerName *found
    if server_at_work == NULL:
        return SSL_TLSEXT_ERR_NOACK
    found = find_for(server_at_work, openssl.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
    if found == NULL:
        return SSL_TLSEXT_ERR_NOACK
    openssl.SSL_set_SSL_CTX(ssl, server_at_work.certificates[found.certificate].context)
    return SSL_TLSEXT_ERR_OK


cdef int choose_protocol(
    void *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered, unsigned int octets,
    void *argument
) noexcept nogil:
    """Ours, or alert 120 (RFC 7301 section 3.2). `offered` is a run of length, name."""
    cdef unsigned int at = 0
    if server_at_work == NULL or server_at_work.alpn_length == 0:
        return SSL_TLSEXT_ERR_NOACK
    while at < octets and offered[at] <= octets - at - 1:
        if offered[at] == server_at_work.alpn_length:
            if memcmp(offered + at + 1, server_at_work.alpn, offered[at]) == 0:
                chosen[0] = offered + at + 1
                length[0] = offered[at]
                return SSL_TLSEXT_ERR_OK
        at += 1 + offered[at]
    return SSL_TLSEXT_ERR_ALERT_FATAL


cdef int staple(void *ssl, void *unused) noexcept nogil:
    """OpenSSL frees the copy. It sends nothing when the response is not DER."""
    cdef const ServerName *found
    cdef const Certificate *certificate
    cdef unsigned char *copy
    if server_at_work == NULL:
        return SSL_TLSEXT_ERR_NOACK
    found = find_for(server_at_work, openssl.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
    certificate = &server_at_work.certificates[found.certificate if found != NULL else 0]
    if certificate.staple == NULL:
        return SSL_TLSEXT_ERR_NOACK
    copy = <unsigned char *> openssl.OPENSSL_malloc(certificate.staple_octets)
    if copy == NULL:
        return SSL_TLSEXT_ERR_NOACK
    memcpy(copy, certificate.staple, certificate.staple_octets)
    openssl.SSL_set_tlsext_status_ocsp_resp(ssl, copy, <int> certificate.staple_octets)
    return SSL_TLSEXT_ERR_OK


# ---- server ----

cdef class ServerCertificates:
    def __cinit__(self, certificates, bytes alpn=b""):
        certificates = list(certificates)
        if not certificates:
            raise ValueError("a server needs a certificate")
        if len(alpn) > 255:
            raise ValueError("a protocol's name has at most 255 octets")
        self.kept = [alpn]
        self.tls.alpn = alpn
        self.tls.alpn_length = <unsigned char> len(alpn)
        self.tls.certificates = <Certificate *> calloc(len(certificates), sizeof(Certificate))
        if self.tls.certificates == NULL:
            raise MemoryError
        names = {}
        for index, (context, its_names, response) in enumerate(certificates):
            self.add(&self.tls.certificates[index], context, response)
            for name in its_names:
                names.setdefault(name_key(name), index)
        self.sort(names)

    def __dealloc__(self):
        free(self.tls.certificates)
        free(self.tls.names)

    cdef int add(self, Certificate *certificate, object context, bytes response) except -1:
        certificate.context = context_pointer(context)
        if response:
            certificate.staple = response
            certificate.staple_octets = <uint32_t> len(response)
        self.kept += [context, response]
        openssl.SSL_CTX_set_tlsext_servername_callback(certificate.context, choose_certificate)
        openssl.SSL_CTX_set_alpn_select_cb(certificate.context, choose_protocol, NULL)
        openssl.SSL_CTX_set_tlsext_status_cb(certificate.context, staple)
        return 0

    cdef int sort(self, dict names) except -1:
        cdef bytes name
        self.tls.names = <ServerName *> calloc(max(len(names), 1), sizeof(ServerName))
        if self.tls.names == NULL:
            raise MemoryError
        for at, name in enumerate(sorted(names)):
            self.kept.append(name)
            self.tls.names[at].text = name
            self.tls.names[at].length = <uint32_t> len(name)
            self.tls.names[at].certificate = names[name]
            self.tls.name_count += 1
        return 0


cdef bytes name_key(str name):
    cdef bytes text = name.lower().encode("ascii")
    if text.startswith(b"*."):
        text = text[1:]
    if not 0 < len(text) <= MAX_NAME_OCTETS or b"*" in text:
        raise ValueError(f"not a host name: {name!r}")
    return text


cdef void tls_prepare(const ServerTls *server) noexcept nogil:
    """Call before each step of a handshake that a client of `server` began."""
    global server_at_work
    server_at_work = server


# ---- client ----

cdef int tls_connect(Stream *stream, object context, bytes host_name, bytes address) except -1:
    """Demand a chain to the context's authorities and the host's name, or its address (4 or 16 octets) if given.

    OpenSSL checks the name together with the chain, so that a wrong one fails the handshake itself. Raises ValueError.
    """
    cdef void *demands
    cdef int accepted
    cdef const char *name = host_name
    cdef const unsigned char *octets
    if not stream_start_tls(stream, context_pointer(context), True):
        raise MemoryError
    demands = openssl.SSL_get0_param(stream.ssl)
    openssl.X509_VERIFY_PARAM_set_hostflags(
        demands, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    )
    if address is not None:
        octets = address
        accepted = openssl.X509_VERIFY_PARAM_set1_ip(demands, octets, len(address))
    else:
        accepted = openssl.X509_VERIFY_PARAM_set1_host(demands, name, len(host_name))
        openssl.SSL_set_tlsext_host_name(stream.ssl, <char *> name)
    if accepted != 1:
        openssl.ERR_clear_error()
        raise ValueError(f"not a name to verify a certificate for: {host_name!r}")
    openssl.SSL_set_verify(stream.ssl, SSL_VERIFY_PEER, NULL)
    return 0


# ---- what came of it ----

cdef tuple tls_facts(Stream *stream):
    """(version, cipher, ALPN or None, SNI or None, resumed, the peer's certificate as DER or None)."""
    cdef const unsigned char *alpn = NULL
    cdef unsigned int length = 0
    cdef const char *name = openssl.SSL_get_servername(stream.ssl, TLSEXT_NAMETYPE_host_name)
    openssl.SSL_get0_alpn_selected(stream.ssl, &alpn, &length)
    return (
        word(openssl.SSL_get_version(stream.ssl)),
        word(openssl.SSL_CIPHER_get_name(openssl.SSL_get_current_cipher(stream.ssl))),
        PyBytes_FromStringAndSize(<const char *> alpn, length) if length > 0 else None,
        name.decode("ascii", "replace").lower() if name != NULL else None,
        openssl.SSL_session_reused(stream.ssl) == 1,
        peer_certificate(stream.ssl),
    )


cdef str word(const char *text):
    """One of a few that OpenSSL has: all sessions share one object."""
    return intern(text.decode("ascii")) if text != NULL else ""


cdef bytes peer_certificate(void *ssl):
    cdef void *certificate = openssl.SSL_get_peer_certificate(ssl)
    cdef void *bio
    cdef char *octets
    cdef long count
    if certificate == NULL:
        return None
    bio = openssl.BIO_new(openssl.BIO_s_mem())
    try:
        if bio == NULL or openssl.i2d_X509_bio(bio, certificate) != 1:
            raise MemoryError
        count = openssl.BIO_get_mem_data(bio, &octets)
        return PyBytes_FromStringAndSize(octets, count)
    finally:
        openssl.BIO_free(bio)
        openssl.X509_free(certificate)


cdef long tls_verdict(Stream *stream) noexcept nogil:
    """What OpenSSL thinks of the peer's certificate chain."""
    return openssl.SSL_get_verify_result(stream.ssl) if stream.ssl != NULL else X509_V_OK


cdef str fault_text(int stranger, long verdict, unsigned long tls_fault, int fault):
    """Why a stream is LOST or DEAF, for the log: fixed words, never octets of the peer."""
    cdef const char *words = NULL
    if stranger != NO_STRANGER:
        return STRANGERS[stranger]
    if verdict != X509_V_OK:
        words = openssl.X509_verify_cert_error_string(verdict)
        if verdict in UNKNOWN_AUTHORITY:
            return f"certificate of an unknown authority ({words.decode('ascii')})"
        return words.decode("ascii")
    if tls_fault != 0:
        words = openssl.ERR_reason_error_string(tls_fault)
        return FAULTS.get(words, words.decode("ascii")) if words != NULL else "TLS error"
    return os.strerror(fault) if fault != 0 else ""


cdef str stream_fault(Stream *stream):
    return fault_text(stream.stranger, tls_verdict(stream), stream.tls_fault, stream.fault)
