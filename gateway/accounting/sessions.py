"""The sessions of one worker that one server group is told of: each event goes into the journal as it happens.

A session is begun only if the journal keeps room for its end, and for those of all that run already; so a full disk
refuses newcomers and loses nothing. An end that the file system refuses all the same stays in memory and is tried
again. A session that outlives KEEP_SEGMENTS of the journal is written once more (Kind.RUNNING), so that one long
session does not keep all that was written since.

Errors: `begin` raises Refused(TEMPORARY) without room, unless `allow_unaccounted`; nothing else raises.
"""

import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from gateway.accounting.base import NO_ACCOUNTING
from gateway.accounting.base import AccountedSession
from gateway.accounting.base import Counts
from gateway.accounting.base import SessionFacts
from gateway.accounting.causes import cause_of
from gateway.accounting.journal import JournalFull
from gateway.accounting.journal import JournalWriter
from gateway.accounting.journal import Unsynced
from gateway.accounting.records import STOP_SURPLUS_OCTETS
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record
from gateway.accounting.records import Usage
from gateway.accounting.records import tidy
from gateway.errors import Refused
from gateway.log import Log
from gateway.outcome import EndReason
from gateway.outcome import Refusal

KEEP_SEGMENTS: Final = 4
_CARRIED_AT_ONCE: Final = 100  # 1 ms of the hub


class JournaledSessions:
    """An `Accounting`. on_write is called after each record: something is to be synced."""

    def __init__(
        self,
        group: str,
        journal: JournalWriter,
        log: Log,
        on_write: Callable[[], None],
        *,
        interim_update_s: float | None = None,
        allow_unaccounted: bool = False,
    ) -> None:
        self.group = group
        self._journal = journal
        self._log = log
        self._on_write = on_write
        self._interim_update_s = interim_update_s
        self._allow_unaccounted = allow_unaccounted
        self._running: dict[_Session, None] = {}  # in the order of their last record
        self._reporting: dict[_Session, None] = {}  # in the order of their next interim update
        self._kept_octets = 0  # for the ends of those that run
        self._late: deque[tuple[bytes, int]] = deque()  # ends that are not written yet, and the room kept for each
        self._is_full = False

    def begin(self, facts: SessionFacts) -> AccountedSession:
        """See `Accounting`."""
        session = _Session(self, tidy(facts))
        start = session.record(Kind.START, Usage(), session.began).packed()
        session.end_octets = len(start) + STOP_SURPLUS_OCTETS
        if not self._write(start, self._kept_octets + session.end_octets):
            if self._allow_unaccounted:
                return NO_ACCOUNTING
            raise Refused(Refusal.TEMPORARY, "accounting: the journal has no room")
        self._kept_octets += session.end_octets
        self._move_to_end(session)
        return session

    def end(self, session: "_Session", record: Record) -> None:
        """By the session itself, once."""
        del self._running[session]
        self._reporting.pop(session, None)
        self._late.append((record.packed(), session.end_octets))
        self._write_late()

    def report(self, session: "_Session") -> None:
        """An interim update is due after the interval, if there is one."""
        if self._interim_update_s is not None:
            session.due_at = time.monotonic() + self._interim_update_s
            self._reporting[session] = None

    # What Upkeep calls.

    def catch_up(self) -> None:
        """Everything that has become due, or was refused before."""
        self._write_late()
        now = time.monotonic()
        while self._reporting and (session := next(iter(self._reporting))).due_at <= now:
            del self._reporting[session]
            self._continue(session, Kind.INTERIM)
            self.report(session)
        oldest = self._journal.segment - self._keep_segments
        for session in list(islice(self._running, _CARRIED_AT_ONCE)):
            if session.segment > oldest or not self._continue(session, Kind.RUNNING):
                break

    @property
    def next_due_at(self) -> float | None:
        """When the next interim update is due; None: none is."""
        return next(iter(self._reporting)).due_at if self._reporting else None

    @property
    def is_behind(self) -> bool:
        """Whether something is to be tried again before long."""
        return bool(self._late) or self._is_full

    @property
    def wants_room(self) -> bool:
        return self._journal.wants_room(self._kept_octets)

    def extend(self) -> OSError | None:
        """One more segment; or why not. May run in a thread."""
        try:
            self._journal.extend()
        except OSError as error:
            return error
        return None

    def room_is_back(self) -> None:
        """Once nothing is wanted any more."""
        if self._is_full and not self._late:
            self._is_full = False
            self._log.info("accounting_has_room", group=self.group)

    def take_unsynced(self) -> Unsynced:
        return self._journal.take_unsynced()

    def close(self) -> None:
        """The worker ends; whatever still runs is taken for lost with it."""
        self._write_late()
        self._journal.close()

    @property
    def _keep_segments(self) -> int:
        """More where much is running, so that at most half of what is written is carried on."""
        return KEEP_SEGMENTS + 2 * self._kept_octets // self._journal.segment_octets

    def _continue(self, session: "_Session", kind: Kind) -> bool:
        written = self._write(session.record(kind, session.usage(), Moment.now()).packed(), self._kept_octets)
        if written:
            self._move_to_end(session)
        return written

    def _move_to_end(self, session: "_Session") -> None:
        self._running.pop(session, None)
        self._running[session] = None
        session.segment = self._journal.segment

    def _write_late(self) -> None:
        while self._late and self._write(self._late[0][0], 0):
            self._kept_octets -= self._late.popleft()[1]

    def _write(self, payload: bytes, keep_octets: int) -> bool:
        try:
            self._journal.append(payload, keep_octets)
        except (JournalFull, OSError) as error:
            self._tell(str(error))
            return False
        self._on_write()
        return True

    def _tell(self, trouble: str) -> None:
        if not self._is_full:
            self._is_full = True
            what = "sessions go unaccounted" if self._allow_unaccounted else "new logins are refused"
            self._log.error("accounting_full", group=self.group, consequence=what, detail=trouble)


class _Session:
    """An `AccountedSession`. segment: where its last record is. end_octets: the most its end can take."""

    __slots__ = ("_counts", "_owner", "began", "due_at", "end_octets", "facts", "segment")

    def __init__(self, owner: JournaledSessions, facts: SessionFacts) -> None:
        self._owner: JournaledSessions | None = owner
        self._counts: Counts | None = None
        self.facts = facts
        self.began = Moment.now()
        self.due_at = 0.0
        self.end_octets = 0
        self.segment = 0

    def relaying(self, counts: Counts) -> None:
        """See `AccountedSession`."""
        if self._owner is not None:
            self._counts = counts
            self._owner.report(self)

    def end(self, reason: EndReason, octets_in: int, octets_out: int) -> None:
        """See `AccountedSession`."""
        owner, self._owner, self._counts = self._owner, None, None
        if owner is not None:
            now = Moment.now()
            owner.end(self, self.record(Kind.STOP, self._used(now, octets_in, octets_out), now, cause_of(reason)))

    def record(self, kind: Kind, usage: Usage, at: Moment, cause: int = 0) -> Record:
        return Record(kind, self.facts.session_id, at, usage, cause, self.facts)

    def usage(self) -> Usage:
        """Up to now."""
        octets_in, octets_out = self._counts() if self._counts is not None else (0, 0)
        return self._used(Moment.now(), octets_in, octets_out)

    def _used(self, now: Moment, octets_in: int, octets_out: int) -> Usage:
        return Usage(int(now.monotonic_s - self.began.monotonic_s), octets_in, octets_out)
