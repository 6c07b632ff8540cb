"""Connections to mail servers.

Errors: `UpstreamLost`, and whatever is thrown into the waiting greenlet from outside (SessionEnded): then too nothing
stays open that the caller does not know of.
"""

import errno
import ipaddress
import os
import socket

from OpenSSL import SSL

from gateway.errors import UpstreamLost
from gateway.transport.base import Address
from gateway.transport.channel import ChannelLost
from gateway.transport.channel import PlainChannel
from gateway.transport.sockets import numeric
from gateway.transport.sockets import os_fault
from gateway.transport.sockets import prepare
from gateway.transport.stream import Fault
from gateway.transport.stream import Stream
from gateway.transport.tls import connect
from gateway.transport.tls_channel import TlsChannel
from gateway.transport.waiting import WRITE
from gateway.transport.waiting import Expired
from gateway.transport.waiting import wait


class GeventUpstreamConnection(Stream):
    """See `UpstreamConnection`."""

    def __init__(self, channel: PlainChannel, peer: Address, local: Address) -> None:
        super().__init__(channel, peer, local)
        self._plain = channel

    def start_tls(self, context: SSL.Context, server_name: str, deadline: float) -> None:
        if self._channel is not self._plain:
            raise UpstreamLost("TLS is there already")
        if self._frames.pending:
            raise UpstreamLost("the server sent more before TLS than it should (CVE-2011-0411)")
        try:
            channel = TlsChannel(self._plain, connect(context, server_name))
        except ValueError as error:
            raise UpstreamLost(f"TLS: {error}") from None
        self._channel = channel
        try:
            channel.handshake(deadline)
        except Expired:
            raise UpstreamLost("TLS: no handshake in time") from None
        except ChannelLost as lost:
            raise UpstreamLost(f"TLS with {server_name}: {lost}") from None

    def _failure(self, fault: Fault, detail: str = "") -> UpstreamLost:
        return UpstreamLost(f"{fault.value}: {detail}" if detail else fault.value)


class GeventConnector:
    """See `Connector`."""

    def connect(self, address: Address, deadline: float) -> GeventUpstreamConnection:
        try:
            connecting = socket.socket(_family(address[0]), socket.SOCK_STREAM)
        except OSError as error:
            raise UpstreamLost(os_fault(error)) from None
        try:
            _connect(connecting, address, deadline)
            return GeventUpstreamConnection(
                PlainChannel(connecting), numeric(connecting.getpeername()), numeric(connecting.getsockname())
            )
        except Expired:
            connecting.close()
            raise UpstreamLost("no answer in time") from None
        except OSError as error:
            connecting.close()
            raise UpstreamLost(os_fault(error)) from None
        except BaseException:
            connecting.close()
            raise


def _connect(connecting: socket.socket, address: Address, deadline: float) -> None:
    prepare(connecting)
    code = connecting.connect_ex(address)
    if code == errno.EINPROGRESS:
        wait(connecting.fileno(), WRITE, deadline)
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    if connecting.getsockname() == connecting.getpeername():
        # A client port that happens to be the one asked for, on this machine: TCP connects it to itself.
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def _family(host: str) -> socket.AddressFamily:
    """Raises ValueError if it is a name, which would be looked up here and now."""
    return socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
