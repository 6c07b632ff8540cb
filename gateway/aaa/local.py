"""The `local` AAA group: the [user …] sections of the configuration, passwords as argon2id hashes (RFC 9106).

A hash takes tens of milliseconds and megabytes by design, so it is computed in a thread pool of its own, never on the
hub. An unknown user costs the same hash as a known one: the time of the answer tells nothing.

Errors: Refused(BAD_CREDENTIALS); Refused(TEMPORARY) when the pool has no thread free by the deadline.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError
from argon2.exceptions import VerificationError
from gevent import Timeout
from gevent.threadpool import ThreadPool

from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.errors import Refused
from gateway.outcome import Refusal

# Two hashes at once keep two cores busy; more would only take memory (64 MiB each) and the relay's cores.
HASH_THREADS: Final = 2

_HASHER: Final = PasswordHasher()


@dataclass(frozen=True, slots=True)
class LocalUser:
    """password_hash: PHC string, `$argon2id$…`. group_policy None: the protocol's default applies."""

    password_hash: str = field(repr=False)
    group_policy: str | None


class LocalBackend:
    """Checks users against a table. One instance a worker, made after the fork (it owns threads)."""

    def __init__(self, users: Mapping[str, LocalUser]) -> None:
        self._users = users
        self._pool = ThreadPool(HASH_THREADS)
        self._decoy_hash = next(iter(users.values())).password_hash if users else hash_password(b"decoy")

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """See `Backend`."""
        known = self._users.get(user)
        password_hash = known.password_hash if known else self._decoy_hash
        matches = self._verify(password_hash, password, deadline)
        if known is None or not matches:
            raise Refused(Refusal.BAD_CREDENTIALS, "unknown local user" if known is None else "wrong local password")
        return Identity(user, known.group_policy)

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        """See `Backend`."""
        known = self._users.get(user)
        if known is None:
            raise Refused(Refusal.POLICY_DENIED, "unknown local user")
        return Identity(user, known.group_policy)

    def _verify(self, password_hash: str, password: bytes, deadline: float) -> bool:
        try:
            with Timeout(max(deadline - time.monotonic(), 0.001)):
                return bool(self._pool.apply(_matches, (password_hash, password)))
        except Timeout:
            raise Refused(Refusal.TEMPORARY, "no time left to hash the password") from None


def hash_password(password: bytes) -> str:
    """The argon2id hash for a [user …] section, with the library's current parameters (RFC 9106 section 4)."""
    return _HASHER.hash(password)


def _matches(password_hash: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
