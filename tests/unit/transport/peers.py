"""The far ends of the transport's connections: a mail program with TLS, and helpers to misbehave with.

They share the hub with what they test, so they wait by gevent; their TLS is pyOpenSSL's, driven in the plainest way.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket
from OpenSSL import SSL

CHUNK_OCTETS = 1 << 16
PATIENCE_S = 5.0


def cooperative(end: socket.socket) -> Any:
    """The same connection as a socket of gevent's, which takes it over."""
    return gevent.socket.socket(end.family, end.type, fileno=end.detach())


def reset(end: Any) -> None:
    """Close it with RST."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def soon(condition: Callable[[], bool]) -> None:
    """Wait for it; fail after PATIENCE_S."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at
        gevent.sleep(0.002)


def fault(action: Callable[[], object]) -> BaseException | None:
    """What it raises; for greenlets that are expected to fail."""
    try:
        action()
    except Exception as error:  # noqa: BLE001  whatever it is, the test looks at it
        return error
    return None


def after(seconds: float) -> float:
    return time.monotonic() + seconds


def trusting_context() -> SSL.Context:
    return SSL.Context(SSL.TLS_CLIENT_METHOD)


class Truncated(Exception):
    """The connection ended without close_notify."""


class TlsPeer:
    """A mail program, or with `SSL.Connection.set_accept_state` a mail server. Trusts everybody."""

    def __init__(self, end: Any, connection: SSL.Connection | None = None) -> None:
        self.socket = end
        if connection is None:
            connection = SSL.Connection(trusting_context(), None)
            connection.set_connect_state()
        self.tls = connection

    def handshake(self) -> "TlsPeer":
        self._repeat(self.tls.do_handshake)
        return self

    def take_tickets(self) -> None:
        """A socket that is closed with input unread says RST instead of FIN."""
        self.tls.bio_write(self.socket.recv(CHUNK_OCTETS))
        with contextlib.suppress(SSL.WantReadError):
            self.tls.recv(1)

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.tls.send(rest[:CHUNK_OCTETS]) :]
            self.flush()

    def receive(self, limit_octets: int = CHUNK_OCTETS) -> bytes:
        """Empty: close_notify. Raises Truncated, ConnectionResetError and SSL.Error."""
        try:
            return bytes(self._repeat(lambda: self.tls.recv(limit_octets)))
        except SSL.ZeroReturnError:
            return b""

    def receive_all(self) -> bytes:
        """Up to close_notify."""
        received = bytearray()
        while data := self.receive():
            received += data
        return bytes(received)

    def receive_exactly(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            data = self.receive(count - len(received))
            assert data
            received += data
        return bytes(received)

    def finish(self) -> None:
        """close_notify and FIN; receiving goes on."""
        self.tls.shutdown()
        self.flush()
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        reset(self.socket)

    def written(self) -> bytes:
        """What TLS wants to send next."""
        try:
            return self.tls.bio_read(CHUNK_OCTETS)
        except SSL.WantReadError:
            return b""

    def _repeat(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except SSL.WantReadError:
                self.flush()
                raw = self.socket.recv(CHUNK_OCTETS)
                if not raw:
                    raise Truncated from None
                self.tls.bio_write(raw)
            else:
                self.flush()
                return result

    def flush(self) -> None:
        while octets := self.written():
            self.socket.sendall(octets)
