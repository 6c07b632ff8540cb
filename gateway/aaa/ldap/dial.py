"""A connection to one directory server, ready for libldap: TCP, and TLS from the start, after StartTLS, or none.

Errors: `ServerFailed`, and whatever is thrown into the waiting greenlet; then nothing stays open.
Source: RFC 4513 section 3.1 (StartTLS: nothing may come between its answer and TLS).
"""

from dataclasses import dataclass
from typing import Final
from typing import Protocol

from OpenSSL import SSL

from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap import start_tls
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.words import LdapTls
from gateway.errors import ProtocolError
from gateway.errors import UpstreamLost
from gateway.transport.base import UpstreamConnection
from gateway.transport.channel import Channel
from gateway.transport.stream import Stream

LDAP_PORT: Final = 389
LDAPS_PORT: Final = 636


class Dial(Protocol):
    """Opens a TCP connection to one of a host's addresses, as `Dialer.dial` does. Raises UpstreamLost."""

    def __call__(self, host: str, port: int, deadline: float) -> UpstreamConnection: ...


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a server is, and how it is spoken to. context: None exactly with LdapTls.DISABLE."""

    host: str
    port: int
    tls: LdapTls
    context: SSL.Context | None
    server_name: str


def directory(settings: AaaServerSettings, context: SSL.Context | None) -> Directory:
    """ValueError: TLS is wanted and there is no context, or the other way round."""
    if (context is None) is not (settings.ldap_over_ssl is LdapTls.DISABLE):
        raise ValueError(f"ldap-over-ssl = {settings.ldap_over_ssl} and TLS context {context}")
    default_port = LDAPS_PORT if settings.ldap_over_ssl is LdapTls.ENABLE else LDAP_PORT
    return Directory(
        settings.host,
        settings.server_port or default_port,
        settings.ldap_over_ssl,
        context,
        settings.server_name or settings.host,
    )


def connect(target: Directory, dial: Dial, deadline: float) -> Channel:
    """Connect, and do TLS; verify chain and name."""
    try:
        return _secured(target, dial(target.host, target.port, deadline), deadline)
    except (UpstreamLost, ProtocolError) as error:
        raise ServerFailed(str(error)) from None


def _secured(target: Directory, stream: UpstreamConnection, deadline: float) -> Channel:
    if not isinstance(stream, Stream):
        raise TypeError("the connection is not one of this transport's")
    try:
        if target.tls is LdapTls.STARTTLS:
            _ask_for_tls(stream, deadline)
        if target.context is not None:
            stream.start_tls(target.context, target.server_name, deadline)
    except BaseException:
        stream.close()
        raise
    channel, _ = stream.release()  # nothing was read ahead: `start_tls` raises if it was, and without TLS nothing is
    return channel


def _ask_for_tls(stream: UpstreamConnection, deadline: float) -> None:
    stream.write(start_tls.REQUEST)
    header = stream.read_octets(start_tls.HEADER_OCTETS, deadline)
    length = stream.read_octets(start_tls.length_octets(header), deadline)
    code = start_tls.result_code(stream.read_octets(start_tls.message_octets(header, length), deadline))
    if code != 0:
        raise ProtocolError(f"the server refuses StartTLS (result {code})")
