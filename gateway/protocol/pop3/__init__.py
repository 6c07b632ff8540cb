"""POP3 over TLS, RFC 1939 and RFC 8314: the `pop3s` of the configuration."""

from types import MappingProxyType
from typing import Final

from gateway.protocol.base import ProtocolSpec
from gateway.protocol.pop3.client import client
from gateway.protocol.pop3.server import Server

# POP3 has no words for a session that ends unasked (RFC 1939 section 3: the connection is closed).
SPEC: Final = ProtocolSpec(
    name="pop3s",
    alpn=b"pop3",
    server=Server,
    client=client,
    relay_farewells=MappingProxyType({}),
)
