"""One connection of a mail server: lines and counted octets in, octets out, and a wait for news from elsewhere.

What is sent leaves when the other side is waited for, so that the answers to pipelined commands go together.

Errors: `ConnectionEnded` when the other side has gone or was silent for SILENCE_S; `TooLong` for a line over its limit.
"""

import contextlib
import select
import socket
from typing import Final

from gateway.errors import GatewayError

SILENCE_S: Final = 3600.0
_CHUNK: Final = 65536


class ConnectionEnded(GatewayError):
    """Nothing more will come."""


class TooLong(GatewayError):
    """No line end within the limit."""


class Connection:
    """Owned by one thread; `shut` may be called from any."""

    def __init__(self, peer: socket.socket) -> None:
        self._socket = peer
        self._socket.settimeout(SILENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._unsent = bytearray()

    def line(self, limit_octets: int) -> bytes:
        """Without its CRLF; a bare LF ends a line, too."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > limit_octets:
                raise TooLong(f"no line end within {limit_octets} octets")
            self._receive()
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        octets = bytes(self._buffer[:count])
        del self._buffer[:count]
        return octets

    def send(self, octets: bytes) -> None:
        self._unsent += octets
        if len(self._unsent) > _CHUNK:
            self._flush()

    def _flush(self) -> None:
        try:
            self._socket.sendall(self._unsent)
        except OSError:
            raise ConnectionEnded("the other side has gone") from None
        self._unsent.clear()

    def wait(self, descriptor: int) -> bool:
        """Wait for octets of the other side, or for `descriptor` to be readable; true: octets, and no news there."""
        self._flush()
        if self._buffer:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(descriptor, select.POLLIN)
        ready = [number for number, _ in poll.poll(SILENCE_S * 1000)]
        return descriptor not in ready

    def shut(self) -> None:
        """Wakes the thread that waits here."""
        with contextlib.suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """What was sent goes out first, if it can."""
        with contextlib.suppress(ConnectionEnded):
            self._flush()
        self._socket.close()

    def _receive(self) -> None:
        self._flush()
        try:
            octets = self._socket.recv(_CHUNK)
        except OSError:
            raise ConnectionEnded("the other side has gone") from None
        if not octets:
            raise ConnectionEnded("the other side has closed")
        self._buffer += octets
