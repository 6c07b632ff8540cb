"""The engine in a worker's gevent hub: what happens to its sockets becomes calls of `serve` in greenlets of a pool.

The hub watches one descriptor, the engine's. A greenlet serves a session from its first line to the hand-over and goes
back to the pool; silent and relaying sessions have none. What the engine reports (a relay's end, a session that never
said a line) runs in greenlets of the pool too, so that the callbacks may wait.

Errors: connections raise what `transport/base.py` says. An exception that a callback lets out is given to the hub's
error handler; the worker goes on.
"""

import errno
import os
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from typing import NamedTuple
from typing import cast

import gevent
from gevent.hub import Hub
from greenlet import GreenletExit
from greenlet import getcurrent
from greenlet import greenlet
from OpenSSL import SSL

from gateway._engine import ClientSide
from gateway._engine import Engine
from gateway._engine import UpstreamSide
from gateway._sessions import Outcome
from gateway._sessions import SessionTable
from gateway._tls import ServerCertificates
from gateway.errors import Refused
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.outcome import State
from gateway.transport.base import Address
from gateway.transport.base import ClientConnection
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.base import TlsFacts
from gateway.transport.base import UpstreamConnection
from gateway.transport.tls import ServerTls
from gateway.transport.tls import safe_server_name
from gateway.transport.tls import verified_name

RUN_EVERY_S: Final = 0.064  # a tick of the engine's time limits
MAX_IDLE_GREENLETS: Final = 64  # each keeps its stack; more are made when more sessions log in at once
# More than the first line of any client has. From here on the session reads, with its own limit.
FIRST_LINE_OCTETS: Final = 512
INPUT_OCTETS: Final = 64 * 1024  # that a client may send before its login is done
_MAPPED: Final = bytes(10) + b"\xff\xff"  # before an IPv4 address, RFC 4291 section 2.5.5.2

_FIRST_EPHEMERAL_PORT: Final = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

RawAddress = tuple[bytes, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One protocol on one interface, as its connections see it.

    farewell: the octets for a client that is not logged in and is ended by us. on_session: called with each client
    whose first line has begun; the connection is closed when it returns without a hand-over. on_end_early: called with
    the client's address, when it was accepted (monotonic), the reason and a detail for the log. protocol: its number in
    the session table.
    """

    tls: ServerTls
    greeting: bytes
    farewell: Callable[[EndReason], bytes]
    handshake_timeout_s: float
    login_timeout_s: float
    on_session: Callable[[ClientConnection], None]
    on_end_early: Callable[[Address, float, EndReason, str], None]
    protocol: int = 0


class EngineClientConnection(ClientSide):
    """See `transport.base.ClientConnection`."""

    __slots__ = ("_peer", "_state", "_tls", "table")
    _peer: Address
    _tls: TlsFacts
    table: SessionTable | None
    _state: State

    @property
    def state(self) -> State:
        return getattr(self, "_state", State.UNAUTHENTICATED)

    @property
    def peer(self) -> Address:
        if not hasattr(self, "_peer"):
            self._peer = _numeric(self.address)
        return self._peer

    @property
    def local(self) -> Address:
        return _numeric(self.own_address)

    @property
    def tls(self) -> TlsFacts:
        if not hasattr(self, "_tls"):
            version, cipher, alpn, server_name, resumed, certificate_der = self.facts()
            self._tls = TlsFacts(version, cipher, alpn, safe_server_name(server_name), resumed, certificate_der)
        return self._tls

    def advance(self, state: State) -> None:
        if state is State.AUTHENTICATING:
            self.start_login()
        self._state = state

    def admit(self, user: str, limit: int | None, by_address: bool) -> None:
        handle = self.table_handle
        if self.table is not None and handle is not None:
            slot, generation = handle
            outcome = self.table.authenticate(slot, generation, user.encode(), limit, by_address=by_address)
            if outcome is Outcome.REFUSED:
                counted = "addresses" if by_address else "sessions"
                raise Refused(Refusal.SESSION_LIMIT, f"{user} has {limit} {counted} already")
            if outcome is Outcome.GONE:
                self.raise_eviction()
        self.advance(State.AUTHENTICATED)

    def describe(self, *, vpn_user: str, mail_user: str, server: str, group_policy: str) -> None:
        handle = self.table_handle
        if self.table is not None and handle is not None:
            slot, generation = handle
            self.table.describe(
                slot,
                generation,
                vpn_user=vpn_user,
                mail_user=mail_user,
                server=server,
                group_policy=group_policy,
                tls_version=self.tls.version,
                cipher=self.tls.cipher,
            )

    def hand_over(
        self,
        upstream: UpstreamConnection,
        limits: RelayLimits,
        farewells: Callable[[EndReason], bytes],
        on_end: Callable[[RelayEnd], None],
    ) -> None:
        self.join(upstream, limits.idle_s, limits.session_s, farewells, on_end)


class EngineUpstreamConnection(UpstreamSide):
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
            name, address = verified_name(server_name)
        except ValueError as error:
            raise UpstreamLost(f"TLS: {error}") from None
        self.secure(context, server_name, name, address, deadline)


class Transport:
    """All connections of one worker, made after the fork in the thread of its hub. Is a `Connector`.

    on_trouble: accepting has to pause, for lack of descriptors or memory. table: of all workers; this is its `worker`.
    """

    def __init__(
        self, on_trouble: Callable[[OSError], None], table: SessionTable | None = None, worker: int = 0
    ) -> None:
        self._hub = gevent.get_hub()
        self._pool = _Pool(self._hub)
        self._on_trouble = on_trouble
        self._table: SessionTable | None = table
        self._endpoints: dict[int, Endpoint] = {}
        self._listeners: list[socket.socket] = []
        self._engine = Engine(
            self, EngineClientConnection, EngineUpstreamConnection, _descriptor_limit(), table, worker
        )
        self._watcher = self._hub.loop.io(self._engine.epoll_fd, 1)
        self._watcher.start(self._run)
        self._clock = self._hub.loop.timer(RUN_EVERY_S, RUN_EVERY_S)
        self._clock.start(self._run)

    def listen(self, listener: socket.socket, endpoint: Endpoint) -> None:
        """Accept from a bound, listening socket, which belongs to the transport from now on."""
        listener.setblocking(False)
        certificates = ServerCertificates(endpoint.tls.certificates, endpoint.tls.alpn)
        number = self._engine.listen(
            listener.fileno(),
            certificates,
            endpoint.greeting,
            {reason: endpoint.farewell(reason) for reason in EndReason},
            handshake_s=endpoint.handshake_timeout_s,
            login_s=endpoint.login_timeout_s,
            line_octets=FIRST_LINE_OCTETS,
            budget_octets=INPUT_OCTETS,
            protocol=endpoint.protocol,
        )
        self._endpoints[number] = endpoint
        self._listeners.append(listener)

    def stop_accepting(self) -> None:
        """For good. What is queued is left to the others who have the sockets."""
        self._engine.stop_listening()
        while self._listeners:
            self._listeners.pop().close()

    def connect(self, address: Address, deadline: float) -> "EngineUpstreamConnection":
        """Raises ValueError for a name: it would be looked up here and now."""
        packed, interface = _packed(address[0])
        try:
            scope = socket.if_nametoindex(interface) if interface else 0
        except OSError as error:
            raise UpstreamLost(f"interface {interface}: {error.strerror}") from None
        upstream = cast(EngineUpstreamConnection, self._engine.connect(packed, address[1], scope, deadline))
        if address[1] >= _FIRST_EPHEMERAL_PORT and upstream.own_address == upstream.address:
            # A client port that happens to be the one asked for, on this machine: TCP connects it to itself.
            upstream.close()
            raise UpstreamLost(os.strerror(errno.ECONNREFUSED))
        return upstream

    def end(self, key: int, reason: EndReason) -> bool:
        """End the session whose ClientConnection had this key, handed over or not. False: it is over already."""
        return self._engine.end(key, reason)

    def end_all(self, reason: EndReason) -> int:
        return self._engine.end_all(reason)

    @property
    def live(self) -> int:
        """Sessions from accept on."""
        return self._engine.live

    def counters(self) -> dict[str, object]:
        return self._engine.counters()

    def close(self) -> None:
        """Drop everything at once and for good."""
        self._watcher.stop()
        self._watcher.close()
        self._clock.stop()
        self._clock.close()
        self._engine.close()
        self._table = None

    def _run(self) -> None:
        if self._engine.run():
            self.schedule()

    def _serve(self, client: "EngineClientConnection") -> None:
        client.own()
        client.table = self._table
        try:
            self._endpoints[client.listener].on_session(client)
        finally:
            client.close()

    # What the compiled engine calls, all but the first two in the hub.

    def switch_to_hub(self) -> None:
        self._hub.switch()

    def current_greenlet(self) -> greenlet:
        return getcurrent()

    def schedule(self) -> None:
        self._hub.loop.run_callback(self._run)

    def opened(self, client: "EngineClientConnection") -> None:
        self._pool.run(self._serve, client)

    def relay_ended(
        self, on_end: Callable[[RelayEnd], None], reason: EndReason, octets_in: int, octets_out: int
    ) -> None:
        self._pool.run(on_end, RelayEnd(reason, octets_in, octets_out))

    def unserved(self, listener: int, reason: EndReason, address: RawAddress, accepted_at: float, detail: str) -> None:
        self._pool.run(self._endpoints[listener].on_end_early, _numeric(address), accepted_at, reason, detail)

    def trouble(self, error: OSError) -> None:
        self._pool.run(self._on_trouble, error)

    def failed(self) -> None:
        self._hub.handle_error(self, *sys.exc_info())  # None for the context would end the worker


class _Pool:
    """Greenlets that are kept: a new one costs ten times as much as a switch."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._idle: list[greenlet] = []

    def run(self, job: Callable[..., None], *arguments: object) -> None:
        """Until it waits for the first time. Call in the hub."""
        if not self._idle:
            greenlet(self._work, self._hub).switch()
        self._idle.pop().switch(_Job(job, arguments))

    def _work(self) -> None:
        """Starts without a job: what a greenlet is started with it holds on to for as long as it lives."""
        while (job := self._rest()) is not None:
            try:
                job.function(*job.arguments)
            except GreenletExit:
                return
            except BaseException:  # noqa: BLE001  the hub decides what it means
                self._hub.handle_error(job.function, *sys.exc_info())
            del job

    def _rest(self) -> "_Job | None":
        """Anything but a job is a late switch, meant for what this greenlet did before."""
        if len(self._idle) >= MAX_IDLE_GREENLETS:
            return None
        me = getcurrent()
        self._idle.append(me)
        try:
            while not isinstance(job := self._hub.switch(), _Job):
                pass
        except BaseException:  # noqa: BLE001  as late as such a switch: nothing runs here that it could concern
            if me in self._idle:
                self._idle.remove(me)
            return None
        return job


class _Job(NamedTuple):
    function: Callable[..., None]
    arguments: tuple[object, ...]


@lru_cache(maxsize=1024)  # the same few mail servers, login after login
def _packed(host: str) -> tuple[bytes, str]:
    """16 octets and the interface of a link-local address. Raises ValueError for what is no address."""
    host, _, interface = host.partition("%")
    packed = ip_address(host).packed
    return (packed if len(packed) == 16 else _MAPPED + packed), interface


def _numeric(address: RawAddress) -> Address:
    octets, port, scope = address
    if octets.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, octets[len(_MAPPED) :]), port
    host = socket.inet_ntop(socket.AF_INET6, octets)
    return (f"{host}%{_interface(scope)}" if scope else host), port


def _descriptor_limit() -> int:
    """Accepting pauses here: what is above is for mail servers, AAA servers and logs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - max(32, soft // 16), soft // 2)


def _interface(scope: int) -> str:
    try:
        return socket.if_indextoname(scope)
    except OSError:
        return str(scope)
