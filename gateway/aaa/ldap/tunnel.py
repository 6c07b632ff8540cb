"""Octets between libldap and a directory server: libldap has one end of a socket pair, a channel carries on from there.

libldap can connect and do TLS by itself, but not in a hub that must never wait. Read and tried with 2.5.13:
getaddrinfo runs under one lock for the whole process; `ldap_int_tls_start` polls without a pause and without an end
while the server is silent; and what GnuTLS has decrypted ahead is seen by no watcher of the descriptor. So the
transport connects, does TLS as with a mail server (same context, same check of the name) and what libldap reads and
writes is plain, local, and readable exactly when there is something to read.

Errors: none leave; when the connection breaks it is closed, and `on_lost` is called with the reason, once.
Limits: what the server sends must fit what was asked for, `allow`; what it does not read is bounded by
QUEUED_OCTETS and the socket pair.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Final

import gevent

from gateway.transport.channel import CHUNK_OCTETS
from gateway.transport.channel import Channel
from gateway.transport.channel import ChannelLost
from gateway.transport.waiting import READ
from gateway.transport.waiting import WRITE

# Requests are below 10 KiB; a server that does not read them gets no more.
QUEUED_OCTETS: Final = 64 * 1024


class Tunnel:
    """Owns the channel. `descriptor` is libldap's end, and libldap closes it: python-ldap's `unbind_ext` does."""

    def __init__(self, channel: Channel, on_lost: Callable[[str], None]) -> None:
        """Raises OSError when there are no descriptors left; then the channel is still the caller's."""
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        self.descriptor: Final = far.detach()
        self._near = near
        self._channel = channel
        self._on_lost = on_lost
        self._is_open = True
        self._allowed_octets = 0
        self._is_server_behind = False
        self._for_library = bytearray()
        loop = gevent.get_hub().loop
        self._server_readable = loop.io(channel.descriptor, READ)
        self._server_writable = loop.io(channel.descriptor, WRITE)
        self._library_readable = loop.io(near.fileno(), READ)
        self._library_writable = loop.io(near.fileno(), WRITE)
        self._server_readable.start(self._receive)
        self._library_readable.start(self._send)

    def allow(self, octets: int) -> None:
        """So much may come before `allow` is called again."""
        self._allowed_octets = max(self._allowed_octets, octets)

    def send(self) -> None:
        """Carry what libldap has just written; its end of the pair would hold some 280 requests, and then be busy."""
        if not self._is_server_behind:
            self._send()

    def close(self) -> None:
        """Send what libldap has written last, as far as the server takes it at once, and close. Idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        for watcher in (self._server_readable, self._server_writable, self._library_readable, self._library_writable):
            watcher.close()
        with contextlib.suppress(OSError, ChannelLost):  # nothing was written, or nobody is there to hear it
            self._channel.queue(self._near.recv(CHUNK_OCTETS))
        self._near.close()
        self._channel.close()

    def _receive(self) -> None:
        """From the server. Until there is nothing more: what TLS holds decrypted wakes nobody."""
        try:
            while self._is_open and not self._for_library:
                octets = self._channel.receive(CHUNK_OCTETS)
                if octets is None:
                    break
                self._take(octets)
            if self._is_open:
                self._flush()
        except ChannelLost as lost:
            self._lose(str(lost))

    def _take(self, octets: bytes) -> None:
        self._allowed_octets -= len(octets)
        if not octets:
            self._lose("closed by the server")
        elif self._allowed_octets < 0:
            self._lose("the server sends more than it was asked for")
        else:
            self._for_library += octets
            self._feed()

    def _feed(self) -> None:
        """To libldap; when it does not keep up, the server waits."""
        try:
            del self._for_library[: self._near.send(self._for_library)]
        except BlockingIOError:
            pass
        except OSError:
            self._lose("closed")
            return
        if self._for_library:
            self._server_readable.stop()
            self._library_writable.start(self._feed_again)

    def _feed_again(self) -> None:
        self._library_writable.stop()
        self._feed()
        if self._is_open and not self._for_library:
            self._server_readable.start(self._receive)
            self._receive()

    def _send(self) -> None:
        """From libldap."""
        try:
            octets = self._near.recv(CHUNK_OCTETS)
            if not octets:
                raise ChannelLost("closed")
            self._channel.queue(octets)
            self._flush()
        except BlockingIOError:
            pass
        except (OSError, ChannelLost) as error:
            self._lose(str(error))

    def _flush(self) -> None:
        if not self._channel.flush():
            self._is_server_behind = True
            self._server_writable.start(self._flush_again)
            if self._channel.queued > QUEUED_OCTETS:
                self._library_readable.stop()
        elif self._is_server_behind:
            self._is_server_behind = False
            self._server_writable.stop()
            self._library_readable.start(self._send)

    def _flush_again(self) -> None:
        try:
            self._flush()
        except ChannelLost as lost:
            self._lose(str(lost))

    def _lose(self, reason: str) -> None:
        if self._is_open:
            self.close()
            self._on_lost(reason)
