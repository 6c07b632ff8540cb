"""All requests to one UDP port of one server: which socket, when to transmit again, when to give up.

A request is transmitted every retry interval (within 10 %, RFC 5080 section 2.2.1), with the same identifier,
authenticator and source port, until it is answered, the server's timeout is over, or the caller's deadline has passed.
The waiting greenlet does all of that itself: whatever is thrown into it, its identifier goes with it.

When the network says that nobody listens, the request is transmitted once more after REFUSED_GRACE_S (the server may
be restarting); a second such word and the server has failed, long before its timeout.

Errors: ServerFailed. Limits: MAX_PORTS sockets of 256 requests each.
"""

import random
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.aaa.base import ServerFailed
from gateway.aaa.radius.answers import Answer
from gateway.aaa.radius.observer import ServerEvent
from gateway.aaa.radius.observer import ServerObserver
from gateway.aaa.radius.packets import Draft
from gateway.aaa.radius.port import Exchange
from gateway.aaa.radius.port import Port
from gateway.aaa.radius.port import Verify
from gateway.errors import UpstreamLost

MAX_PORTS: Final = 256
REFUSED_GRACE_S: Final = 0.2

_MAX_REFUSALS: Final = 2
_JITTER: Final = 0.1

Resolve = Callable[[str, float], Sequence[str]]
"""The numeric addresses of a host, at least one, by a deadline; or UpstreamLost."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is and how patient we are."""

    host: str
    port: int
    timeout_s: float
    retry_interval_s: float


class Multiplexer:
    """One a worker. It opens nothing before the first request, so it may be made before the fork."""

    def __init__(self, endpoint: Endpoint, resolve: Resolve, verify: Verify, observer: ServerObserver) -> None:
        self._endpoint = endpoint
        self._resolve = resolve
        self._verify = verify
        self._observer = observer
        self._ports: set[Port] = set()
        self._current: Port | None = None
        self._failures = 0  # turns to the next address of the host

    @property
    def open_ports(self) -> int:
        return len(self._ports)

    def exchange(self, draft: Draft, deadline: float) -> Answer:
        """Send and wait for the verified answer. deadline: of `time.monotonic()`. Raises ServerFailed."""
        deadline = min(deadline, time.monotonic() + self._endpoint.timeout_s)
        port = self._port_with_room(deadline)
        exchange = port.begin(draft)
        try:
            return self._converse(port, exchange, deadline)
        except ServerFailed:
            self._failures += 1
            port.retire()
            raise
        finally:
            port.end(exchange)

    def close(self) -> None:
        """Close all sockets; who waits gets ServerFailed at its next transmission."""
        for port in tuple(self._ports):
            port.close()

    def _converse(self, port: Port, exchange: Exchange, deadline: float) -> Answer:
        self._observer.happened(ServerEvent.REQUEST)
        refusals = 0
        while True:
            port.send(exchange)
            pause_s = self._endpoint.retry_interval_s * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 no secret
            _wait(exchange, pause_s, deadline)
            if exchange.error is not None and exchange.answer is None:
                refusals += 1
                if refusals >= _MAX_REFUSALS:
                    raise self._unreachable(exchange.error)
                _wait(exchange, REFUSED_GRACE_S, deadline)
            if exchange.answer is not None:
                return exchange.answer
            if time.monotonic() >= deadline:
                raise self._timed_out(exchange)
            self._observer.happened(ServerEvent.RETRANSMISSION)

    def _port_with_room(self, deadline: float) -> Port:
        if self._current is None or not self._current.has_room:
            address = self._address(deadline)  # may wait; somebody else may have opened a port meanwhile
            if self._current is None or not self._current.has_room:
                self._current = self._opened(address)
        return self._current

    def _address(self, deadline: float) -> str:
        try:
            addresses = self._resolve(self._endpoint.host, deadline)
        except UpstreamLost as error:
            raise ServerFailed(str(error)) from None
        return addresses[self._failures % len(addresses)]

    def _opened(self, address: str) -> Port:
        if len(self._ports) >= MAX_PORTS:
            raise ServerFailed(f"{MAX_PORTS} sockets full of requests wait for {self._endpoint.host}")
        try:
            port = Port((address, self._endpoint.port), self._verify, self._observer, self._ports.discard)
        except OSError as error:
            raise self._unreachable(error) from None
        self._ports.add(port)
        return port

    def _unreachable(self, error: OSError) -> ServerFailed:
        self._observer.happened(ServerEvent.UNREACHABLE)
        return ServerFailed(f"{self._endpoint.host} port {self._endpoint.port}: {error.strerror or error}")

    def _timed_out(self, exchange: Exchange) -> ServerFailed:
        self._observer.happened(ServerEvent.TIMEOUT)
        waited_s = time.monotonic() - exchange.started
        why = f"; an answer was dropped: {exchange.dropped}" if exchange.dropped else ""
        return ServerFailed(
            f"no answer from {self._endpoint.host} port {self._endpoint.port} within {waited_s:.1f} s{why}"
        )


def _wait(exchange: Exchange, seconds: float, deadline: float) -> None:
    exchange.wait(max(min(seconds, deadline - time.monotonic()), 0.0))
