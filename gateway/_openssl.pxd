"""The functions of cryptography's OpenSSL that the engine calls; see `_openssl.pyx`.

Opaque objects are `void *`: SSL, SSL_CTX, BIO, X509 and the like never meet a header of another OpenSSL here.
Every function must be called with the queue of errors empty: `ERR_clear_error` first, where the result is looked at.
"""

from libc.stdint cimport uint64_t

ctypedef int (*servername_callback)(void *ssl, int *alert, void *unused) noexcept nogil
ctypedef int (*alpn_callback)(
    void *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered, unsigned int octets,
    void *argument
) noexcept nogil
ctypedef int (*status_callback)(void *ssl, void *unused) noexcept nogil

cdef enum:
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_SYSCALL = 5
    SSL_ERROR_ZERO_RETURN = 6
    SSL_TLSEXT_ERR_OK = 0
    SSL_TLSEXT_ERR_ALERT_FATAL = 2
    SSL_TLSEXT_ERR_NOACK = 3
    SSL_MODE_ENABLE_PARTIAL_WRITE = 1
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2
    SSL_MODE_RELEASE_BUFFERS = 16
    SSL_OP_NO_RENEGOTIATION = 1 << 30
    SSL_VERIFY_PEER = 1
    TLSEXT_NAMETYPE_host_name = 0
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 4
    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT = 32
    X509_V_OK = 0

cdef struct OpenSsl:
    # one connection
    void *(*SSL_new)(void *context) noexcept nogil
    void (*SSL_free)(void *ssl) noexcept nogil
    void (*SSL_set_bio)(void *ssl, void *reads, void *writes) noexcept nogil
    void (*SSL_set_accept_state)(void *ssl) noexcept nogil
    void (*SSL_set_connect_state)(void *ssl) noexcept nogil
    long (*SSL_set_mode)(void *ssl, long mode) noexcept nogil
    long (*SSL_clear_mode)(void *ssl, long mode) noexcept nogil
    uint64_t (*SSL_set_options)(void *ssl, uint64_t options) noexcept nogil
    int (*SSL_do_handshake)(void *ssl) noexcept nogil
    int (*SSL_read)(void *ssl, void *to, int room) noexcept nogil
    int (*SSL_write)(void *ssl, const void *octets, int count) noexcept nogil
    int (*SSL_shutdown)(void *ssl) noexcept nogil
    int (*SSL_get_error)(void *ssl, int result) noexcept nogil
    # what it agreed on
    const char *(*SSL_get_version)(void *ssl) noexcept nogil
    const void *(*SSL_get_current_cipher)(void *ssl) noexcept nogil
    const char *(*SSL_CIPHER_get_name)(const void *cipher) noexcept nogil
    int (*SSL_session_reused)(void *ssl) noexcept nogil
    const char *(*SSL_get_servername)(void *ssl, int kind) noexcept nogil
    void (*SSL_get0_alpn_selected)(void *ssl, const unsigned char **name, unsigned int *length) noexcept nogil
    void *(*SSL_get_peer_certificate)(void *ssl) noexcept nogil
    long (*SSL_get_verify_result)(void *ssl) noexcept nogil
    # the server's choices
    void *(*SSL_set_SSL_CTX)(void *ssl, void *context) noexcept nogil
    void (*SSL_CTX_set_tlsext_servername_callback)(void *context, servername_callback call) noexcept nogil
    void (*SSL_CTX_set_alpn_select_cb)(void *context, alpn_callback call, void *argument) noexcept nogil
    long (*SSL_CTX_set_tlsext_status_cb)(void *context, status_callback call) noexcept nogil
    long (*SSL_set_tlsext_status_ocsp_resp)(void *ssl, unsigned char *response, int octets) noexcept nogil
    # the client's demands
    void (*SSL_set_tlsext_host_name)(void *ssl, char *name) noexcept nogil
    void (*SSL_set_verify)(void *ssl, int mode, void *callback) noexcept nogil
    void *(*SSL_get0_param)(void *ssl) noexcept nogil
    int (*X509_VERIFY_PARAM_set1_host)(void *param, const char *name, size_t length) noexcept nogil
    int (*X509_VERIFY_PARAM_set1_ip)(void *param, const unsigned char *address, size_t length) noexcept nogil
    void (*X509_VERIFY_PARAM_set_hostflags)(void *param, unsigned int flags) noexcept nogil
    const char *(*X509_verify_cert_error_string)(long result) noexcept nogil
    # memory, errors, certificates
    void *(*BIO_new)(const void *method) noexcept nogil
    const void *(*BIO_s_mem)() noexcept nogil
    void *(*BIO_new_mem_buf)(const void *octets, int count) noexcept nogil
    long (*BIO_set_mem_eof_return)(void *bio, int value) noexcept nogil
    long (*BIO_get_mem_data)(void *bio, char **octets) noexcept nogil
    int (*BIO_read)(void *bio, void *to, int room) noexcept nogil
    int (*BIO_free)(void *bio) noexcept nogil
    void *(*OPENSSL_malloc)(size_t octets) noexcept nogil
    void (*ERR_clear_error)() noexcept nogil
    unsigned long (*ERR_peek_error)() noexcept nogil
    const char *(*ERR_reason_error_string)(unsigned long code) noexcept nogil
    int (*i2d_X509_bio)(void *bio, void *certificate) noexcept nogil
    void (*X509_free)(void *certificate) noexcept nogil

cdef OpenSsl openssl

cdef void *context_pointer(object context) except NULL
