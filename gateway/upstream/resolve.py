"""Names of mail servers to addresses, never on the hub, never more than once at a time for one name.

The system's own resolver is asked (so /etc/hosts and nsswitch.conf hold), in threads of our own: the hub's pool is
small and shared. Answers are kept for FRESH_S; when the name server fails, an old answer serves for up to STALE_S more.

Errors: `UpstreamLost` when a name has no address, or none was found by the deadline.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import gevent
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from gateway.errors import UpstreamLost

FRESH_S: Final = 60.0
STALE_S: Final = 3600.0
MAX_LOOKUPS: Final = 8  # at once; a silent name server holds that many threads and no more
MAX_WAITING: Final = 1024  # names that wait for one of these threads
MAX_NAMES: Final = 4096


@dataclass(frozen=True, slots=True)
class Said:
    """What the system's resolver says of a name. fault: why there are no addresses."""

    addresses: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[str, ...]
    found_at: float


def ask_system(host: str) -> Said:
    """Runs in a thread; raises nothing, for gevent writes what a thread raises to stderr as well."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return Said((), error.strerror or type(error).__name__)
    except UnicodeError:
        return Said((), "it is no host name")
    return Said(tuple(dict.fromkeys(str(address[0]) for *_, address in found)))


class Resolver:
    """One a worker, made after the fork (it owns threads)."""

    def __init__(self, ask: Callable[[str], Said] = ask_system) -> None:
        self._ask = ask
        self._pool = ThreadPool(MAX_LOOKUPS)
        self._answers: dict[str, _Answer] = {}
        self._under_way: dict[str, AsyncResult[Said]] = {}

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
        if host not in self._under_way:
            self._begin(host)
        said = self._under_way[host].wait(max(deadline - time.monotonic(), 0.001))
        if said is None:
            raise UpstreamLost(f"no answer from the name server for {host} in time")
        if not said.addresses:
            raise UpstreamLost(f"{host} has no address: {said.fault}")
        return said.addresses

    def _begin(self, host: str) -> None:
        """The wait for a free thread is a greenlet's of its own: it has no deadline, whoever asks has one."""
        if len(self._under_way) >= MAX_WAITING:
            raise UpstreamLost(f"too many names are being looked up to look up {host}")
        self._under_way[host] = AsyncResult()
        gevent.spawn(self._finish, host)

    def _finish(self, host: str) -> None:
        said = self._pool.apply(self._ask, (host,))
        if said.addresses:
            if len(self._answers) >= MAX_NAMES:
                self._answers.pop(next(iter(self._answers)))
            self._answers[host] = _Answer(said.addresses, time.monotonic())
        self._under_way.pop(host).set(said)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
