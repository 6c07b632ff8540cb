"""A client's connection, from accept to the hand-over. The greenlet that does the handshake owns it from then on.

`end` is safe at any point where the owner waits, be it here or in anything else (AAA, the mail server, a pause): the
SessionEnded is thrown into the owner from the hub, where the owner is by nature waiting. It comes once; calls after it
raise again, `close` does not. An owner that waits while it cleans up has to expect it there too.

Errors: `SessionEnded`, also for every call after the first one that raised it, but for `close` and `hand_over`.
"""

from collections.abc import Callable
from typing import Final

import gevent
from greenlet import getcurrent
from greenlet import greenlet

from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.outcome import State
from gateway.transport.base import Address
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.base import TlsFacts
from gateway.transport.base import UpstreamConnection
from gateway.transport.channel import ChannelClosed
from gateway.transport.channel import ChannelLost
from gateway.transport.channel import PlainChannel
from gateway.transport.relay import Relay
from gateway.transport.stream import Fault
from gateway.transport.stream import Stream
from gateway.transport.tls import ServerTls
from gateway.transport.tls_channel import NotTls
from gateway.transport.tls_channel import TlsChannel
from gateway.transport.tls_channel import TlsFailed
from gateway.transport.waiting import Expired

_REASONS: Final = {
    Fault.CLOSED: EndReason.CLIENT_CLOSED,
    Fault.LOST: EndReason.CLIENT_LOST,
    Fault.EXPIRED: EndReason.LOGIN_TIMEOUT,
    Fault.TOO_MUCH_INPUT: EndReason.TOO_MUCH_INPUT,
    Fault.TOO_MUCH_OUTPUT: EndReason.TOO_MUCH_OUTPUT,
}
_HANDSHAKE_REASONS: Final[dict[type[Exception], EndReason]] = {
    Expired: EndReason.HANDSHAKE_TIMEOUT,
    NotTls: EndReason.NOT_THIS_PROTOCOL,
    TlsFailed: EndReason.HANDSHAKE_FAILED,
    ChannelClosed: EndReason.CLIENT_CLOSED,
    ChannelLost: EndReason.CLIENT_LOST,
}


class GeventClientConnection(Stream):
    """See `ClientConnection`. tls: there once `start_tls` has returned. on_gone: called once, after the last octet."""

    tls: TlsFacts

    def __init__(
        self,
        channel: PlainChannel,
        peer: Address,
        local: Address,
        accepted_at: float,
        on_gone: Callable[["GeventClientConnection"], None],
    ) -> None:
        super().__init__(channel, peer, local)
        self.accepted_at = accepted_at
        self.state = State.UNAUTHENTICATED
        self._plain = channel
        self._on_gone = on_gone
        self._owner: greenlet | None = None
        self._owner_knows = False
        self._ended: tuple[EndReason, str] | None = None
        self._relay: Relay | None = None

    def start_tls(self, tls: ServerTls, deadline: float) -> None:
        """Do the handshake as the server."""
        self._owner = getcurrent()
        self._check()
        channel = TlsChannel(self._plain, tls.accept())
        self._channel = channel
        try:
            channel.handshake(deadline)
        except (Expired, ChannelLost) as error:
            raise self._end_here(_HANDSHAKE_REASONS[type(error)], str(error)) from None
        self.tls = channel.facts()

    def await_line(self, limit_octets: int, deadline: float) -> None:
        """Wait until a line, or `limit_octets` of one, can be read without waiting."""
        self._check()
        while not self._frames.has_line(limit_octets):
            self._fill(deadline)

    def advance(self, state: State) -> None:
        self.state = state

    def pause(self, seconds: float) -> None:
        self._check()
        gevent.sleep(seconds)
        self._check()

    def end(self, reason: EndReason) -> None:
        if self._relay is not None:
            self._relay.end(reason)
        elif self._is_open and self._ended is None:
            self._ended = (reason, "")
            gevent.get_hub().loop.run_callback(self._tell_owner)

    def close(self, last_words: bytes = b"") -> None:
        if self._is_open:
            super().close(last_words)
            self._on_gone(self)

    def hand_over(
        self,
        upstream: UpstreamConnection,
        limits: RelayLimits,
        farewells: Callable[[EndReason], bytes],
        on_end: Callable[[RelayEnd], None],
    ) -> None:
        if not isinstance(upstream, Stream):
            raise TypeError("the upstream connection is not one of this transport's")

        def ended(relay_end: RelayEnd) -> None:
            self._on_gone(self)
            on_end(relay_end)

        self._relay = Relay(self.release(), upstream.release(), limits, farewells, ended)
        self._relay.start()
        if self._ended is not None:  # by `end`, and the owner has not waited since
            self._relay.end(self._ended[0])

    def _check(self) -> None:
        if self._ended is not None:
            self._owner_knows = True
            raise SessionEnded(*self._ended)

    def _failure(self, fault: Fault, detail: str = "") -> SessionEnded:
        return self._end_here(_REASONS[fault], detail)

    def _end_here(self, reason: EndReason, detail: str) -> SessionEnded:
        """The owner finds out by itself. What `end` has said before stands."""
        self._owner_knows = True
        self._ended = self._ended or (reason, detail)
        return SessionEnded(*self._ended)

    def _tell_owner(self) -> None:
        """Runs in the hub. An owner that has not begun yet finds out when it does."""
        if self._is_open and not self._owner_knows and self._ended and self._owner:
            self._owner_knows = True
            self._owner.throw(SessionEnded(*self._ended))
