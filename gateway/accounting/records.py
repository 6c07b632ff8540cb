"""Records: what happened to a session, or to the gateway as a whole, as the journal keeps it.

Each holds all that its report to a server needs, whatever became of those before it.

Errors: ValueError from `unpacked` for octets that are no record of this or an older version.
"""

import math
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from typing import Final

import msgpack

from gateway.accounting.base import Authentic
from gateway.accounting.base import SessionFacts

MAX_SESSION_ID: Final = 32
MAX_TEXT_OCTETS: Final = 253  # RFC 2865 section 5: no attribute carries more
_MAX_CLASSES_OCTETS: Final = 4096  # as much as one Access-Accept can bring
# Usage and cause make the end of a session longer than its start by at most so much.
STOP_SURPLUS_OCTETS: Final = 48


class Kind(IntEnum):
    """Up to 15 the value is that of Acct-Status-Type (RFC 2866 section 5.1)."""

    START = 1
    STOP = 2
    INTERIM = 3
    NODE_UP = 7
    NODE_DOWN = 8
    RUNNING = 100  # told to no server: keeps a session that still runs in the newer part of the journal


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant by both clocks: seconds since 1970, which may jump, and seconds of CLOCK_MONOTONIC, which may not."""

    wall_s: int
    monotonic_s: float

    @classmethod
    def now(cls) -> "Moment":
        return cls(int(time.time()), time.monotonic())


@dataclass(frozen=True, slots=True)
class Usage:
    """octets_in: from the client. seconds: of the session, by the monotonic clock."""

    seconds: int = 0
    octets_in: int = 0
    octets_out: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """facts None: of the gateway as a whole. cause: of a STOP, else 0."""

    kind: Kind
    session_id: str
    at: Moment
    usage: Usage = Usage()
    cause: int = 0
    facts: SessionFacts | None = None

    @property
    def is_reported(self) -> bool:
        return self.kind is not Kind.RUNNING

    def packed(self) -> bytes:
        return _pack(
            self.kind,
            self.session_id,
            self.at.wall_s,
            math.floor(self.at.monotonic_s * 1000),
            self.usage.seconds,
            self.usage.octets_in,
            self.usage.octets_out,
            self.cause,
            _facts_row(self.facts),
        )


def unpacked(payload: bytes) -> Record:
    """The record; what a later version has added behind is left out."""
    try:
        row = msgpack.unpackb(payload)
        kind, session_id, wall_s, monotonic_ms, seconds, octets_in, octets_out, cause, facts = row[:9]
        moment = Moment(wall_s, monotonic_ms / 1000)
        usage = Usage(seconds, octets_in, octets_out)
        return Record(Kind(kind), session_id, moment, usage, cause, _facts_of(session_id, facts))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"no record: {error}") from None


def tidy(facts: SessionFacts) -> SessionFacts:
    """What a journal and a server can take of them, in this order: names cut, classes until there are too many."""
    if not (facts.session_id.isascii() and facts.session_id.isprintable() and len(facts.session_id) <= MAX_SESSION_ID):
        raise ValueError(f"a session id of {len(facts.session_id)} characters")
    return SessionFacts(
        facts.session_id,
        _cut(facts.user),
        _cut(facts.protocol),
        _cut(facts.interface),
        _cut(facts.client),
        _fitting(facts.classes),
        facts.authentic,
    )


def _pack(*row: object) -> bytes:
    octets: bytes = msgpack.packb(row)
    return octets


def _facts_row(facts: SessionFacts | None) -> tuple[object, ...] | None:
    if facts is None:
        return None
    return facts.user, facts.protocol, facts.interface, facts.client, facts.classes, int(facts.authentic)


def _facts_of(session_id: str, row: Any) -> SessionFacts | None:
    if row is None:
        return None
    user, protocol, interface, client, classes, authentic = row[:6]
    return SessionFacts(session_id, user, protocol, interface, client, tuple(classes), Authentic(authentic))


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:MAX_TEXT_OCTETS].decode("utf-8", "ignore")


def _fitting(classes: tuple[bytes, ...]) -> tuple[bytes, ...]:
    taken: list[bytes] = []
    room = _MAX_CLASSES_OCTETS
    for one in classes:
        if not 1 <= len(one) <= min(MAX_TEXT_OCTETS, room):
            continue
        taken.append(one)
        room -= len(one) + 2
    return tuple(taken)
