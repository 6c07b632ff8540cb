"""TLS records that cost their sender nothing and could cost us much."""

import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from OpenSSL import SSL

from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from tests.fastpath.conftest import SMALL_BUFFER_OCTETS
from tests.fastpath.records import APPLICATION_DATA
from tests.fastpath.records import Records
from tests.fastpath.sessions import GREETING
from tests.fastpath.sessions import Joined
from tests.fastpath.sessions import Worker
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import soon

MIB = 1 << 20


def connected(worker: Worker) -> tuple[TlsPeer, Records]:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_tls13_ciphersuites(b"TLS_AES_128_GCM_SHA256")
    records = Records(context)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    peer = TlsPeer(worker.connect(SMALL_BUFFER_OCTETS), connection).handshake()
    assert peer.receive_exactly(len(GREETING)) == GREETING
    return peer, records


class Flood:
    """Sends pieces in the background; what comes back is not read."""

    def __init__(self, end: Any, piece: Callable[[], bytes], octets: int) -> None:
        self.sent = 0
        self._sending = gevent.spawn(fault, lambda: self._send(end, piece, octets))

    def _send(self, end: Any, piece: Callable[[], bytes], octets: int) -> None:
        while self.sent < octets:
            batch = b"".join(piece() for _ in range(100))
            end.sendall(batch)
            self.sent += len(batch)

    def ended(self) -> bool:
        return self._sending.ready()

    def is_stuck(self) -> bool:
        before = self.sent
        gevent.sleep(0.3)
        return not self.ended() and self.sent == before

    def stop(self) -> None:
        self._sending.kill()


def test_records_made_by_hand_are_understood(worker: Worker) -> None:
    peer, records = connected(worker)
    peer.socket.sendall(records.seal(APPLICATION_DATA, b"one\r\n") + records.key_update())
    peer.socket.sendall(records.seal(APPLICATION_DATA, b"two\r\n"))
    client = worker.next_client()
    client.own()
    assert [client.read_line(100, after(1)) for _ in range(2)] == [b"one", b"two"]
    client.write(b"three\r\n")
    assert peer.receive() == b"three\r\n"
    client.close()
    peer.close()


@pytest.mark.parametrize("what", ["KeyUpdate", "empty record"])
def test_records_without_an_octet_end_a_silent_session(worker: Worker, what: str) -> None:
    peer, records = connected(worker)
    piece = records.key_update if what == "KeyUpdate" else lambda: records.seal(APPLICATION_DATA, b"")
    flood = Flood(peer.socket, piece, MIB)
    soon(lambda: bool(worker.early))
    assert worker.early[0][0] in (EndReason.TOO_MUCH_INPUT, EndReason.TOO_MUCH_OUTPUT, EndReason.CLIENT_LOST)
    soon(flood.ended)
    assert flood.sent < MIB
    peer.close()


def test_key_updates_during_the_login_end_it(worker: Worker) -> None:
    peer, records = connected(worker)
    peer.socket.sendall(records.seal(APPLICATION_DATA, b"a LOGIN u p\r\n"))
    client = worker.next_client()
    client.own()
    assert client.read_line(100, after(1)) == b"a LOGIN u p"
    flood = Flood(peer.socket, records.key_update, MIB)
    with pytest.raises(SessionEnded, match="too-much"):
        client.read_line(100, after(10))
    client.close()
    soon(flood.ended)
    assert flood.sent < MIB
    peer.close()


def test_key_updates_whose_answers_are_not_read_hold_up_their_sender_in_the_relay(worker: Worker) -> None:
    """TCP itself stops it: nothing is read from a client that does not read our answers."""
    peer, records = connected(worker)
    peer.socket.sendall(records.seal(APPLICATION_DATA, b"\n"))
    client = worker.next_client()
    client.own()
    assert client.read_line(10, after(1)) == b""
    joined = Joined.with_client(worker, client, peer)
    joined.relay()
    flood = Flood(peer.socket, records.key_update, 2 * MIB)
    soon(flood.is_stuck)
    assert flood.sent < MIB // 2
    assert joined.ends == []
    flood.stop()
    joined.close()


def test_others_are_served_while_one_floods(worker: Worker) -> None:
    peer, records = connected(worker)
    peer.socket.sendall(records.seal(APPLICATION_DATA, b"\n"))
    client = worker.next_client()
    client.own()
    client.read_line(10, after(1))
    joined = Joined.with_client(worker, client, peer)
    joined.relay()
    ready = b"".join(records.seal(APPLICATION_DATA, b"") for _ in range(20_000))
    flooding = gevent.spawn(fault, lambda: peer.socket.sendall(ready))
    longest_s = 0.0
    while not flooding.ready():
        started = time.monotonic()
        gevent.sleep(0.001)
        longest_s = max(longest_s, time.monotonic() - started)
    assert longest_s < 0.2
    joined.close()
