"""IMAP over TLS, RFC 9051, RFC 3501 and RFC 8314: the `imap4s` of the configuration."""

from typing import Final

from gateway.protocol.base import ProtocolSpec
from gateway.protocol.imap.client import client
from gateway.protocol.imap.replies import RELAY_FAREWELLS
from gateway.protocol.imap.server import Server

SPEC: Final = ProtocolSpec(
    name="imap4s",
    alpn=b"imap",
    server=Server,
    client=client,
    relay_farewells=RELAY_FAREWELLS,
)
