"""Sessions of the engine that a test serves by hand: both far ends, and our side of both."""

import gc
import os
import socket
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.queue import Queue

from gateway._sessions import SessionTable
from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.transport.base import Address
from gateway.transport.base import RelayEnd
from gateway.transport.base import RelayLimits
from gateway.transport.engine import Endpoint
from gateway.transport.engine import EngineClientConnection
from gateway.transport.engine import EngineUpstreamConnection
from gateway.transport.engine import Transport
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import cooperative
from tests.unit.transport.peers import soon

GREETING = b"* OK ready\r\n"
UNLIMITED = RelayLimits(None, None)


class Worker:
    """A transport with one endpoint. Sessions wait to be taken with `next_client`, and end when the test ends them."""

    def __init__(
        self, listener: socket.socket, changes: dict[str, Any], table: SessionTable | None = None, number: int = 0
    ) -> None:
        self.listener = listener  # as the master keeps it
        self.address = listener.getsockname()[:2]
        self.trouble: list[OSError] = []
        self.early: list[tuple[EndReason, str]] = []
        self.clients: Queue[EngineClientConnection] = Queue()
        self._over = Event()
        self.transport = Transport(self.trouble.append, table, number)
        settings: dict[str, Any] = {
            "greeting": GREETING,
            "farewell": lambda reason: f"* BYE {reason.value}\r\n".encode(),
            "handshake_timeout_s": 5.0,
            "login_timeout_s": 10.0,
            "on_session": self._hold,
            "on_end_early": lambda _, __, reason, detail: self.early.append((reason, detail)),
        }
        self.transport.listen(listener.dup(), Endpoint(**(settings | changes)))

    def _hold(self, client: EngineClientConnection) -> None:
        self.clients.put(client)
        try:
            self._over.wait()
        except SessionEnded:
            return

    def connect(self, buffer_octets: int | None = None) -> Any:
        end = socket.socket(self.listener.family)
        if buffer_octets:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
        end.connect(self.address)
        return cooperative(end)

    def greeted(self) -> TlsPeer:
        peer = TlsPeer(self.connect()).handshake()
        assert peer.receive_exactly(len(GREETING)) == GREETING
        return peer

    def next_client(self) -> EngineClientConnection:
        return self.clients.get(timeout=5)

    def serve_by_hand(self, peer: TlsPeer) -> "Served":
        peer.send(b"\n")
        client = self.next_client()
        client.own()
        assert client.read_line(10, after(1)) == b""
        return Served(self, client, peer)

    def close(self) -> None:
        self.transport.stop_accepting()
        self.transport.end_all(EndReason.SHUTDOWN)
        self._over.set()
        gevent.sleep(0.01)
        self.transport.close()
        self.listener.close()


@dataclass
class Served:
    worker: Worker
    client: EngineClientConnection
    peer: TlsPeer

    def close(self) -> None:
        self.client.close()
        self.peer.close()


@dataclass
class Joined:
    """A session that is logged in. program: the client's end, server: the mail server's."""

    client: EngineClientConnection
    upstream: EngineUpstreamConnection
    program: TlsPeer
    server: Any
    ends: list[RelayEnd] = field(default_factory=list)
    farewells: list[EndReason] = field(default_factory=list)  # that were asked for

    @classmethod
    def make(cls, worker: Worker, buffer_octets: int | None = None) -> "Joined":
        program = TlsPeer(worker.connect(buffer_octets)).handshake()
        program.receive_exactly(len(GREETING))
        return cls.with_client(worker, worker.serve_by_hand(program).client, program, buffer_octets)

    @classmethod
    def with_client(
        cls, worker: Worker, client: EngineClientConnection, program: TlsPeer, buffer_octets: int | None = None
    ) -> "Joined":
        with socket.socket() as listener:
            if buffer_octets:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            upstream = worker.transport.connect(listener.getsockname(), after(1))
            server, _ = listener.accept()
        if buffer_octets:
            narrow(upstream.local, buffer_octets)
        return cls(client, upstream, program, cooperative(server))

    def relay(self, limits: RelayLimits = UNLIMITED) -> None:
        def farewells(reason: EndReason) -> bytes:
            self.farewells.append(reason)
            return f"* BYE {reason.value}\r\n".encode()

        self.client.hand_over(self.upstream, limits, farewells, self.ends.append)

    def ended(self) -> RelayEnd:
        soon(lambda: bool(self.ends))
        gevent.sleep(0.01)
        assert len(self.ends) == 1
        return self.ends[0]

    def close(self) -> None:
        self.program.close()
        self.server.close()
        self.client.close()
        self.upstream.close()


def narrow(local: Address, buffer_octets: int) -> None:
    """Let the kernel hold little for the descriptor of ours that has this address."""
    with socket_of(local) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)


def socket_of(local: Address) -> socket.socket:
    """A second hold on the descriptor of ours that has this address."""
    for entry in Path("/proc/self/fd").iterdir():
        if entry.is_socket():
            one = socket.socket(fileno=os.dup(int(entry.name)))
            if one.family == socket.AF_INET and one.getsockname() == local:
                return one
            one.close()
    raise LookupError(local)


def connections() -> int:
    """Python objects for sessions, wherever they are referred to from."""
    gc.collect()
    return sum(isinstance(one, EngineClientConnection | EngineUpstreamConnection) for one in gc.get_objects())
