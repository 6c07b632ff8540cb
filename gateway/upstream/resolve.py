"""Names of mail servers to addresses, never on the hub, never more than once at a time for one name.

The system's own resolver is asked (so /etc/hosts and nsswitch.conf hold), in threads of our own: the hub's pool is
small and shared. Answers are kept for FRESH_S; when the name server fails, an old answer serves for up to STALE_S more.

Errors: `UpstreamLost` when a name has no address, or none was found by the deadline.
"""

import socket
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool
from gevent.timeout import Timeout

from gateway.errors import UpstreamLost

FRESH_S: Final = 60.0
STALE_S: Final = 3600.0
MAX_LOOKUPS: Final = 8  # at once; a silent name server holds that many threads and no more
MAX_NAMES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[str, ...]
    found_at: float


class Resolver:
    """One a worker, made after the fork (it owns threads)."""

    def __init__(self) -> None:
        self._pool = ThreadPool(MAX_LOOKUPS)
        self._answers: dict[str, _Answer] = {}
        self._under_way: dict[str, AsyncResult[list[str]]] = {}

    def addresses(self, host: str, deadline: float) -> tuple[str, ...]:
        """The numeric addresses of a host name or of an address literal, in the resolver's order; at least one."""
        if _is_address(host):
            return (host,)
        known = self._answers.get(host)
        if known and time.monotonic() - known.found_at < FRESH_S:
            return known.addresses
        try:
            return self._look_up(host, deadline)
        except UpstreamLost:
            if known and time.monotonic() - known.found_at < FRESH_S + STALE_S:
                return known.addresses
            raise

    def _look_up(self, host: str, deadline: float) -> tuple[str, ...]:
        result = self._under_way.get(host)
        if result is None:
            result = self._under_way[host] = self._pool.spawn(_ask_system, host)
            result.rawlink(lambda finished: self._finished(host, finished))
        try:
            with Timeout(max(deadline - time.monotonic(), 0.001)):
                return tuple(result.get() or ())
        except Timeout:
            raise UpstreamLost(f"no answer from the name server for {host} in time") from None
        except OSError as error:
            raise UpstreamLost(f"{host} has no address: {error.strerror or error}") from None

    def _finished(self, host: str, result: "AsyncResult[list[str]]") -> None:
        self._under_way.pop(host, None)
        if not result.successful():
            return
        if len(self._answers) >= MAX_NAMES:
            self._answers.pop(next(iter(self._answers)))
        self._answers[host] = _Answer(tuple(result.value or ()), time.monotonic())


def _ask_system(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
