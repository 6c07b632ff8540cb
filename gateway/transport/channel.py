"""Octets in and out of one socket without waiting: what plain TCP and TLS (tls_channel.py) look like from above.

A channel never blocks. Who uses it waits for `descriptor` as `wanted` says, then calls again.

Errors: `ChannelLost`, and subclasses that say more. After one the channel is good for `close` only.
Limits: none here; who queues looks at `queued`.
"""

import contextlib
import socket
from typing import Final
from typing import Protocol

from gateway.transport.sockets import os_fault
from gateway.transport.waiting import READ
from gateway.transport.waiting import WRITE

CHUNK_OCTETS: Final = 64 * 1024
# Input that lies unread when a socket is closed makes the kernel send RST, which can destroy our last words on the way.
_DISCARD_OCTETS: Final = 4 * CHUNK_OCTETS


class ChannelLost(Exception):
    """Reset, timed out, or broken in its TLS. The text is for the log and holds no octet of the peer."""


class ChannelClosed(ChannelLost):
    """The peer said goodbye where more had to come."""


class Channel(Protocol):
    @property
    def descriptor(self) -> int: ...

    @property
    def queued(self) -> int:
        """Octets that wait for the socket to take them."""

    @property
    def wanted(self) -> int:
        """Events to wait for when `receive` gave None: READ, and WRITE when something is queued."""

    def receive(self, limit_octets: int) -> bytes | None:
        """What is there; None: nothing now; empty: the peer sends no more (FIN, or close_notify)."""

    def queue(self, data: bytes) -> None: ...

    def flush(self) -> bool:
        """Send what the socket takes now. True: nothing is left."""

    def finish(self) -> None:
        """Half-close, once what is queued has been sent. Receiving goes on."""

    def close(self) -> None:
        """Send what the socket takes now, and close. Never raises."""


class PlainChannel:
    """Owns the socket, which must be non-blocking."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._queue = bytearray()
        self._finishing = False

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def wanted(self) -> int:
        return READ | WRITE if self._queue else READ

    def receive(self, limit_octets: int) -> bytes | None:
        try:
            return self._socket.recv(limit_octets)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ChannelLost(os_fault(error)) from None

    def queue(self, data: bytes) -> None:
        self._queue += data

    def flush(self) -> bool:
        try:
            while self._queue:
                del self._queue[: self._socket.send(self._queue)]
            if self._finishing:
                self._socket.shutdown(socket.SHUT_WR)
                self._finishing = False
        except BlockingIOError:
            return False
        except OSError as error:
            raise ChannelLost(os_fault(error)) from None
        return True

    def finish(self) -> None:
        self._finishing = True

    def close(self) -> None:
        with contextlib.suppress(ChannelLost):
            self.flush()
            self._discard_input()
        self._queue.clear()
        self._socket.close()

    def _discard_input(self) -> None:
        for _ in range(_DISCARD_OCTETS // CHUNK_OCTETS):
            if not self.receive(CHUNK_OCTETS):
                return
