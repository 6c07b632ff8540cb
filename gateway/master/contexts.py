"""The TLS contexts, made by the master before the fork, so that all workers share their ticket keys.

Errors: `ConfigError` when a certificate, a key or a CA cannot be used.
"""

from typing import Final

from OpenSSL import SSL

from gateway.config.model import Config
from gateway.config.model import ProtocolSettings
from gateway.config.model.words import TlsVersion
from gateway.config.model.words import UpstreamTls
from gateway.errors import ConfigError
from gateway.protocol.registry import PROTOCOLS
from gateway.transport.tls import CertificateFiles
from gateway.transport.tls import ServerTls
from gateway.transport.tls import client_context
from gateway.worker.inheritance import TlsSetup

_VERSIONS: Final = {TlsVersion.TLS_1_2: SSL.TLS1_2_VERSION, TlsVersion.TLS_1_3: SSL.TLS1_3_VERSION}


def make_tls(config: Config) -> TlsSetup:
    """The contexts of every protocol that is enabled somewhere."""
    enabled = sorted({protocol.value for interface in config.interfaces.values() for protocol in interface.enable})
    return TlsSetup(
        server={name: _server_tls(config, PROTOCOLS[name].alpn) for name in enabled},
        upstream={
            name: client_context(config.protocols[name].server_ca)
            for name in enabled
            if _wants_tls(config.protocols[name])
        },
    )


def _wants_tls(settings: ProtocolSettings) -> bool:
    return settings.server_tls is not UpstreamTls.NONE


def _server_tls(config: Config, alpn: bytes) -> ServerTls:
    tls = config.tls
    if tls.certificate is None:
        raise ConfigError("[tls] certificate: none is set, and no protocol starts without TLS")
    default = CertificateFiles(tls.certificate, tls.private_key)
    named = [CertificateFiles(one.certificate, one.private_key, name) for name, one in config.tls_by_name.items()]
    return ServerTls(alpn, [default, *named], _VERSIONS[tls.minimum_version], tls.ciphers)
