"""TLS contexts for both directions, and what a finished handshake agreed on. No octet is read or written here.

The master makes the contexts before it forks, so that all workers share the ticket keys: a session that one worker
began is resumed by another. `ServerTls.reload` puts new certificates into the contexts that exist, so tickets go on
working. TLS 1.2 and 1.3 only, forward secrecy and AEAD only, no renegotiation, no compression, in both directions.

Errors: `ConfigError` names the file that cannot be used; `NoCommonProtocol` out of `do_handshake`.
Source: RFC 8446; RFC 7301 (ALPN); RFC 6066 section 3 (SNI); RFC 9325 (recommendations); RFC 9525 (names).
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from OpenSSL._util import ffi
from OpenSSL._util import lib

from gateway.errors import ConfigError
from gateway.transport.base import TlsFacts

# AES-128-GCM first: as strong as it need be, and with AES instructions the cheapest.
_CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_TLS13_CIPHERS: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_HOST_NAME: Final = re.compile(rb"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_MAX_HOST_NAME_OCTETS: Final = 253
_UNKNOWN_AUTHORITY: Final = frozenset(
    {
        lib.X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
        lib.X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        lib.X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
        lib.X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        lib.X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
    }
)


class NoCommonProtocol(Exception):
    """The client offered protocols by ALPN and ours is not among them: alert 120 is due."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """chain: PEM, leaf first. key: PEM; None: in the chain's file. name: for clients that ask for it, perhaps
    `*.example.org`; None: for all others. Of the same name there may be one of each kind of key (ECDSA, RSA)."""

    chain: Path
    key: Path | None = None
    name: str | None = None


class ServerTls:
    """TLS towards the clients of one protocol, whose ALPN id is `alpn`.

    The first certificate is the default; one with a name is chosen by SNI. Nothing is shared between two of these:
    a session of one protocol's listener cannot be resumed on another's (CVE-2025-23419). ciphers: for TLS 1.2.
    """

    def __init__(
        self,
        alpn: bytes,
        certificates: Sequence[CertificateFiles],
        minimum_version: int = SSL.TLS1_2_VERSION,
        ciphers: str | None = None,
    ) -> None:
        if not certificates:
            raise ConfigError("TLS needs a certificate")
        self._alpn = alpn
        self._certificates: list[tuple[SSL.Context, CertificateFiles]] = []
        self._names: dict[str | None, SSL.Context] = {}
        for certificate in certificates:
            name = certificate.name and certificate.name.lower()
            context = self._names.get(name) or self._new_context(minimum_version, ciphers)
            _use(context, certificate)
            self._names[name] = context
            self._certificates.append((context, certificate))
        self._default = self._certificates[0][0]
        self._default.set_tlsext_servername_callback(self._choose_by_name)

    def reload(self) -> None:
        """Read the files anew. All are tried first: on ConfigError nothing has changed."""
        for _, certificate in self._certificates:
            _use(SSL.Context(SSL.TLS_SERVER_METHOD), certificate)
        for context, certificate in self._certificates:
            _use(context, certificate)

    @property
    def alpn(self) -> bytes:
        return self._alpn

    @property
    def certificates(self) -> list[tuple[SSL.Context, list[str], bytes | None]]:
        """The contexts, each with the names that choose it; the first is the default. None: no OCSP response."""
        contexts = dict.fromkeys([self._default, *self._names.values()])
        return [(one, [name for name, its in self._names.items() if name and its is one], None) for one in contexts]

    def accept(self) -> SSL.Connection:
        """The server's side of a new connection, over memory BIOs."""
        connection = SSL.Connection(self._default, None)
        connection.set_accept_state()
        return connection

    def _new_context(self, minimum_version: int, ciphers: str | None) -> SSL.Context:
        context = _context(SSL.TLS_SERVER_METHOD, minimum_version, ciphers)
        context.set_session_id(b"gateway " + self._alpn)
        context.set_alpn_select_callback(self._choose_protocol)
        return context

    def _choose_protocol(self, _: SSL.Connection, offered: list[bytes]) -> bytes:
        """Called only when the client offers any; without ALPN it is welcome (older mail programs)."""
        if self._alpn not in offered:
            raise NoCommonProtocol
        return self._alpn

    def _choose_by_name(self, connection: SSL.Connection) -> None:
        name = _server_name(connection)
        if name is None:
            return
        context = self._names.get(name) or self._names.get("*." + name.partition(".")[2])
        if context is not None:
            connection.set_context(context)


def client_context(ca_file: Path | None = None) -> SSL.Context:
    """TLS towards mail servers; the chain is verified by `ca_file` (PEM), or by what the system trusts."""
    context = _context(SSL.TLS_CLIENT_METHOD, SSL.TLS1_2_VERSION, None)
    context.set_verify(SSL.VERIFY_PEER, None)
    if ca_file is None:
        context.set_default_verify_paths()
        return context
    try:
        context.load_verify_locations(str(ca_file))
    except SSL.Error as error:
        raise ConfigError(f"{ca_file}: {_unreadable(ca_file) or tls_fault(error)}") from None
    return context


def connect(context: SSL.Context, server_name: str) -> SSL.Connection:
    """The client's side of a new connection, over memory BIOs; it verifies `server_name`, a host name or address.

    OpenSSL checks the name together with the chain, so that a wrong one fails the handshake itself: only subject
    alternative names count, and a wildcard stands for one whole label. Raises ValueError if it is no name at all.
    """
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    parameters = lib.SSL_get0_param(connection._ssl)
    flags = lib.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | lib.X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    lib.X509_VERIFY_PARAM_set_hostflags(parameters, flags)
    address = _packed_address(server_name)
    if address is not None:
        accepted = lib.X509_VERIFY_PARAM_set1_ip(parameters, address, len(address))
    else:
        name = _host_name(server_name)
        connection.set_tlsext_host_name(name)
        accepted = lib.X509_VERIFY_PARAM_set1_host(parameters, name, len(name))
    if accepted != 1:
        raise ValueError(f"{server_name!r} cannot be verified")
    return connection


def verified_name(server_name: str) -> tuple[bytes, bytes | None]:
    """A mail server's name for SNI and for the check of its certificate, or (b"", packed address).

    Raises ValueError if it is neither.
    """
    address = _packed_address(server_name)
    return (b"", address) if address is not None else (_host_name(server_name), None)


def safe_server_name(name: str | None) -> str | None:
    """None also when it is not a host name, since it goes into logs."""
    if name is None or len(name) > _MAX_HOST_NAME_OCTETS or not _HOST_NAME.fullmatch(name.encode()):
        return None
    return name.lower()


def verify_fault(connection: SSL.Connection) -> str | None:
    """Why the peer's certificate was refused; None: it was not."""
    code = lib.SSL_get_verify_result(connection._ssl)
    if code == lib.X509_V_OK:
        return None
    words = _text(lib.X509_verify_cert_error_string(code))
    return f"certificate of an unknown authority ({words})" if code in _UNKNOWN_AUTHORITY else words


def tls_fault(error: SSL.Error) -> str:
    """OpenSSL's reasons; they are fixed words, never octets of the peer."""
    errors: Any = error.args[0] if error.args else None
    reasons = [entry[-1] for entry in errors if entry[-1]] if isinstance(errors, list) else []
    return ", ".join(dict.fromkeys(reasons)) or "TLS error"


def facts(connection: SSL.Connection) -> TlsFacts:
    """What a finished handshake agreed on."""
    return TlsFacts(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        alpn=connection.get_alpn_proto_negotiated() or None,
        server_name=_server_name(connection),
        resumed=lib.SSL_session_reused(connection._ssl) == 1,
    )


def _context(method: int, minimum_version: int, ciphers: str | None) -> SSL.Context:
    """What holds for both directions, so that no path can forget it."""
    context = SSL.Context(method)
    context.set_min_proto_version(max(minimum_version, SSL.TLS1_2_VERSION))
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # tickets hold the state, and they are on
    context.set_tls13_ciphersuites(_TLS13_CIPHERS)
    try:
        context.set_cipher_list((ciphers or _CIPHERS).encode())
    except SSL.Error as error:
        raise ConfigError(f"ciphers {ciphers!r}: {tls_fault(error)}") from None
    return context


def _use(context: SSL.Context, certificate: CertificateFiles) -> None:
    chain, key = certificate.chain, certificate.key or certificate.chain
    private_key = _private_key(key)
    if fault := _unreadable(chain):
        raise ConfigError(f"{chain}: {fault}")
    try:
        context.use_certificate_chain_file(str(chain))
    except SSL.Error as error:
        raise ConfigError(f"{chain}: not a PEM certificate chain ({tls_fault(error)})") from None
    try:
        context.use_privatekey(private_key)
        context.check_privatekey()
    except SSL.Error:
        raise ConfigError(f"{key}: not the private key of {chain}") from None


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except TypeError:
        raise ConfigError(f"{path}: a passphrase protects the private key; remove it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: not a PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ConfigError(f"{path}: the private key must be ECDSA or RSA")
    return key


def _unreadable(path: Path) -> str | None:
    try:
        path.open("rb").close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _server_name(connection: SSL.Connection) -> str | None:
    """The client's SNI in lower case; None also when it is not a host name, since it goes into logs."""
    name = connection.get_servername()
    if name is None or len(name) > _MAX_HOST_NAME_OCTETS or not _HOST_NAME.fullmatch(name):
        return None
    return name.decode("ascii").lower()


def _host_name(server_name: str) -> bytes:
    """An empty name would switch the check off: OpenSSL takes it for "any"."""
    name = server_name.removesuffix(".").encode("idna")
    if len(name) > _MAX_HOST_NAME_OCTETS or not _HOST_NAME.fullmatch(name):
        raise ValueError(f"{server_name!r} is not a host name")
    return name


def _packed_address(server_name: str) -> bytes | None:
    try:
        return ipaddress.ip_address(server_name).packed
    except ValueError:
        return None


def _text(c_string: Any) -> str:
    return bytes(ffi.string(c_string)).decode("ascii", "replace")
