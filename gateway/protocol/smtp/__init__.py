"""SMTP submission over TLS, RFC 6409 and RFC 8314: the `smtps` of the configuration."""

from types import MappingProxyType
from typing import Final

from gateway.outcome import EndReason
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.smtp.client import client
from gateway.protocol.smtp.server import FAREWELLS
from gateway.protocol.smtp.server import Server

# RFC 5321 section 3.8: a server that has to shut a connection says 421, whatever the client is about.
_SAID_AFTER_LOGIN: Final = (
    EndReason.LOGGED_OFF,
    EndReason.SHUTDOWN,
    EndReason.IDLE_TIMEOUT,
    EndReason.SESSION_TIMEOUT,
    EndReason.UPSTREAM_LOST,
)

SPEC: Final = ProtocolSpec(
    name="smtps",
    alpn=b"smtp",
    server=Server,
    client=client,
    relay_farewells=MappingProxyType({reason: FAREWELLS[reason] for reason in _SAID_AFTER_LOGIN}),
)
