"""The connections to one directory server: a few that many searches share, and some that each do one bind at a time.

A connection that had been idle may be dead without anybody knowing: what is lost on one is tried once more on a new
one. A search connection on which nothing at all came for the whole of a search gets no more of them.

Errors: `ServerFailed`, and whatever is thrown into the waiting greenlet: what it had borrowed goes back or is closed.
Limits: SEARCH_CONNECTIONS and BIND_CONNECTIONS a server and worker; who finds all of the latter busy waits its turn.
"""

import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from typing import cast

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap.answers import Answer
from gateway.aaa.ldap.connection import ConnectionLost
from gateway.aaa.ldap.connection import LdapConnection
from gateway.aaa.ldap.connection import Search
from gateway.transport.waiting import Expired

SEARCH_CONNECTIONS: Final = 4
BIND_CONNECTIONS: Final = 16
# slapd takes 100 requests of an anonymous connection at a time, then reads no more of it (conn_max_pending).
SHARED_BY: Final = 64
# Below what servers (Active Directory: 15 minutes) and firewalls (often five) give an idle connection.
IDLE_S: Final = 240.0

OnClosed = Callable[[LdapConnection], None]


class SearchConnections:
    """connect: opens a connection that is bound as the gateway, by a deadline; it takes `on_closed`."""

    def __init__(self, connect: Callable[[OnClosed, float], LdapConnection], timeout_s: float) -> None:
        self._connect = connect
        self._timeout_s = timeout_s
        self._open: list[LdapConnection] = []
        self._opening: AsyncResult[LdapConnection] | None = None

    def search(self, search: Search, deadline: float) -> Answer:
        """See `LdapConnection.search`."""
        connection = self._quietest()
        if connection is not None:
            try:
                return self._search(connection, search, deadline)
            except ConnectionLost:
                pass
        return self._search(self._opened(deadline), search, deadline)

    def close(self) -> None:
        for connection in tuple(self._open):
            connection.close()

    def _search(self, connection: LdapConnection, search: Search, deadline: float) -> Answer:
        started_at = time.monotonic()
        try:
            return connection.search(search, deadline)
        except ServerFailed:
            if connection.answered_at < started_at:
                self._retire(connection)
            raise

    def _quietest(self) -> LdapConnection | None:
        """The one to use; None: a new one is needed."""
        _close_idle(self._open)
        if not self._open:
            return None
        quietest = min(self._open, key=lambda connection: connection.outstanding)
        may_open = len(self._open) < SEARCH_CONNECTIONS
        return None if quietest.outstanding >= SHARED_BY and may_open else quietest

    def _opened(self, deadline: float) -> LdapConnection:
        """A new connection. All who need one wait for the same, and none of them ends it by leaving."""
        if self._opening is None:
            self._opening = AsyncResult()
            gevent.spawn(self._open_one, self._opening)
        opening = self._opening
        try:
            with gevent.Timeout(max(deadline - time.monotonic(), 0), Expired):
                return cast("LdapConnection", opening.get())
        except Expired:
            raise ServerFailed("no connection in time") from None
        except ServerFailed as failed:
            raise ServerFailed(str(failed)) from None

    def _open_one(self, opening: "AsyncResult[LdapConnection]") -> None:
        try:
            connection = self._connect(self._forget, time.monotonic() + self._timeout_s)
        except ServerFailed as failed:
            opening.set_exception(failed)
        else:
            self._open.append(connection)
            opening.set(connection)
        finally:
            self._opening = None

    def _retire(self, connection: LdapConnection) -> None:
        self._forget(connection)
        if not connection.outstanding:
            connection.close()

    def _forget(self, connection: LdapConnection) -> None:
        if connection in self._open:
            self._open.remove(connection)


class BindConnections:
    """connect: opens a connection by a deadline; it takes `on_closed`. None of these is used for anything but binds."""

    def __init__(self, connect: Callable[[OnClosed, float], LdapConnection]) -> None:
        self._connect = connect
        self._idle: list[LdapConnection] = []
        self._free = BoundedSemaphore(BIND_CONNECTIONS)

    def bind(self, dn: str, password: bytes, deadline: float) -> Answer:
        """See `LdapConnection.bind`. What the server says of it leaves the connection fit for the next one."""
        with self._turn(deadline):
            if (idle := self._idle_one()) is not None:
                try:
                    return self._bind(idle, dn, password, deadline)
                except ConnectionLost:
                    pass
            return self._bind(self._connect(self._forget, deadline), dn, password, deadline)

    def close(self) -> None:
        for connection in tuple(self._idle):
            connection.close()

    def _bind(self, connection: LdapConnection, dn: str, password: bytes, deadline: float) -> Answer:
        answer = connection.bind(dn, password, deadline)
        if connection.is_open:
            self._idle.append(connection)
        return answer

    def _idle_one(self) -> LdapConnection | None:
        _close_idle(self._idle)
        return self._idle.pop() if self._idle else None

    @contextmanager
    def _turn(self, deadline: float) -> Iterator[None]:
        if not self._free.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise ServerFailed(f"all {BIND_CONNECTIONS} connections for binds are busy")
        try:
            yield
        finally:
            self._free.release()

    def _forget(self, connection: LdapConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)


def _close_idle(connections: list[LdapConnection]) -> None:
    """Each takes itself out of the list."""
    now = time.monotonic()
    for connection in tuple(connections):
        if not connection.outstanding and now - connection.answered_at > IDLE_S:
            connection.close()
