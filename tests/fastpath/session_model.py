"""The session table as one would write it without a thought for speed: a list of sessions, and the contract's words."""

from dataclasses import dataclass

from gateway._sessions import Outcome
from gateway._sessions import SlotState
from gateway._sessions import Why

OUTSTANDING = (SlotState.UNAUTHENTICATED, SlotState.AUTHENTICATING)

Handle = tuple[int, int]


@dataclass(slots=True)
class Session:
    worker: int
    protocol: int
    address: bytes
    sid: int
    state: SlotState = SlotState.UNAUTHENTICATED
    handle: Handle = (0, 0)
    user: bytes = b""
    evicted_from: SlotState | None = None
    why: int | None = None
    told: bool = False

    @property
    def neighbourhood(self) -> bytes:
        """An IPv4 address, or the first half of an IPv6 one."""
        return self.address if self.address.startswith(bytes(10)) else self.address[:8]


class SessionModel:
    def __init__(self, slots: int, workers: int, protocols: int) -> None:
        self.slots = slots
        self.protocols = protocols
        self.caps: dict[int, tuple[int | None, int | None]] = {}
        self.sessions: list[Session] = []  # in order of age
        self.evicted: list[list[Session]] = [[] for _ in range(workers)]  # in order of eviction

    def find(self, handle: Handle) -> Session | None:
        return next((session for session in self.sessions if session.handle == handle), None)

    def outstanding(self, protocol: int) -> list[Session]:
        return [s for s in self.sessions if s.protocol == protocol and s.state in OUTSTANDING]

    def authenticated(self, user: bytes) -> list[Session]:
        return [s for s in self.sessions if s.user == user and s.state is SlotState.AUTHENTICATED]

    def admit(self, session: Session) -> bool:
        self.make_room(session)
        if len(self.sessions) == self.slots:
            return False
        self.sessions.append(session)
        return True

    def make_room(self, newcomer: Session) -> None:
        outstanding_cap, address_cap = self.caps.get(newcomer.protocol, (None, None))
        rivals = [s for s in self.outstanding(newcomer.protocol) if s.neighbourhood == newcomer.neighbourhood]
        while address_cap is not None and len(rivals) >= address_cap:
            rivals.remove(self.evict_one_of(rivals, Why.OUTSTANDING_PER_ADDRESS))
        others = self.outstanding(newcomer.protocol)
        while outstanding_cap is not None and len(others) >= outstanding_cap:
            others.remove(self.evict_one_of(others, Why.OUTSTANDING))
        if len(self.sessions) == self.slots:
            crowds = [self.outstanding(protocol) for protocol in range(self.protocols)]
            largest = max(crowds, key=len)  # the first of equals
            if largest:
                self.evict_one_of(largest, Why.TABLE_FULL)

    def evict_one_of(self, candidates: list[Session], why: int) -> Session:
        unauthenticated = [s for s in candidates if s.state is SlotState.UNAUTHENTICATED]
        victim = (unauthenticated or candidates)[0]
        self.evict(victim, why)
        return victim

    def evict(self, session: Session, why: int) -> None:
        session.evicted_from, session.why = session.state, why
        session.state = SlotState.EVICTED
        self.evicted[session.worker].append(session)

    def start_login(self, handle: Handle) -> bool:
        session = self.find(handle)
        if session is None or session.state is SlotState.EVICTED:
            return False
        if session.state is SlotState.UNAUTHENTICATED:
            session.state = SlotState.AUTHENTICATING
        return True

    def authenticate(self, handle: Handle, user: bytes, limit: int | None, by_address: bool) -> Outcome:
        session = self.find(handle)
        if session is None or session.state not in OUTSTANDING:
            return Outcome.GONE
        together = [*self.authenticated(user), session]
        number = len({s.address for s in together}) if by_address else len(together)
        if limit is not None and number > limit:
            return Outcome.REFUSED
        session.state, session.user = SlotState.AUTHENTICATED, user
        return Outcome.DONE

    def kick(self, handle: Handle, why: int) -> bool:
        session = self.find(handle)
        if session is None or session.state is SlotState.EVICTED:
            return False
        self.evict(session, why)
        return True

    def release(self, handle: Handle) -> bool:
        session = self.find(handle)
        if session is None:
            return False
        self.sessions.remove(session)
        if session in self.evicted[session.worker]:
            self.evicted[session.worker].remove(session)
        return True

    def drain(self, worker: int) -> list[Session]:
        told, self.evicted[worker] = self.evicted[worker], []
        return told

    def reap(self, worker: int) -> list[Session]:
        dead = [s for s in self.sessions if s.worker == worker]
        self.sessions = [s for s in self.sessions if s.worker != worker]
        self.evicted[worker] = []
        return dead

    def mend(self) -> None:
        """A holder died: the order of evictions not yet told is lost, that of ages is not."""
        for worker, sessions in enumerate(self.evicted):
            self.evicted[worker] = [s for s in self.sessions if s in sessions]
