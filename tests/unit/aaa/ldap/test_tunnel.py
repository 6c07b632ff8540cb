"""Octets between libldap's end and the server's, whole and in order, however slow either side is."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

import gevent
import pytest

from gateway.aaa.ldap.tunnel import QUEUED_OCTETS
from gateway.aaa.ldap.tunnel import Tunnel
from gateway.transport.channel import PlainChannel

MUCH = bytes(range(256)) * 4096  # 1 MiB: more than any buffer on the way


@dataclass
class Ends:
    """libldap: what libldap holds. server: the directory server's end of the connection."""

    tunnel: Tunnel
    libldap: socket.socket
    server: socket.socket
    lost: list[str] = field(default_factory=list)


@pytest.fixture
def ends(open_descriptors: None) -> Iterator[Ends]:
    ours, server = socket.socketpair()
    ours.setblocking(False)
    server.setblocking(False)
    lost: list[str] = []
    tunnel = Tunnel(PlainChannel(ours), lost.append)
    libldap = socket.socket(fileno=tunnel.descriptor)
    libldap.setblocking(False)
    yield Ends(tunnel, libldap, server, lost)
    tunnel.close()
    libldap.close()
    server.close()


def send_what_fits(end: socket.socket, octets: bytes) -> bytes:
    """What is left."""
    try:
        return octets[end.send(octets) :]
    except BlockingIOError:
        return octets


def receive_what_is_there(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except BlockingIOError:
        return b""


def carry(source: socket.socket, target: socket.socket, octets: bytes, *, reads_from_round: int) -> bytes:
    """Send all while nothing is read at first; then read it."""
    received = b""
    for turn in range(2000):
        octets = send_what_fits(source, octets)
        gevent.sleep(0.0005)
        if turn >= reads_from_round:
            received += receive_what_is_there(target)
        if len(received) == len(MUCH):
            break
    return received


@pytest.mark.parametrize("reads_from_round", [0, 50])
def test_from_the_server_all_arrives(ends: Ends, reads_from_round: int) -> None:
    ends.tunnel.allow(len(MUCH))
    assert carry(ends.server, ends.libldap, MUCH, reads_from_round=reads_from_round) == MUCH
    assert ends.lost == []


@pytest.mark.parametrize("reads_from_round", [0, 50])
def test_from_libldap_all_arrives(ends: Ends, reads_from_round: int) -> None:
    assert carry(ends.libldap, ends.server, MUCH, reads_from_round=reads_from_round) == MUCH
    assert ends.lost == []


def test_server_that_does_not_read_then_libldap_is_stopped_not_the_memory_filled(ends: Ends) -> None:
    left = MUCH * 4
    for _ in range(200):
        left = send_what_fits(ends.libldap, left)
        gevent.sleep(0.0005)
    taken = len(MUCH) * 4 - len(left)
    assert taken < QUEUED_OCTETS + 2 * 2 * 212_992 + 65536  # and the buffers of the kernel on both sides


def test_server_sends_more_than_allowed_then_lost(ends: Ends) -> None:
    ends.tunnel.allow(1000)
    ends.server.send(bytes(1000))
    gevent.sleep(0.01)
    assert ends.lost == []
    ends.server.send(b"x")
    gevent.sleep(0.01)
    assert ends.lost == ["the server sends more than it was asked for"]


def test_server_speaks_unasked_then_lost(ends: Ends) -> None:
    ends.server.send(b"x")
    gevent.sleep(0.01)
    assert ends.lost == ["the server sends more than it was asked for"]


def test_server_closes_then_lost(ends: Ends) -> None:
    ends.server.close()
    gevent.sleep(0.01)
    assert ends.lost == ["closed by the server"]


def test_last_words_of_libldap_are_sent(ends: Ends) -> None:
    ends.libldap.send(b"unbind")
    ends.tunnel.close()
    assert ends.server.recv(100) == b"unbind"
    assert ends.server.recv(100) == b""
    ends.tunnel.close()


def test_send_carries_at_once(ends: Ends) -> None:
    ends.libldap.send(b"request")
    ends.tunnel.send()
    assert ends.server.recv(100) == b"request"
