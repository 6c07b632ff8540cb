"""Connections in memory, for `serve()` without sockets: what is read is given beforehand, what is written is kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import NoReturn

from OpenSSL import SSL

from gateway._fastpath import FrameBuffer
from gateway.errors import Refused
from gateway.errors import SessionEnded
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.outcome import State
from gateway.transport.base import Address
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.base import TlsFacts
from gateway.transport.base import UpstreamConnection


@dataclass
class _Memory:
    """What both sides share. `fails` is raised once nothing is left to read."""

    given: bytes
    peer: Address = ("192.0.2.1", 40000)
    local: Address = ("192.0.2.2", 993)
    written: bytes = b""
    closed: bool = False
    unread: FrameBuffer = field(init=False)

    def __post_init__(self) -> None:
        self.unread = FrameBuffer(1 << 20)
        self.unread.feed(self.given)

    def read_line(self, limit_octets: int, deadline: float) -> bytes:
        line = self.unread.take_line(limit_octets)
        if line is None:
            self.run_dry()
        return line

    def read_octets(self, count: int, deadline: float) -> bytes:
        octets = self.unread.take_octets(count)
        if octets is None:
            self.run_dry()
        return octets

    def run_dry(self) -> NoReturn:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self, last_words: bytes = b"") -> None:
        if not self.closed:
            self.written += last_words
        self.closed = True


@dataclass
class MemoryClient(_Memory):
    """The client: says `given`, then is gone (or, with `ended`, is ended from outside at that point)."""

    ended: EndReason = EndReason.CLIENT_CLOSED
    tls: TlsFacts = field(default_factory=lambda: TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256"))
    accepted_at: float = field(default_factory=time.monotonic)
    states: list[State] = field(default_factory=list)
    pauses_s: list[float] = field(default_factory=list)
    over_limit: bool = False
    admitted: tuple[str, int | None, bool] | None = None
    texts: tuple[str, ...] = ()
    joined: UpstreamConnection | None = None
    limits: RelayLimits | None = None
    on_relay_end: Callable[[RelayEnd], None] | None = None

    def run_dry(self) -> NoReturn:
        raise SessionEnded(self.ended)

    def advance(self, state: State) -> None:
        self.states.append(state)

    def admit(self, user: str, limit: int | None, by_address: bool) -> None:
        self.admitted = (user, limit, by_address)
        if self.over_limit:
            raise Refused(Refusal.SESSION_LIMIT)
        self.advance(State.AUTHENTICATED)

    def describe(self, *, vpn_user: str, mail_user: str, server: str, group_policy: str) -> None:
        self.texts = (vpn_user, mail_user, server, group_policy)

    def end(self, reason: EndReason) -> None:
        self.ended = reason

    def pause(self, seconds: float) -> None:
        self.pauses_s.append(seconds)

    def hand_over(
        self,
        upstream: UpstreamConnection,
        limits: RelayLimits,
        farewells: Callable[[EndReason], bytes],
        on_end: Callable[[RelayEnd], None],
    ) -> None:
        self.joined, self.limits, self.on_relay_end = upstream, limits, on_end


@dataclass
class MemoryUpstream(_Memory):
    """The mail server: says `given` whatever it is told, then is silent until the deadline."""

    tls_names: list[str] = field(default_factory=list)

    def run_dry(self) -> NoReturn:
        raise UpstreamLost("silent")

    def start_tls(self, context: SSL.Context, server_name: str, deadline: float) -> None:
        if self.unread.pending:
            raise UpstreamLost("octets wait before TLS")
        self.tls_names.append(server_name)


@dataclass
class MemoryConnector:
    """Connects to scripted mail servers: each connection takes the next script; without one it is refused."""

    scripts: list[bytes]
    opened: list[MemoryUpstream] = field(default_factory=list)
    dialled: list[Address] = field(default_factory=list)

    def connect(self, address: Address, deadline: float) -> MemoryUpstream:
        self.dialled.append(address)
        if not self.scripts:
            raise UpstreamLost("connection refused")
        self.opened.append(MemoryUpstream(self.scripts.pop(0), peer=address))
        return self.opened[-1]
