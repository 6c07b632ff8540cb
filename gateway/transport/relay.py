"""Octets both ways between a client and its mail server, until both have ended or a limit is reached.

One greenlet per direction copies, one supervises. A direction reads on only when the other side has taken what was
read before. When one side ends (FIN or close_notify), the other is told so once it has everything, and the other
direction goes on.

Errors: none leave; each is a reason in `RelayEnd`.
Limits: CHUNK_OCTETS per direction, besides what OpenSSL holds of one read. Where only one direction is left,
HALF_CLOSED_IDLE_S without an octet are enough to end the session, whatever the idle time-out.
"""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import gevent
from gevent.event import Event

from gateway.outcome import EndReason
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.channel import CHUNK_OCTETS
from gateway.transport.channel import Channel
from gateway.transport.channel import ChannelLost
from gateway.transport.waiting import READ
from gateway.transport.waiting import WRITE
from gateway.transport.waiting import wait

HALF_CLOSED_IDLE_S: Final = 60.0
_WITHOUT_FAREWELL: Final = frozenset({EndReason.CLIENT_CLOSED, EndReason.CLIENT_LOST, EndReason.UPSTREAM_CLOSED})


@dataclass(frozen=True, slots=True)
class _Side:
    channel: Channel
    closed: EndReason
    lost: EndReason


@dataclass(slots=True)
class _Flow:
    """One direction. at_line_start: the last octet was LF, or there has been none."""

    source: _Side
    target: _Side
    read_ahead: bytes
    octets: int = 0
    at_line_start: bool = True
    done: bool = False


class _SideLost(Exception):
    def __init__(self, side: _Side) -> None:
        self.side = side


class Relay:
    """Owns both channels from here on. Each comes with what was read ahead from it, which goes first."""

    def __init__(
        self,
        client: tuple[Channel, bytes],
        upstream: tuple[Channel, bytes],
        limits: RelayLimits,
        farewells: Callable[[EndReason], bytes],
        on_end: Callable[[RelayEnd], None],
    ) -> None:
        client_side = _Side(client[0], EndReason.CLIENT_CLOSED, EndReason.CLIENT_LOST)
        upstream_side = _Side(upstream[0], EndReason.UPSTREAM_CLOSED, EndReason.UPSTREAM_LOST)
        self._in = _Flow(client_side, upstream_side, client[1])
        self._out = _Flow(upstream_side, client_side, upstream[1])
        self._idle_s = math.inf if limits.idle_s is None else limits.idle_s
        self._ends_at = math.inf if limits.session_s is None else time.monotonic() + limits.session_s
        self._active_at = time.monotonic()
        self._farewells = farewells
        self._on_end = on_end
        self._closed_first: EndReason | None = None
        self._reason: EndReason | None = None
        self._changed = Event()

    def start(self) -> None:
        gevent.spawn(self._run)

    def end(self, reason: EndReason) -> None:
        """The first reason counts."""
        self._reason = self._reason or reason
        self._changed.set()

    def _run(self) -> None:
        copiers = [gevent.spawn(self._copy, self._in), gevent.spawn(self._copy, self._out)]
        try:
            reason = self._supervise()
        finally:
            gevent.killall(copiers)
        try:
            self._say_farewell(reason)
        finally:
            self._out.target.channel.close()
            self._in.target.channel.close()
            self._on_end(RelayEnd(reason, self._in.octets, self._out.octets))

    def _supervise(self) -> EndReason:
        while self._reason is None:
            idle_at, reason = self._idle_at()
            expires_at = min(idle_at, self._ends_at)
            remaining_s = expires_at - time.monotonic()
            if remaining_s <= 0:
                return reason if idle_at <= self._ends_at else EndReason.SESSION_TIMEOUT
            self._changed.clear()
            self._changed.wait(None if remaining_s == math.inf else remaining_s)
        return self._reason

    def _idle_at(self) -> tuple[float, EndReason]:
        if self._closed_first is None:
            return self._active_at + self._idle_s, EndReason.IDLE_TIMEOUT
        return self._active_at + min(self._idle_s, HALF_CLOSED_IDLE_S), self._closed_first

    def _say_farewell(self, reason: EndReason) -> None:
        """Not into the middle of a line, nor behind octets that the client does not take."""
        client = self._out.target.channel
        if reason in _WITHOUT_FAREWELL or self._out.done or client.queued or not self._out.at_line_start:
            return
        with contextlib.suppress(ChannelLost):
            client.queue(self._farewells(reason))

    def _copy(self, flow: _Flow) -> None:
        try:
            self._send(flow, flow.read_ahead)
            flow.read_ahead = b""
            while self._copy_chunk(flow):
                pass
            self._finish(flow)
        except _SideLost as lost:
            self.end(lost.side.closed if self._closed_first is lost.side.closed else lost.side.lost)

    def _copy_chunk(self, flow: _Flow) -> bool:
        """A function of its own, so that an idle session does not hold on to its last chunk."""
        data = self._receive(flow)
        if data:
            self._send(flow, data)
        return bool(data)

    def _receive(self, flow: _Flow) -> bytes:
        channel = flow.source.channel
        try:
            while (data := channel.receive(CHUNK_OCTETS)) is None:
                channel.flush()  # what TLS itself has to say
                wait(channel.descriptor, READ, None)
        except ChannelLost:
            raise _SideLost(flow.source) from None
        self._active_at = time.monotonic()
        return data

    def _send(self, flow: _Flow, data: bytes) -> None:
        try:
            flow.target.channel.queue(data)
        except ChannelLost:
            raise _SideLost(flow.target) from None
        flow.octets += len(data)
        flow.at_line_start = data.endswith(b"\n") if data else flow.at_line_start
        self._flush(flow)

    def _flush(self, flow: _Flow) -> None:
        channel = flow.target.channel
        try:
            while not channel.flush():
                wait(channel.descriptor, WRITE, None)
                self._active_at = time.monotonic()
        except ChannelLost:
            raise _SideLost(flow.target) from None
        gevent.sleep(0)  # a pair that is always ready would starve the others

    def _finish(self, flow: _Flow) -> None:
        """The source sends no more."""
        self._closed_first = self._closed_first or flow.source.closed
        self._changed.set()
        flow.target.channel.finish()
        self._flush(flow)
        flow.done = True
        if self._in.done and self._out.done:
            self.end(self._closed_first)
