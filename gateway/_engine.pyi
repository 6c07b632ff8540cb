"""Every client and upstream descriptor of a worker, from accept to close; see `_engine.pyx`.

Addresses are 16 octets (IPv4 mapped into IPv6), port, scope. Deadlines are points of `time.monotonic()`.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import final

from OpenSSL import SSL
from typing_extensions import disjoint_base

from gateway._scan import CommandFilter
from gateway._sessions import SessionTable
from gateway._tls import ServerCertificates
from gateway.outcome import EndReason
from gateway.transport.base import UpstreamConnection

_RawAddress = tuple[bytes, int, int]
_RawFacts = tuple[str, str, bytes | None, str | None, bool, bytes | None]

@disjoint_base
class Connection:
    """One side in the dialogue. See `transport.base.Connection` for what its methods promise."""

    @property
    def address(self) -> _RawAddress: ...
    @property
    def own_address(self) -> _RawAddress: ...
    @property
    def unsent(self) -> int:
        """Octets that the peer has yet to take."""

    def read_line(self, limit_octets: int, deadline: float) -> bytes: ...
    def read_octets(self, count: int, deadline: float) -> bytes: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def close(self, last_words: bytes | bytearray | memoryview = ...) -> None: ...

@disjoint_base
class ClientSide(Connection):
    """A client from its first line to the hand-over. key: for `Engine.end`; listener: its number."""

    @property
    def key(self) -> int: ...
    @property
    def listener(self) -> int: ...
    @property
    def accepted_at(self) -> float: ...
    @property
    def table_handle(self) -> tuple[int, int] | None:
        """Slot and generation in the session table; None: there is none, or it is over."""

    def facts(self) -> _RawFacts:
        """Version, cipher, ALPN, SNI as sent, resumed, the client's certificate (DER)."""

    def start_login(self) -> None:
        """A user name was given. Raises SessionEnded if the session was evicted meanwhile."""

    def raise_eviction(self) -> None:
        """The table says that somebody has ended it: raise SessionEnded with the reason."""

    def own(self) -> None:
        """`end` interrupts the greenlet that calls this."""

    def inspect(self, commands: CommandFilter) -> None:
        """Once it relays, the session ends if the client sends one of these commands."""

    def pause(self, seconds: float) -> None: ...
    def end(self, reason: EndReason) -> None: ...
    def join(
        self,
        other: UpstreamConnection,
        idle_s: float | None,
        session_s: float | None,
        farewells: Callable[[EndReason], bytes],
        on_end: Callable[..., None],
    ) -> None: ...

@disjoint_base
class UpstreamSide(Connection):
    """A mail server from the connection to the hand-over."""

    def secure(
        self, context: SSL.Context, server_name: str, host_name: bytes, address: bytes | None, deadline: float
    ) -> None:
        """address: verify the certificate for it, not for the name (4 or 16 octets; None: for the name)."""

    def facts(self) -> _RawFacts | None: ...

@final
class Engine:
    """One a worker, made after the fork, used from the hub's thread only."""

    def __new__(
        cls,
        callbacks: Any,
        client_class: type[ClientSide] = ...,
        upstream_class: type[UpstreamSide] = ...,
        descriptor_limit: int = ...,
        table: SessionTable | None = None,
        worker: int = 0,
    ) -> Engine: ...
    @property
    def epoll_fd(self) -> int: ...
    @property
    def live(self) -> int:
        """Sessions, those included that linger."""

    def listen(
        self,
        fd: int,
        certificates: ServerCertificates,
        greeting: bytes,
        farewells: Mapping[EndReason, bytes],
        *,
        handshake_s: float,
        login_s: float,
        line_octets: int,
        budget_octets: int,
        protocol: int = 0,
    ) -> int:
        """Accept on a listening socket, which stays the caller's. Returns the listener's number.

        protocol: its number in the session table.
        """

    def stop_listening(self) -> None: ...
    def run(self) -> bool:
        """Do what there is to do now. True: call again soon."""

    def connect(self, octets: bytes, port: int, scope: int, deadline: float) -> UpstreamSide:
        """An open connection to an IPv6 address, or to an IPv4 address that is mapped to one. Raises UpstreamLost."""

    def end(self, key: int, reason: EndReason) -> bool:
        """End the session with that key (a ClientSide's), wherever it is. False: there is none, or it is over."""

    def end_all(self, reason: EndReason) -> int:
        """How many were ended."""

    def close(self) -> None:
        """Drop all sessions and listeners at once. Nothing is reported."""

    def counters(self) -> dict[str, object]: ...
