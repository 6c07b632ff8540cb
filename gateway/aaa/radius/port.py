"""One connected UDP socket and its 256 identifiers, each of which is used once.

An identifier is never used again on the same socket, so a late answer meets no request at all, and the answers of one
server cannot be mixed up even before they are verified. The kernel gives each socket a random source port and hands
over only what comes from the server's own address and port. The price, besides a socket for 256 requests: a server
remembers each of them for a while. FreeRADIUS keeps max_requests (16384) for cleanup_delay (5 s), which is 3,000
logins a second.

The socket closes itself: when its identifiers are used up (or it was retired) and nothing waits, or after IDLE_S.

Errors: OSError when the socket cannot be opened. Its later errors are told to all who wait (`Exchange.error`).
Source: RFC 2865 section 3 (Identifier); RFC 5080 section 2.2.1.
"""

import errno
import os
import socket
import time
from collections.abc import Callable
from typing import Final

import gevent
from gevent.event import Event

from gateway.aaa.radius.answers import Answer
from gateway.aaa.radius.answers import BadAnswer
from gateway.aaa.radius.answers import Drop
from gateway.aaa.radius.answers import identifier_of
from gateway.aaa.radius.observer import ServerObserver
from gateway.aaa.radius.packets import MAX_PACKET_OCTETS
from gateway.aaa.radius.packets import Draft
from gateway.aaa.radius.packets import Sealed
from gateway.aaa.radius.packets import encoded

IDLE_S: Final = 30.0

_IDENTIFIERS: Final = 256
# An answer to each at once; the default of Linux holds 166 of 200 octets. What net.core.rmem_max does not allow is cut.
_RECEIVE_BUFFER_OCTETS: Final = _IDENTIFIERS * MAX_PACKET_OCTETS
_BURST: Final = 32  # datagrams for one turn of the hub; a flood of forged ones does not stop the others
_READ: Final = 1
_LOST: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})  # as if the network had lost it

Verify = Callable[[bytes, Sealed], Answer]
"""The datagram as the answer to that request, or BadAnswer."""


class Exchange:
    """One request on its way.

    error: the network's first complaint since the last transmission. dropped: why the last bad answer was dropped.
    """

    __slots__ = ("_changed", "answer", "dropped", "error", "sealed", "started")

    def __init__(self, sealed: Sealed) -> None:
        self.sealed = sealed
        self.started = time.monotonic()
        self.answer: Answer | None = None
        self.error: OSError | None = None
        self.dropped: Drop | None = None
        self._changed = Event()

    def wait(self, seconds: float) -> None:
        """Return when there is an answer or a first error, or the time is over."""
        self._changed.wait(seconds)
        self._changed.clear()

    def succeed(self, answer: Answer) -> None:
        """The answer is there."""
        self.answer = answer
        self._changed.set()

    def fail(self, error: OSError) -> None:
        """The network complains. Only the first complaint since the last transmission counts."""
        if self.error is None:
            self.error = error
            self._changed.set()


class Port:
    """on_close is called once, when the socket has closed itself."""

    def __init__(
        self,
        address: tuple[str, int],
        verify: Verify,
        observer: ServerObserver,
        on_close: Callable[["Port"], None],
    ) -> None:
        self._verify = verify
        self._observer = observer
        self._on_close = on_close
        self._unused = _identifiers()
        self._waiting: dict[int, Exchange] = {}
        self._socket = _connected(address)
        self._nas = _nas_address(self._socket)
        loop = gevent.get_hub().loop
        self._idle = loop.timer(IDLE_S, ref=False)
        self._readable = loop.io(self._socket.fileno(), _READ)
        self._readable.start(self._receive)

    @property
    def has_room(self) -> bool:
        return bool(self._unused)

    def begin(self, draft: Draft) -> Exchange:
        """Give the draft an identifier. The caller owes an `end`."""
        exchange = Exchange(draft.sealed(self._unused[-1], self._nas))
        self._waiting[self._unused.pop()] = exchange
        self._idle.stop()
        return exchange

    def send(self, exchange: Exchange) -> None:
        """Transmit the request, for the first time or again. Never raises, never waits."""
        exchange.error = None
        try:
            self._socket.send(exchange.sealed.octets)
        except OSError as error:
            if error.errno not in _LOST:
                self._tell_all(error)

    def end(self, exchange: Exchange) -> None:
        """Nobody waits for this answer any more."""
        self._waiting.pop(exchange.sealed.identifier, None)
        if self._waiting:
            return
        if self._unused:
            self._idle.start(self.retire)
        else:
            self.close()

    def retire(self) -> None:
        """Take no more requests; close as soon as nothing waits."""
        self._unused.clear()
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Idempotent. Who still waits finds the socket closed at the next transmission."""
        self._unused.clear()
        if self._socket.fileno() < 0:
            return
        self._readable.close()
        self._idle.close()
        self._socket.close()
        self._on_close(self)

    def _receive(self) -> None:
        for _ in range(_BURST):
            try:
                datagram = self._socket.recv(MAX_PACKET_OCTETS + 1)
            except BlockingIOError:
                return
            except OSError as error:
                self._tell_all(error)
                return
            self._believe(datagram)

    def _believe(self, datagram: bytes) -> None:
        exchange = None
        try:
            exchange = self._waiting.get(identifier_of(datagram))
            if exchange is None or exchange.answer is not None:
                raise BadAnswer(Drop.STRAY)
            answer = self._verify(datagram, exchange.sealed)
        except BadAnswer as bad:
            self._observer.dropped(bad.reason)
            if exchange is not None:
                exchange.dropped = bad.reason
        else:
            self._observer.answered_after(time.monotonic() - exchange.started)
            exchange.succeed(answer)

    def _tell_all(self, error: OSError) -> None:
        """An ICMP error names no request: it may be meant for any of them."""
        for exchange in self._waiting.values():
            exchange.fail(error)


def _identifiers() -> list[int]:
    """All of them, in an order that nobody can guess. SystemRandom would take half a millisecond."""
    noise = os.urandom(4 * _IDENTIFIERS)
    return sorted(range(_IDENTIFIERS), key=lambda identifier: noise[4 * identifier : 4 * identifier + 4])


def _connected(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    own = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_OCTETS)
        own.connect(address)
    except OSError:
        own.close()
        raise
    return own


def _nas_address(own: socket.socket) -> bytes:
    """RFC 2865 section 5.4, RFC 3162 section 2.1: the address of the gateway that the server sees."""
    name = "NAS-IPv6-Address" if own.family == socket.AF_INET6 else "NAS-IP-Address"
    return encoded({name: own.getsockname()[0].partition("%")[0]})
