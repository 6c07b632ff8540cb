"""POP3 over TLS, RFC 1939 and RFC 8314: the `pop3s` of the configuration."""

from typing import Final

from gateway.protocol.base import ProtocolSpec
from gateway.protocol.pop3.client import client
from gateway.protocol.pop3.replies import RELAY_FAREWELLS
from gateway.protocol.pop3.server import Server

SPEC: Final = ProtocolSpec(
    name="pop3s",
    alpn=b"pop3",
    server=Server,
    client=client,
    relay_farewells=RELAY_FAREWELLS,
)
