"""The session table against its model: any operations, in any order, by workers that may die holding the table."""

import os
import select

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import rule

from gateway._sessions import SessionTable
from gateway._sessions import SlotState
from gateway._sessions import Why
from tests.fastpath.session_model import Session
from tests.fastpath.session_model import SessionModel
from tests.support.session_memory import faults_of

SLOTS, WORKERS, PROTOCOLS = 10, 3, 2
ADDRESSES = [
    bytes(10) + b"\xff\xff\x7f\0\0\1",
    bytes(10) + b"\xff\xff\x7f\0\0\2",
    b"\x20\x01\x0d\xb8" + bytes(11) + b"\1",
    b"\x20\x01\x0d\xb8" + bytes(11) + b"\2",  # the same /64
    b"\x20\x01\x0d\xb8" + bytes(3) + b"\1" + bytes(8),
]

workers = st.integers(0, WORKERS - 1)
protocols = st.integers(0, PROTOCOLS - 1)
caps = st.one_of(st.none(), st.integers(1, 6))
limits = st.one_of(st.none(), st.integers(0, 3))
picks = st.integers(0, 30)


class TableAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = SessionTable.create(SLOTS, WORKERS, PROTOCOLS)
        self.model = SessionModel(SLOTS, WORKERS, PROTOCOLS)
        self.handles = [(1, 1)]  # also of sessions that are long over, and one that never was
        self.admissions = 0

    def handle(self, pick: int) -> tuple[int, int]:
        """Rather a young one: the old ones are over."""
        return self.handles[-1 - pick % len(self.handles)]

    @rule(protocol=protocols, outstanding=caps, per_address=caps)
    def set_caps(self, protocol: int, outstanding: int | None, per_address: int | None) -> None:
        self.table.set_caps(protocol, outstanding, per_address)
        self.model.caps[protocol] = (outstanding, per_address)

    @rule(worker=workers, protocol=protocols, address=st.sampled_from(ADDRESSES), times=st.integers(1, 4))
    def admit(self, worker: int, protocol: int, address: bytes, times: int) -> None:
        for _ in range(times):
            self.admissions += 1
            session = Session(worker, protocol, address, sid=self.admissions)
            handle = self.table.admit(worker, protocol, address, 1000 + worker, session.sid, 5)
            assert (handle is not None) == self.model.admit(session)
            if handle is not None:
                session.handle = handle
                self.handles.append(handle)

    @rule(pick=picks)
    def start_login(self, pick: int) -> None:
        assert self.table.start_login(*self.handle(pick)) == self.model.start_login(self.handle(pick))

    @rule(pick=picks, user=st.sampled_from([b"alice", b"bob"]), limit=limits, by_address=st.booleans())
    def authenticate(self, pick: int, user: bytes, limit: int | None, by_address: bool) -> None:
        found = self.table.authenticate(*self.handle(pick), user, limit, by_address=by_address)
        assert found == self.model.authenticate(self.handle(pick), user, limit, by_address)

    @rule(pick=picks)
    def release(self, pick: int) -> None:
        assert self.table.release(*self.handle(pick)) == self.model.release(self.handle(pick))

    @rule(pick=picks, why=st.integers(Why.LOGGED_OFF, 255))
    def kick(self, pick: int, why: int) -> None:
        assert self.table.kick(*self.handle(pick), why) == self.model.kick(self.handle(pick), why)

    @rule(worker=workers)
    def drain(self, worker: int) -> None:
        """What the owner does when its eventfd is readable."""
        if is_readable(self.table.eventfds[worker]):
            os.eventfd_read(self.table.eventfds[worker])
        told = list(iter(lambda: self.table.next_evicted(worker), None))
        wanted = self.model.drain(worker)
        assert [(record.sid, record.why, record.evicted_from) for record in told] == [
            (session.sid, session.why, session.evicted_from) for session in wanted
        ]

    @rule(worker=workers)
    def reap(self, worker: int) -> None:
        found = self.table.reap(worker)
        assert {record.sid for record in found} == {session.sid for session in self.model.reap(worker)}
        assert not is_readable(self.table.eventfds[worker])

    @rule()
    def holder_dies(self) -> None:
        recoveries = self.table.recoveries
        pid = os.fork()
        if pid == 0:
            self.table.freeze()
            os._exit(0)
        os.waitpid(pid, 0)
        self.table.free_slots()
        assert self.table.recoveries == recoveries + 1
        self.model.mend()

    @invariant()
    def memory_is_sound(self) -> None:
        assert faults_of(self.table) == []

    @invariant()
    def sessions_agree(self) -> None:
        found = sorted(self.table.sessions(), key=lambda record: record.serial)
        assert [
            (r.sid, (r.slot, r.generation), r.worker, r.protocol, r.state, r.evicted_from, r.why) for r in found
        ] == [(s.sid, s.handle, s.worker, s.protocol, s.state, s.evicted_from, s.why) for s in self.model.sessions]

    @invariant()
    def counts_agree(self) -> None:
        assert self.table.free_slots() == SLOTS - len(self.model.sessions)
        for protocol in range(PROTOCOLS):
            counts = self.table.counts(protocol)
            states = [session.state for session in self.model.sessions if session.protocol == protocol]
            assert counts.unauthenticated == states.count(SlotState.UNAUTHENTICATED)
            assert counts.authenticating == states.count(SlotState.AUTHENTICATING)
            assert counts.authenticated == states.count(SlotState.AUTHENTICATED)
            for address in ADDRESSES:
                near = Session(0, protocol, address, 0).neighbourhood
                rivals = [s for s in self.model.outstanding(protocol) if s.neighbourhood == near]
                assert self.table.outstanding_of(protocol, address) == len(rivals)
        for user in (b"alice", b"bob"):
            mine = self.model.authenticated(user)
            assert self.table.logins_of(user) == (len(mine), len({session.address for session in mine}))

    @invariant()
    def owners_of_evicted_sessions_are_woken(self) -> None:
        for worker, sessions in enumerate(self.model.evicted):
            assert not sessions or is_readable(self.table.eventfds[worker])


def is_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


TestTableAgainstModel = TableAgainstModel.TestCase
TestTableAgainstModel.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
