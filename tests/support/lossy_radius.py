"""An accounting server that loses, delays and repeats: a process of its own that writes down what it was told.

A request is lost before it is written down, or its answer after it; answers come late and twice. What is written down
has all attributes but Acct-Delay-Time. A request whose authenticator is wrong ends the process with an error.

Source: RFC 2866 section 3. Nothing of the gateway's own RADIUS is used.
"""

import hashlib
import heapq
import itertools
import random
import select
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.history import INTERIM
from tests.support.history import START
from tests.support.history import STOP
from tests.support.history import Event
from tests.support.history import History

STATUSES: Final = {1: START, 2: STOP, 3: INTERIM, 7: "Accounting-On", 8: "Accounting-Off"}
STATUS_TYPE, DELAY_TIME, INPUT_OCTETS, OUTPUT_OCTETS, SESSION_ID, TERMINATE_CAUSE = 40, 41, 42, 43, 44, 49


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of 1. delay_s: the most that an answer is delayed."""

    lost: float = 0.0
    unanswered: float = 0.0
    repeated: float = 0.0
    delayed: float = 0.0
    delay_s: float = 0.2


def serve(bound: socket.socket, secret: bytes, history: Path, faults: Faults, seed: int) -> None:
    """For ever; to be killed."""
    chance = random.Random(seed)  # noqa: S311
    told = History(history)
    late: list[tuple[float, int, bytes, tuple[str, int]]] = []
    order = itertools.count()
    while True:
        patience_s = max(late[0][0] - time.monotonic(), 0.0) if late else None
        if select.select([bound], [], [], patience_s)[0]:
            request, peer = bound.recvfrom(4096)
            if chance.random() < faults.lost:
                continue
            _write_down(told, checked(request, secret))
            if chance.random() < faults.unanswered:
                continue
            for _ in range(1 + (chance.random() < faults.repeated)):
                wait_s = chance.random() * faults.delay_s if chance.random() < faults.delayed else 0.0
                heapq.heappush(late, (time.monotonic() + wait_s, next(order), answer_to(request, secret), peer))
        while late and late[0][0] <= time.monotonic():
            _, _, answer, peer = heapq.heappop(late)
            bound.sendto(answer, peer)


def checked(request: bytes, secret: bytes) -> list[tuple[int, bytes]]:
    """The attributes of a request that is in order."""
    code, length, authenticator = request[0], int.from_bytes(request[2:4]), request[4:20]
    assert code == 4, f"code {code}"
    assert length == len(request), f"{len(request)} octets, and it says {length}"
    expected = hashlib.md5(request[:4] + bytes(16) + request[20:] + secret, usedforsecurity=False).digest()
    assert authenticator == expected, "the Request Authenticator is wrong"
    return list(attributes(request[20:]))


def attributes(octets: bytes) -> list[tuple[int, bytes]]:
    found, offset = [], 0
    while offset < len(octets):
        kind, length = octets[offset], octets[offset + 1]
        assert length >= 2, "an attribute of no length"
        found.append((kind, octets[offset + 2 : offset + length]))
        offset += length
    assert offset == len(octets), "the last attribute is longer than the request"
    return found


def answer_to(request: bytes, secret: bytes) -> bytes:
    head = bytes([5, request[1]]) + (20).to_bytes(2)
    return head + hashlib.md5(head + request[4:20] + secret, usedforsecurity=False).digest()


def _write_down(told: History, found: list[tuple[int, bytes]]) -> None:
    of = dict(found)
    status = STATUSES[int.from_bytes(of[STATUS_TYPE])]
    if SESSION_ID in of and status in (START, STOP, INTERIM):
        lasting = [(kind, value.hex()) for kind, value in found if kind != DELAY_TIME]
        numbers = (TERMINATE_CAUSE, INPUT_OCTETS, OUTPUT_OCTETS)
        end = [int.from_bytes(of[kind]) for kind in numbers] if status == STOP else []
        told.say(Event.RECEIVED, of[SESSION_ID].decode(), status=status, attributes=lasting, end=end)
