"""What accounting leaves to do behind the sessions' backs: syncing, new segments, interim updates, second tries.

One greenlet a worker. Whatever may wait for a disk runs in a thread of its own; the hub and the logins never do. What
was written is synced at most SYNC_S later, all of it at once.

Errors: none leave; a disk that refuses is logged, once as long as it lasts, and asked again after RETRY_S.
"""

import time
from typing import Final

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from gateway.accounting.journal import Unsynced
from gateway.accounting.sessions import JournaledSessions
from gateway.log import Log

SYNC_S: Final = 0.1
RETRY_S: Final = 1.0


class Upkeep:
    """Made after the fork: it owns a thread."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._sessions: list[JournaledSessions] = []
        self._written = Event()
        self._pool = ThreadPool(1)
        self._stopping = False
        self._trouble = ""
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def note(self) -> None:
        """Something was written."""
        self._written.set()

    def start(self, sessions: list[JournaledSessions]) -> None:
        self._sessions = sessions
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Return when nothing of it runs any more."""
        self._stopping = True
        self._written.set()
        if self._greenlet is not None:
            self._greenlet.join()
        self._pool.kill()

    def _run(self) -> None:
        while not self._stopping:
            self._written.wait(self._patience_s())
            self._written.clear()
            trouble = [found for sessions in self._sessions for found in self._turn(sessions)]
            self._say("; ".join(trouble))
            gevent.sleep(SYNC_S)

    def _patience_s(self) -> float | None:
        """Until something is due of itself; None: nothing is before the next record."""
        due = [sessions.next_due_at for sessions in self._sessions]
        waits = [max(at - time.monotonic(), 0.0) for at in due if at is not None]
        waits += [RETRY_S for sessions in self._sessions if sessions.is_behind or sessions.wants_room]
        return min(waits) if waits else None

    def _turn(self, sessions: JournaledSessions) -> list[str]:
        """One group's; what went wrong."""
        sessions.catch_up()
        error = self._pool.apply(_synced, (sessions.take_unsynced(),))
        trouble = [] if error is None else [f"sync: {error}"]
        while sessions.wants_room and not self._stopping:
            error = self._pool.apply(sessions.extend)
            if error is not None:
                return [*trouble, f"new segment: {error}"]
        sessions.room_is_back()
        return trouble

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._log.error("accounting_disk", detail=trouble)
        self._trouble = trouble


def _synced(unsynced: Unsynced) -> OSError | None:
    """Exceptions do not leave a thread of gevent's without a traceback on stderr."""
    try:
        unsynced.sync()
    except OSError as error:
        return error
    return None
