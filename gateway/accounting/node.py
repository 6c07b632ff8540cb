"""The gateway's own starts and stops, in a journal of the accountant's: Accounting-On and Accounting-Off.

A server may take Accounting-On for the end of all sessions that it knows of this gateway, so nothing of the sessions
that begin after it is told before it is acknowledged, or has gone unanswered for GATE_S.

Errors: OSError when there is no room to begin with.
Source: RFC 2866 section 5.1.
"""

import time
from pathlib import Path
from typing import Final

from gateway.accounting.journal import JournalWriter
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record

GATE_S: Final = 30.0
NODE_SESSION: Final = "00000000"  # RFC 2866 section 4.1: an Accounting-Request must have an Acct-Session-Id
_SEGMENT_OCTETS: Final = 1 << 16


class Node:
    """name: of its journal; those of writers that are older than this start of the gateway sort before it."""

    def __init__(self, group_directory: Path, name: str, *, gate_s: float = GATE_S) -> None:
        self.name = name
        self._gate_s = gate_s
        self._gate_until = 0.0
        self._journal = JournalWriter(group_directory / name, _SEGMENT_OCTETS)

    @property
    def segment(self) -> int:
        return self._journal.segment

    @property
    def holds_back(self) -> bool:
        """Whether newer journals wait for the answer to Accounting-On."""
        return time.monotonic() < self._gate_until

    def go_up(self) -> None:
        """Accounting-On is in the journal when this returns."""
        self._append(Kind.NODE_UP)
        self._gate_until = time.monotonic() + self._gate_s

    def go_down(self) -> None:
        """Accounting-Off is in the journal when this returns."""
        self._append(Kind.NODE_DOWN)

    def close(self) -> None:
        self._journal.close()

    def _append(self, kind: Kind) -> None:
        if not self._journal.room_octets:
            self._journal.extend()
        self._journal.append(Record(kind, NODE_SESSION, Moment.now()).packed())
        self._journal.take_unsynced().sync()
