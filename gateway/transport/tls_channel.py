"""TLS over a plain channel: pyOpenSSL's Connection between two memory BIOs, one recv and one send for many records.

Errors: `TlsFailed` (handshake or record), `NotTls` (a peer whose first octets are no TLS record: it gets no answer),
ChannelClosed in the handshake, besides ChannelLost of the channel below.
Limits: from the peer at most CHUNK_OCTETS and a partial record are held undecrypted.
"""

import contextlib

from OpenSSL import SSL

from gateway.transport.base import TlsFacts
from gateway.transport.channel import CHUNK_OCTETS
from gateway.transport.channel import ChannelClosed
from gateway.transport.channel import ChannelLost
from gateway.transport.channel import PlainChannel
from gateway.transport.tls import NoCommonProtocol
from gateway.transport.tls import facts
from gateway.transport.tls import tls_fault
from gateway.transport.tls import verify_fault
from gateway.transport.waiting import wait

_FIRST_OCTETS = frozenset({22, 21})  # a handshake record, or a server's alert: RFC 8446 section 5.1
_HTTP_METHODS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"PATCH ", b"DELETE ", b"PRI ")
_PROXY_HEADERS = (b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n")


class TlsFailed(ChannelLost):
    """A handshake that failed, or a record that is not right. `close` sends the peer the alert."""


class NotTls(ChannelLost):
    """The peer does not speak TLS at all."""


class TlsChannel:
    """Owns the channel below. `handshake` first, until it is done; the rest is as with any channel."""

    def __init__(self, below: PlainChannel, connection: SSL.Connection) -> None:
        self._below = below
        self._tls = connection
        self._begun = False
        self._owes_close_notify = False
        self._peer_finished = False

    @property
    def descriptor(self) -> int:
        return self._below.descriptor

    @property
    def queued(self) -> int:
        return self._below.queued

    @property
    def wanted(self) -> int:
        return self._below.wanted

    def facts(self) -> TlsFacts:
        return facts(self._tls)

    def handshake(self, deadline: float) -> None:
        """Wait until the handshake is done. Raises Expired."""
        while not self._shake():
            wait(self.descriptor, self.wanted, deadline)
            self._below.flush()
            self._pull()
            if self._peer_finished:
                raise ChannelClosed("in the handshake" if self._begun else "before the handshake")
        self._owes_close_notify = True

    def receive(self, limit_octets: int) -> bytes | None:
        data = self._decrypt(limit_octets)
        if data is None and self._pull():
            data = self._decrypt(limit_octets)
        return data

    def queue(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._tls.send(rest) :]
        except SSL.Error as error:
            raise self._failed(tls_fault(error)) from None
        self._collect()

    def flush(self) -> bool:
        return self._below.flush()

    def finish(self) -> None:
        self._say_close_notify()
        self._collect()
        self._below.finish()

    def close(self) -> None:
        self._say_close_notify()
        self._collect()
        self._below.close()

    def _shake(self) -> bool:
        done = True
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            done = False
        except NoCommonProtocol:
            raise self._failed("no common application protocol") from None
        except SSL.Error as error:
            raise self._failed(verify_fault(self._tls) or tls_fault(error)) from None
        self._collect()
        self._below.flush()
        return done

    def _pull(self) -> bool:
        """From the socket into OpenSSL. False: nothing there now; the peer's end counts as something."""
        raw = self._below.receive(CHUNK_OCTETS)
        if raw is None:
            return False
        if not raw:
            # Mail programs end without close_notify. What a truncated message means is for the mail server to see.
            self._peer_finished = True
            return True
        if not self._begun:
            _check_first_octets(raw)
            self._begun = True
        self._tls.bio_write(raw)
        return True

    def _decrypt(self, limit_octets: int) -> bytes | None:
        pieces = []
        try:
            while limit_octets > 0:
                piece = self._tls.recv(limit_octets)
                pieces.append(piece)
                limit_octets -= len(piece)
        except SSL.WantReadError:
            self._collect()  # the answer to a KeyUpdate
        except SSL.ZeroReturnError:
            self._peer_finished = True
        except SSL.Error as error:
            raise self._failed(tls_fault(error)) from None
        if not pieces:
            return b"" if self._peer_finished else None
        return b"".join(pieces)

    def _collect(self) -> None:
        """From OpenSSL into the queue."""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self._below.queue(self._tls.bio_read(CHUNK_OCTETS))

    def _say_close_notify(self) -> None:
        if not self._owes_close_notify:
            return
        self._owes_close_notify = False
        with contextlib.suppress(SSL.Error):
            self._tls.shutdown()

    def _failed(self, fault: str) -> TlsFailed:
        """OpenSSL has written its alert, which `close` sends."""
        self._owes_close_notify = False
        return TlsFailed(fault)


def _check_first_octets(octets: bytes) -> None:
    if octets[0] in _FIRST_OCTETS:
        return
    if octets.startswith(_HTTP_METHODS):
        raise NotTls("an HTTP request instead of TLS")
    if octets.startswith(_PROXY_HEADERS):
        raise NotTls("a PROXY header instead of TLS")
    raise NotTls("octets that are not TLS")
