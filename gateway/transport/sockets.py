"""TCP sockets: the options that every connection gets, and addresses as the rest of the gateway writes them.

Limits: a peer that vanished is noticed within four minutes, whether octets are under way to it or not.
"""

import ipaddress
import socket
from typing import Any
from typing import Final

from gateway.transport.base import Address

_OPTIONS: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # without it a login waits 40 ms for a delayed ACK
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 240_000),
)


def prepare(connection: socket.socket) -> None:
    """Non-blocking, without Nagle's delay, and with an end should the peer vanish. Raises OSError."""
    connection.setblocking(False)
    for level, option, value in _OPTIONS:
        connection.setsockopt(level, option, value)


def os_fault(error: OSError) -> str:
    """The system's words, without Python's decoration."""
    return error.strerror or str(error)


def numeric(socket_address: Any) -> Address:
    """From what the socket module gives for IPv4 and IPv6."""
    host, port = socket_address[0], socket_address[1]
    if ":" in host:
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
        host = str(mapped) if mapped else host
    return host, port
