"""All that one destination still has to be told: one server, or the servers of a group that stand in for one another.

The reports of one session go one after the other: the next is sent when the one before it is acknowledged. Different
sessions do not wait for one another, so a report that a server never acknowledges holds up nobody else. While all
servers are silent, one report at a time tries them in turn.

Errors: none leave; an attempt that fails is made again, for ever. What can never be sent (Undeliverable) is logged and
given up.
Limits: MAX_LOADED reports in memory; what is behind them stays in the journals.
"""

import heapq
import itertools
import time
import traceback
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from typing import Final

import gevent

from gateway.accounting.attributes import Attributes
from gateway.accounting.attributes import attributes_of
from gateway.accounting.feed import Feed
from gateway.accounting.feed import Report
from gateway.accounting.pace import Timing
from gateway.accounting.pace import Window
from gateway.accounting.records import Moment
from gateway.accounting.spooled import SpooledJournal
from gateway.accounting.targets import Targets
from gateway.errors import GatewayError
from gateway.log import Log

MAX_LOADED: Final = 5000

Deliver = Callable[[str, Attributes, float], bool]
"""Send one request to the server of that label; whether it was acknowledged within so many seconds.

Each call is a new request with a new identifier. Runs in a greenlet. Raises Undeliverable."""


class Undeliverable(GatewayError):
    """The report cannot be put into a request, now or ever."""


class Stream:
    """name: of the server, or of the group where one server stands in for the other."""

    def __init__(self, name: str, targets: Targets, deliver: Deliver, log: Log, timing: Timing) -> None:
        self.name = name
        self._targets = targets
        self._deliver = deliver
        self._log = log
        self._timing = timing
        self._feeds: dict[SpooledJournal, Feed] = {}
        self._queues: dict[str, deque[Report]] = {}  # by session
        self._loaded = 0
        self._ready: deque[str] = deque()
        self._sleeping: list[tuple[float, int, str]] = []  # due, in which order, session
        self._order = itertools.count()
        self._window = Window()
        self._under_way = 0
        self._probes = 0
        self._probe_at = 0.0

    @property
    def waiting(self) -> int:
        """Records that are not acknowledged yet."""
        return sum(feed.waiting for feed in self._feeds.values())

    def follow(self, journals: Iterable[SpooledJournal]) -> None:
        """These are to be read, in this order; those that are missing here are gone."""
        known, self._feeds = self._feeds, {}
        for journal in journals:
            self._feeds[journal] = known.pop(journal) if journal in known else Feed(journal, self.name)
        for feed in known.values():
            feed.close()

    def waiting_of(self, journal: SpooledJournal) -> int:
        """Of one journal's records."""
        feed = self._feeds.get(journal)
        return sum(journal.records.values()) if feed is None else feed.waiting

    def is_told(self, journal: SpooledJournal, segment: int) -> bool:
        feed = self._feeds.get(journal)
        return feed is not None and feed.is_told(segment)

    def forget(self, journal: SpooledJournal, segment: int) -> None:
        """The segment was removed."""
        self._feeds[journal].marks.forget(segment)

    def pump(self) -> None:
        """Read what is new, send what is due. Called often."""
        self._load()
        self._send_due()

    def _send_due(self) -> None:
        now = time.monotonic()
        while self._sleeping and self._sleeping[0][0] <= now:
            self._ready.append(heapq.heappop(self._sleeping)[2])
        while self._ready and self._may_send(now):
            self._under_way += 1
            gevent.spawn(self._send, self._ready.popleft())

    def _load(self) -> None:
        for feed in self._feeds.values():
            while self._loaded < MAX_LOADED and (reports := feed.read()):
                for report in reports:
                    self._enqueue(report)

    def _enqueue(self, report: Report) -> None:
        session = report.record.session_id
        queue = self._queues.get(session)
        if queue is None:
            queue = self._queues[session] = deque()
            self._ready.append(session)
        queue.append(report)
        self._loaded += 1

    def _may_send(self, now: float) -> bool:
        if self._targets.are_down(now):
            return self._under_way == 0 and now >= self._probe_at
        return self._under_way < self._window.size

    def _send(self, session: str) -> None:
        report = self._queues[session][0]
        now = Moment.now()
        server = self._targets.choose(now.monotonic_s)
        report.attempts = report.attempts + 1 if report.server == server else 1
        report.server = server
        retry_s = self._timing.retry_s(report.attempts)
        try:
            told = self._attempt(report, now, min(retry_s, self._timing.max_s))
        finally:
            self._under_way -= 1
        if told:
            self._note_answer(server)
            self._done(session, report)
        else:
            self._sleep(session, now.monotonic_s + retry_s)
            self._note_silence(server)
        self._send_due()

    def _attempt(self, report: Report, now: Moment, timeout_s: float) -> bool:
        attributes = attributes_of(report.record, now, same_boot=report.same_boot)
        try:
            return self._deliver(report.server, attributes, timeout_s)
        except Undeliverable as error:
            where = {"session": report.record.session_id, "aaa_server": report.server}
            self._log.error("accounting_undeliverable", **where, detail=str(error))
            return True
        except Exception:  # noqa: BLE001  a fault of ours is no reason to lose the report
            self._log.error("internal_error", stream=self.name, detail=traceback.format_exc())
            return False

    def _done(self, session: str, report: Report) -> None:
        report.acknowledge()
        queue = self._queues[session]
        queue.popleft()
        self._loaded -= 1
        if queue:
            self._ready.append(session)
        else:
            del self._queues[session]

    def _sleep(self, session: str, due: float) -> None:
        heapq.heappush(self._sleeping, (due, next(self._order), session))

    def _note_answer(self, server: str) -> None:
        self._window.answered()
        self._probes = 0
        if self._targets.answered(server):
            self._log.info("accounting_server_answers", stream=self.name, aaa_server=server)
            self._wake_all()

    def _note_silence(self, server: str) -> None:
        now = time.monotonic()
        self._window.unanswered()
        failed = self._targets.unanswered(server, now)
        if failed:
            self._log.warning("accounting_server_failed", stream=self.name, aaa_server=server, waiting=self.waiting)
        if self._targets.are_down(now):
            self._window.close()
            self._probes += 1
            self._probe_at = now + self._timing.retry_s(self._probes)
        elif failed:
            self._wake_all()  # another server takes over

    def _wake_all(self) -> None:
        self._ready.extend(session for _, _, session in sorted(self._sleeping))
        self._sleeping.clear()
