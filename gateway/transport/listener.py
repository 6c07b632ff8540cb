"""From a listening socket to sessions: accept, TLS handshake, greeting, and the wait for the client's first line.

What ends before that line is nobody's session: `on_end_early` hears of it, for one line in the log. With the first
line `on_session` gets the connection, in the greenlet that will read it.

Limits: `handshake_timeout_s` from accept to the end of the handshake, `login_timeout_s` from accept to the first line
(and on to the login, which is for the session to see to).
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Final

import gevent

from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.transport.acceptor import Acceptor
from gateway.transport.base import Address
from gateway.transport.base import ClientConnection
from gateway.transport.channel import PlainChannel
from gateway.transport.client import GeventClientConnection
from gateway.transport.sockets import numeric
from gateway.transport.sockets import os_fault
from gateway.transport.sockets import prepare
from gateway.transport.tls import ServerTls

# More than the first line of any client has. From here on the session reads, with its own limit.
_FIRST_LINE_OCTETS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One protocol on one interface, as its connections see it.

    farewell: the octets for a client that is not logged in and is ended by us. on_session: called with each client
    whose first line has begun; the connection is closed when it returns without a hand-over. on_end_early: called with
    the client's address, the reason and a detail for the log.
    """

    tls: ServerTls
    greeting: bytes
    farewell: Callable[[EndReason], bytes]
    handshake_timeout_s: float
    login_timeout_s: float
    on_session: Callable[[ClientConnection], None]
    on_end_early: Callable[[Address, EndReason, str], None]


class Transport:
    """All connections of one worker. on_trouble: accepting has to pause, for lack of descriptors or memory.

    sessions: every connection from accept to close, relayed ones too.
    """

    def __init__(self, on_trouble: Callable[[OSError], None]) -> None:
        self.sessions: set[GeventClientConnection] = set()
        self._on_trouble = on_trouble
        self._acceptors: list[Acceptor] = []

    def listen(self, listener: socket.socket, endpoint: Endpoint) -> None:
        """Accept from a bound, listening socket, which belongs to the transport from now on."""

        def accepted(connected: socket.socket, address: Any) -> None:
            self._admit(connected, numeric(address), endpoint)

        acceptor = Acceptor(listener, accepted, self._on_trouble)
        self._acceptors.append(acceptor)
        acceptor.start()

    def stop_accepting(self) -> None:
        while self._acceptors:
            self._acceptors.pop().stop()

    def end_all(self, reason: EndReason) -> None:
        for session in tuple(self.sessions):
            session.end(reason)

    def _admit(self, connected: socket.socket, peer: Address, endpoint: Endpoint) -> None:
        accepted_at = time.monotonic()
        try:
            prepare(connected)
            local = numeric(connected.getsockname())
        except OSError as error:
            connected.close()
            endpoint.on_end_early(peer, EndReason.CLIENT_LOST, os_fault(error))
            return
        client = GeventClientConnection(PlainChannel(connected), peer, local, accepted_at, self.sessions.discard)
        self.sessions.add(client)
        gevent.spawn(_serve, client, endpoint)


def _serve(client: GeventClientConnection, endpoint: Endpoint) -> None:
    try:
        if _welcome(client, endpoint):
            endpoint.on_session(client)
    finally:
        client.close()


def _welcome(client: GeventClientConnection, endpoint: Endpoint) -> bool:
    """False: it has ended, and that has been told."""
    last_words: Callable[[EndReason], bytes] = _silence
    try:
        client.start_tls(endpoint.tls, client.accepted_at + endpoint.handshake_timeout_s)
        client.write(endpoint.greeting)
        last_words = endpoint.farewell
        client.await_line(_FIRST_LINE_OCTETS, client.accepted_at + endpoint.login_timeout_s)
    except SessionEnded as ended:
        client.close(last_words(ended.reason))
        endpoint.on_end_early(client.peer, ended.reason, ended.detail)
        return False
    return True


def _silence(_: EndReason) -> bytes:
    return b""
