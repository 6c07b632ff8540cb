"""The engine in a worker's gevent hub: what happens to its sockets becomes calls of `serve` in greenlets of a pool.

The hub watches one descriptor, the engine's. A greenlet serves a session from its first line to the hand-over and goes
back to the pool; silent and relaying sessions have none. What the engine reports (a relay's end, a session that never
said a line) runs in greenlets of the pool too, so that the callbacks may wait.

Errors: connections raise what `transport/base.py` says. An exception that a callback lets out is given to the hub's
error handler; the worker goes on.
"""

import socket
import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from typing import cast

import gevent
from gevent.hub import Hub
from greenlet import GreenletExit
from greenlet import getcurrent
from greenlet import greenlet
from OpenSSL import SSL

from gateway import _engine
from gateway._engine import ClientSide
from gateway._engine import UpstreamSide
from gateway._tls import ServerCertificates
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason
from gateway.outcome import State
from gateway.transport.base import Address
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.base import TlsFacts
from gateway.transport.base import UpstreamConnection as Upstream

RUN_EVERY_S: Final = 0.128  # a tick of the engine's time limits
MAX_IDLE_GREENLETS: Final = 64  # each keeps its stack; more are made when more sessions log in at once
_MAPPED: Final = bytes(10) + b"\xff\xff"  # before an IPv4 address, RFC 4291 section 2.5.5.2

NO_LIMIT: Final = 1 << 30

RawAddress = tuple[bytes, int, int]


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Both times count from accept. budget_octets: all that a client may send before its login is done."""

    handshake_s: float = 10.0
    login_s: float = 60.0
    line_octets: int = 12288
    budget_octets: int = 65536


DEFAULT_LIMITS: Final = ListenerLimits()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A context made by pyOpenSSL and the names that select it (`*.example.org` for any one label)."""

    context: SSL.Context
    names: Sequence[str] = ()
    ocsp_response: bytes | None = None


class ClientConnection(ClientSide):
    """See `transport.base.ClientConnection`."""

    __slots__ = ("_tls",)
    _tls: TlsFacts

    @property
    def peer(self) -> Address:
        return _numeric(self.address)

    @property
    def local(self) -> Address:
        return _numeric(self.own_address)

    @property
    def tls(self) -> TlsFacts:
        if not hasattr(self, "_tls"):
            self._tls = TlsFacts(*self.facts())
        return self._tls

    def advance(self, state: State) -> None:
        self.reached(state)

    def hand_over(
        self,
        upstream: Upstream,
        limits: RelayLimits,
        farewells: Callable[[EndReason], bytes],
        on_end: Callable[[RelayEnd], None],
    ) -> None:
        assert isinstance(upstream, UpstreamSide)  # noqa: S101
        self.join(upstream, limits.idle_s, limits.session_s, farewells, on_end)


class UpstreamConnection(UpstreamSide):
    """See `transport.base.UpstreamConnection`."""

    __slots__ = ()

    @property
    def peer(self) -> Address:
        return _numeric(self.address)

    @property
    def local(self) -> Address:
        return _numeric(self.own_address)

    def start_tls(self, context: SSL.Context, server_name: str, deadline: float) -> None:
        try:
            address = ip_address(server_name).packed
        except ValueError:
            address = None
        try:
            name = server_name.encode("ascii")
        except UnicodeEncodeError:
            name = server_name.encode("idna")
        self.secure(context, name, address, deadline)


class Engine:
    """One a worker, made after the fork in the thread of its hub. Is a `transport.base.Connector`.

    on_unserved: told of each session that ended before its first line: listener, reason, client, accepted at.
    """

    def __init__(
        self, on_unserved: Callable[[int, EndReason, Address, float], None], descriptor_limit: int = NO_LIMIT
    ) -> None:
        self._hub = gevent.get_hub()
        self._pool = _Pool(self._hub)
        self._on_unserved = on_unserved
        self._on_session: dict[int, Callable[[ClientConnection], None]] = {}
        self._core = _engine.Engine(self, ClientConnection, UpstreamConnection, descriptor_limit)
        self._watcher = self._hub.loop.io(self._core.epoll_fd, 1)
        self._watcher.start(self._run)
        self._clock = self._hub.loop.timer(RUN_EVERY_S, RUN_EVERY_S)
        self._clock.start(self._run)

    def listen(
        self,
        listener: socket.socket,
        certificates: Sequence[Certificate],
        alpn: bytes,
        greeting: bytes,
        farewells: Mapping[EndReason, bytes],
        on_session: Callable[[ClientConnection], None],
        limits: ListenerLimits = DEFAULT_LIMITS,
    ) -> int:
        """Accept from a listening socket, which stays the caller's and must stay open. Returns a number for it.

        farewells: for sessions that end before their first line. on_session runs in a greenlet for each session.
        """
        served = ServerCertificates([(one.context, one.names, one.ocsp_response) for one in certificates], alpn)
        number = self._core.listen(
            listener.fileno(),
            served,
            greeting,
            dict(farewells),
            handshake_s=limits.handshake_s,
            login_s=limits.login_s,
            line_octets=limits.line_octets,
            budget_octets=limits.budget_octets,
        )
        self._on_session[number] = on_session
        return number

    def stop_listening(self) -> None:
        """Accept no more; the sessions there are go on."""
        self._core.stop_listening()

    def connect(self, address: Address, deadline: float) -> UpstreamConnection:
        host, _, interface = address[0].partition("%")
        try:
            packed = ip_address(host).packed
            scope = socket.if_nametoindex(interface) if interface else 0
        except (ValueError, OSError) as error:
            raise UpstreamLost(str(error)) from None
        if len(packed) == 4:
            packed = _MAPPED + packed
        return cast(UpstreamConnection, self._core.connect(packed, address[1], scope, deadline))

    def end(self, key: int, reason: EndReason) -> bool:
        """End the session whose ClientConnection had this key, handed over or not. False: it is over already."""
        return self._core.end(key, reason)

    def end_all(self, reason: EndReason) -> int:
        return self._core.end_all(reason)

    @property
    def live(self) -> int:
        """Sessions from accept on."""
        return self._core.live

    def counters(self) -> dict[str, object]:
        return self._core.counters()

    def close(self) -> None:
        """Drop everything at once and for good."""
        self._watcher.stop()
        self._watcher.close()
        self._clock.stop()
        self._clock.close()
        self._core.close()

    def _run(self) -> None:
        if self._core.run():
            self.schedule()

    def _serve(self, client: ClientConnection) -> None:
        client.own()
        try:
            self._on_session[client.listener](client)
        finally:
            client.close()

    # What the compiled engine calls, all but the first two in the hub.

    def switch_to_hub(self) -> None:
        self._hub.switch()

    def current_greenlet(self) -> greenlet:
        return getcurrent()

    def schedule(self) -> None:
        self._hub.loop.run_callback(self._run)

    def opened(self, client: ClientConnection) -> None:
        self._pool.run(self._serve, client)

    def relay_ended(
        self, on_end: Callable[[RelayEnd], None], reason: EndReason, octets_in: int, octets_out: int
    ) -> None:
        self._pool.run(on_end, RelayEnd(reason, octets_in, octets_out))

    def unserved(self, listener: int, reason: EndReason, address: RawAddress, accepted_at: float) -> None:
        self._pool.run(self._on_unserved, listener, reason, _numeric(address), accepted_at)

    def failed(self) -> None:
        self._hub.handle_error(None, *sys.exc_info())


class _Pool:
    """Greenlets that are kept: a new one costs ten times as much as a switch."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._idle: list[greenlet] = []

    def run(self, job: Callable[..., None], *arguments: object) -> None:
        """Until it waits for the first time. Call in the hub."""
        worker = self._idle.pop() if self._idle else greenlet(self._work, self._hub)
        worker.switch(_Job(job, arguments))

    def _work(self, work: object) -> None:
        while isinstance(work, _Job):
            try:
                work.function(*work.arguments)
            except GreenletExit:
                return
            except BaseException:  # noqa: BLE001  the hub decides what it means
                self._hub.handle_error(work.function, *sys.exc_info())
            del work
            work = self._rest()

    def _rest(self) -> object:
        """Anything but a job is a late switch, meant for what this greenlet did before."""
        if len(self._idle) >= MAX_IDLE_GREENLETS:
            return None
        me = getcurrent()
        self._idle.append(me)
        try:
            while not isinstance(work := self._hub.switch(), _Job):
                pass
        except BaseException:  # noqa: BLE001  as late as such a switch: nothing runs here that it could concern
            if me in self._idle:
                self._idle.remove(me)
            return None
        return work


@dataclass(frozen=True, slots=True)
class _Job:
    function: Callable[..., None]
    arguments: tuple[object, ...]


def _numeric(address: RawAddress) -> Address:
    octets, port, scope = address
    if octets.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, octets[len(_MAPPED) :]), port
    host = socket.inet_ntop(socket.AF_INET6, octets)
    return (f"{host}%{_interface(scope)}" if scope else host), port


def _interface(scope: int) -> str:
    try:
        return socket.if_indextoname(scope)
    except OSError:
        return str(scope)
