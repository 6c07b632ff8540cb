"""The table that all workers share; see `_sessions.pyx`.

A session is known by its slot and the slot's generation. What is said here to be the owner's is done only by the
worker that admitted the session, or by whoever acts for it. Addresses are 16 octets, IPv4 mapped into IPv6; times are
milliseconds of CLOCK_MONOTONIC. ValueError: a slot, worker or protocol that the table does not have.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final
from typing import NamedTuple
from typing import final

from gateway._shared import SharedMemory

class SlotState(IntEnum):
    UNAUTHENTICATED = 1
    AUTHENTICATING = 2
    AUTHENTICATED = 3
    EVICTED = 4

class Outcome(IntEnum):
    DONE = 0
    GONE = 1
    REFUSED = 2

class Why(IntEnum):
    """Why a session was evicted; a kick may bring any number from LOGGED_OFF to 255."""

    OUTSTANDING = 1
    OUTSTANDING_PER_ADDRESS = 2
    TABLE_FULL = 3
    LOGGED_OFF = 4

class SessionRecord(NamedTuple):
    """A copy of all that is known of a session.

    serial: unique for as long as the table lives, and the order of admission. sid: the engine's. evicted_from, why:
    None unless evicted. octets_in: from the client. user_hash: `hash_name` of the user, once authenticated, else 0.
    Texts are empty until described; long ones are cut, and a NUL ends them.
    """

    slot: int
    generation: int
    serial: int
    sid: int
    worker: int
    protocol: int
    state: SlotState
    evicted_from: SlotState | None
    why: int | None
    address: str
    port: int
    accepted_ms: int
    active_ms: int
    octets_in: int
    octets_out: int
    user_hash: int
    vpn_user: str
    mail_user: str
    server: str
    group_policy: str
    tls_version: str
    cipher: str
    accounting_id: str

class ProtocolCounts(NamedTuple):
    """Of one protocol: sessions now, the most there were at once, and all there ever were.

    peak counts every session, authenticated_peak the authenticated; refused: no slot was left.
    """

    unauthenticated: int
    authenticating: int
    authenticated: int
    peak: int
    authenticated_peak: int
    admitted: int
    authentications: int
    refused: int

@final
class SessionTable(SharedMemory):
    @property
    def recoveries(self) -> int:
        """How often the table was mended because its holder had been killed."""

    def set_caps(self, protocol: int, outstanding: int | None, per_address: int | None) -> None:
        """How many sessions of a protocol may be not authenticated, over all workers and of one address.

        At least 1; None: no cap. An IPv6 address counts by its /64. A lowered cap is enforced by the next admission.
        """

    # By the owner.
    def admit(
        self, worker: int, protocol: int, address: bytes, port: int, sid: int, now_ms: int
    ) -> tuple[int, int] | None:
        """Slot and generation of a new session. None: there is no slot left.

        Over the cap per address the oldest unauthenticated session of that address is evicted, else its oldest
        authenticating one; over `outstanding`, that of the protocol; with hardly a slot free, that of the protocol
        with the most of them.
        """

    def start_login(self, slot: int, generation: int) -> bool:
        """The session is authenticating; it keeps its age. False: it was evicted, or is gone."""

    def authenticate(self, slot: int, generation: int, user: bytes, limit: int | None, *, by_address: bool) -> Outcome:
        """The session is authenticated, and counted among those of `user` (all of its octets matter).

        REFUSED, and nothing has changed, if the user would then have more than `limit` addresses (`by_address`) or
        sessions. GONE if it was evicted meanwhile.
        """

    def describe(
        self,
        slot: int,
        generation: int,
        *,
        vpn_user: str | None = None,
        mail_user: str | None = None,
        server: str | None = None,
        group_policy: str | None = None,
        tls_version: str | None = None,
        cipher: str | None = None,
        accounting_id: str | None = None,
    ) -> bool:
        """Note what `show sessions` shows; None leaves a text as it is."""

    def touch(self, slot: int, generation: int, octets_in: int, octets_out: int, now_ms: int) -> bool:
        """Octets were relayed."""

    def release(self, slot: int, generation: int) -> bool:
        """The session is over, evicted or not. False: it was over already."""

    def next_evicted(self, worker: int) -> SessionRecord | None:
        """A session of the worker that has to end, told once. Ask until None, after reading the eventfd."""

    # By anyone.
    def kick(self, slot: int, generation: int, why: int = ...) -> bool:
        """End a session, of whatever worker and state. False: it has ended, or is about to."""

    def reap(self, worker: int) -> list[SessionRecord]:
        """The worker has died: end its sessions. Before its number is given to another."""

    def session(self, slot: int, generation: int) -> SessionRecord | None: ...
    def sessions(self) -> Iterator[SessionRecord]:
        """All of them, by slot, without stopping anybody: each is consistent, together they are no snapshot."""

    def counts(self, protocol: int) -> ProtocolCounts: ...
    def free_slots(self) -> int: ...
    def outstanding_of(self, protocol: int, address: bytes) -> int:
        """Sessions not authenticated from that address, or its /64."""

    def logins_of(self, user: bytes) -> tuple[int, int]:
        """Authenticated sessions of the user, and how many addresses they come from."""

    def hash_name(self, name: bytes) -> int: ...

    # For tests, and for who looks with a debugger.
    def freeze(self) -> None:
        """Make everybody wait who calls an operation, until `thaw`."""

    def thaw(self) -> None: ...

def signal_at_fault_point(count: int, number: int = ...) -> None:
    """For tests: this process gets a signal, SIGKILL by default, at the `count`th point where that hurts. 0: never."""

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
