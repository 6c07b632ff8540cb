"""SMTP submission over TLS, RFC 6409 and RFC 8314: the `smtps` of the configuration."""

from typing import Final

from gateway.protocol.base import ProtocolSpec
from gateway.protocol.smtp.client import client
from gateway.protocol.smtp.replies import RELAY_FAREWELLS
from gateway.protocol.smtp.server import Server

SPEC: Final = ProtocolSpec(
    name="smtps",
    alpn=b"smtp",
    server=Server,
    client=client,
    relay_farewells=RELAY_FAREWELLS,
)
