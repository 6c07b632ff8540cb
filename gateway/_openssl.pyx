# cython: autotestdict=False
"""Function pointers into the OpenSSL that pyOpenSSL uses, so that C can work on pyOpenSSL's contexts.

pyOpenSSL has no OpenSSL of its own: it calls the one inside cryptography's wheel, whose symbols are hidden. cffi gives
their addresses. A second libssl must never touch these objects: their layout is private to the one that made them.

Errors: ImportError when a function is missing or its signature is not the one that `_openssl.pxd` was written for.
"""

from libc.stdint cimport uintptr_t

from cryptography.hazmat.bindings._rust import _openssl as binding
from OpenSSL import SSL


cdef int bind(void **function, str name, str signature) except -1:
    """`signature` is cffi's spelling of the type that the .pxd declares."""
    cdef uintptr_t address
    try:
        pointer = binding.ffi.addressof(binding.lib, name)
    except AttributeError:
        raise ImportError(f"gateway._openssl: the OpenSSL of this cryptography has no {name}") from None
    found = binding.ffi.typeof(pointer).cname
    if found != signature:
        raise ImportError(
            f"gateway._openssl: {name} is {found!r} in this cryptography; written for {signature!r}"
        )
    address = int(binding.ffi.cast("uintptr_t", pointer))
    if address == 0:
        raise ImportError(f"gateway._openssl: {name} is NULL in this cryptography")
    function[0] = <void *> address
    return 0


cdef void *context_pointer(object context) except NULL:
    """The SSL_CTX of a pyOpenSSL Context, which must be kept alive by the caller."""
    if not isinstance(context, SSL.Context):
        raise TypeError(f"not an OpenSSL.SSL.Context: {type(context).__name__}")
    return <void *> <uintptr_t> int(binding.ffi.cast("uintptr_t", context._context))


bind(<void **> &openssl.SSL_new, "SSL_new", "SSL *(*)(SSL_CTX *)")
bind(<void **> &openssl.SSL_free, "SSL_free", "void(*)(SSL *)")
bind(<void **> &openssl.SSL_set_bio, "SSL_set_bio", "void(*)(SSL *, BIO *, BIO *)")
bind(<void **> &openssl.SSL_set_accept_state, "SSL_set_accept_state", "void(*)(SSL *)")
bind(<void **> &openssl.SSL_set_connect_state, "SSL_set_connect_state", "void(*)(SSL *)")
bind(<void **> &openssl.SSL_set_mode, "SSL_set_mode", "long(*)(SSL *, long)")
bind(<void **> &openssl.SSL_clear_mode, "SSL_clear_mode", "long(*)(SSL *, long)")
bind(<void **> &openssl.SSL_set_options, "SSL_set_options", "uint64_t(*)(SSL *, uint64_t)")
bind(<void **> &openssl.SSL_do_handshake, "SSL_do_handshake", "int(*)(SSL *)")
bind(<void **> &openssl.SSL_read, "SSL_read", "int(*)(SSL *, void *, int)")
bind(<void **> &openssl.SSL_write, "SSL_write", "int(*)(SSL *, void *, int)")
bind(<void **> &openssl.SSL_shutdown, "SSL_shutdown", "int(*)(SSL *)")
bind(<void **> &openssl.SSL_get_error, "SSL_get_error", "int(*)(SSL *, int)")
bind(<void **> &openssl.SSL_get_version, "SSL_get_version", "char *(*)(SSL *)")
bind(<void **> &openssl.SSL_get_current_cipher, "SSL_get_current_cipher", "SSL_CIPHER *(*)(SSL *)")
bind(<void **> &openssl.SSL_CIPHER_get_name, "SSL_CIPHER_get_name", "char *(*)(SSL_CIPHER *)")
bind(<void **> &openssl.SSL_session_reused, "SSL_session_reused", "int(*)(SSL *)")
bind(<void **> &openssl.SSL_get_servername, "SSL_get_servername", "char *(*)(SSL *, int)")
bind(
    <void **> &openssl.SSL_get0_alpn_selected,
    "SSL_get0_alpn_selected",
    "void(*)(SSL *, unsigned char * *, unsigned int *)",
)
bind(<void **> &openssl.SSL_get_peer_certificate, "SSL_get_peer_certificate", "X509 *(*)(SSL *)")
bind(<void **> &openssl.SSL_get_verify_result, "SSL_get_verify_result", "long(*)(SSL *)")
bind(<void **> &openssl.SSL_set_SSL_CTX, "SSL_set_SSL_CTX", "SSL_CTX *(*)(SSL *, SSL_CTX *)")
bind(
    <void **> &openssl.SSL_CTX_set_tlsext_servername_callback,
    "SSL_CTX_set_tlsext_servername_callback",
    "void(*)(SSL_CTX *, int(*)(SSL *, int *, void *))",
)
bind(
    <void **> &openssl.SSL_CTX_set_alpn_select_cb,
    "SSL_CTX_set_alpn_select_cb",
    "void(*)(SSL_CTX *, int(*)(SSL *, unsigned char * *, unsigned char *, unsigned char *, unsigned int, void *), "
    "void *)",
)
bind(
    <void **> &openssl.SSL_CTX_set_tlsext_status_cb,
    "SSL_CTX_set_tlsext_status_cb",
    "long(*)(SSL_CTX *, int(*)(SSL *, void *))",
)
bind(
    <void **> &openssl.SSL_set_tlsext_status_ocsp_resp,
    "SSL_set_tlsext_status_ocsp_resp",
    "long(*)(SSL *, unsigned char *, int)",
)
bind(<void **> &openssl.SSL_set_tlsext_host_name, "SSL_set_tlsext_host_name", "void(*)(SSL *, char *)")
bind(
    <void **> &openssl.SSL_set_verify, "SSL_set_verify", "void(*)(SSL *, int, int(*)(int, X509_STORE_CTX *))"
)
bind(<void **> &openssl.SSL_get0_param, "SSL_get0_param", "X509_VERIFY_PARAM *(*)(SSL *)")
bind(
    <void **> &openssl.X509_VERIFY_PARAM_set1_host,
    "X509_VERIFY_PARAM_set1_host",
    "int(*)(X509_VERIFY_PARAM *, char *, size_t)",
)
bind(
    <void **> &openssl.X509_VERIFY_PARAM_set1_ip,
    "X509_VERIFY_PARAM_set1_ip",
    "int(*)(X509_VERIFY_PARAM *, unsigned char *, size_t)",
)
bind(
    <void **> &openssl.X509_VERIFY_PARAM_set_hostflags,
    "X509_VERIFY_PARAM_set_hostflags",
    "void(*)(X509_VERIFY_PARAM *, unsigned int)",
)
bind(<void **> &openssl.X509_verify_cert_error_string, "X509_verify_cert_error_string", "char *(*)(long)")
bind(<void **> &openssl.BIO_new, "BIO_new", "BIO *(*)(BIO_METHOD *)")
bind(<void **> &openssl.BIO_s_mem, "BIO_s_mem", "BIO_METHOD *(*)()")
bind(<void **> &openssl.BIO_new_mem_buf, "BIO_new_mem_buf", "BIO *(*)(void *, int)")
bind(<void **> &openssl.BIO_set_mem_eof_return, "BIO_set_mem_eof_return", "long(*)(BIO *, int)")
bind(<void **> &openssl.BIO_get_mem_data, "BIO_get_mem_data", "long(*)(BIO *, char * *)")
bind(<void **> &openssl.BIO_read, "BIO_read", "int(*)(BIO *, void *, int)")
bind(<void **> &openssl.BIO_free, "BIO_free", "int(*)(BIO *)")
bind(<void **> &openssl.OPENSSL_malloc, "OPENSSL_malloc", "void *(*)(size_t)")
bind(<void **> &openssl.ERR_clear_error, "ERR_clear_error", "void(*)()")
bind(<void **> &openssl.ERR_peek_error, "ERR_peek_error", "unsigned long(*)()")
bind(<void **> &openssl.ERR_reason_error_string, "ERR_reason_error_string", "char *(*)(unsigned long)")
bind(<void **> &openssl.i2d_X509_bio, "i2d_X509_bio", "int(*)(BIO *, X509 *)")
bind(<void **> &openssl.X509_free, "X509_free", "void(*)(X509 *)")
