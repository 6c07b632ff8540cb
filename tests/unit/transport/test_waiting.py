"""Waiting for descriptors."""

import socket
import time
from typing import Any

import gevent
import pytest

from gateway.transport.waiting import READ
from gateway.transport.waiting import WRITE
from gateway.transport.waiting import Expired
from gateway.transport.waiting import wait
from tests.unit.transport.peers import after


def test_wait_returns_when_the_descriptor_is_ready(tcp_pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = tcp_pair
    wait(near.fileno(), WRITE, after(1))
    wait(near.fileno(), READ | WRITE, None)
    gevent.spawn_later(0.01, far.send, b"x")
    wait(near.fileno(), READ, after(1))
    assert near.recv(10) == b"x"


def test_wait_expires_at_the_deadline(tcp_pair: tuple[socket.socket, socket.socket]) -> None:
    started = time.monotonic()
    with pytest.raises(Expired):
        wait(tcp_pair[0].fileno(), READ, after(0.05))
    assert time.monotonic() - started >= 0.049


def test_wait_past_the_deadline_expires_although_the_descriptor_is_ready(
    tcp_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(gevent, "get_hub", never)
    with pytest.raises(Expired):
        wait(tcp_pair[0].fileno(), WRITE, time.monotonic())
