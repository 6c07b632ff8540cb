"""A server's certificates and their choice, a client's demands, what a handshake agreed on; see `_tls.pyx`."""

from libc.stdint cimport uint32_t

from gateway._stream cimport Stream

cdef struct Certificate:
    void *context  # the SSL_CTX
    const unsigned char *staple  # an OCSP response, DER; NULL: none
    uint32_t staple_octets

cdef struct ServerName:
    const unsigned char *text  # lower case; `.example.org` stands for any one label before it
    uint32_t length
    uint32_t certificate  # its index

cdef struct ServerTls:
    Certificate *certificates  # the first is the default
    ServerName *names  # in order
    uint32_t name_count
    unsigned char alpn_length  # 0: nothing is negotiated
    const unsigned char *alpn

cdef class ServerCertificates:
    cdef ServerTls tls
    cdef list kept  # what `tls` points into
    cdef int add(self, Certificate *certificate, object context, bytes response) except -1
    cdef int sort(self, dict names) except -1

cdef void tls_prepare(const ServerTls *server) noexcept nogil
cdef int tls_connect(Stream *stream, object context, bytes host_name, bytes address) except -1
cdef tuple tls_facts(Stream *stream)
cdef long tls_verdict(Stream *stream) noexcept nogil
cdef str fault_text(int stranger, long verdict, unsigned long tls_fault, int fault)
cdef str stream_fault(Stream *stream)
