"""The session table: what a model cannot show. Texts, sharing between processes, layout, limits."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._sessions import Outcome
from gateway._sessions import SessionTable
from gateway._sessions import SlotState
from gateway._sessions import Why
from gateway._sessions import signal_at_fault_point
from tests.support.forks import fork_and_run
from tests.support.forks import wait_for_success
from tests.support.session_memory import faults_of
from tests.support.waiting import wait_until

IMAP, POP3 = 0, 1


def ipv4(number: int) -> bytes:
    return bytes(10) + b"\xff\xff" + number.to_bytes(4, "big")


def admit(
    table: SessionTable, *, worker: int = 0, protocol: int = IMAP, address: int = 1, sid: int = 0
) -> tuple[int, int]:
    handle = table.admit(worker, protocol, ipv4(address), 4000, sid, 100)
    assert handle is not None
    return handle


@pytest.fixture
def table() -> SessionTable:
    return SessionTable.create(slots=100, workers=3)


# ---- records ----


def test_session_is_shown_as_it_was_described(table: SessionTable) -> None:
    handle = table.admit(2, POP3, b"\x20\x01\x0d\xb8" + bytes(11) + b"\x07", 50993, 2**63 + 5, 1234)
    assert handle is not None
    assert table.describe(*handle, tls_version="TLSv1.3", cipher="TLS_AES_128_GCM_SHA256")
    assert table.start_login(*handle)
    assert table.authenticate(*handle, b"alice", 1, by_address=False) is Outcome.DONE
    assert table.describe(
        *handle, vpn_user="alice", mail_user="älice", server="mail", group_policy="USERS", accounting_id="7f3a"
    )
    assert table.touch(*handle, 10, 2000, 1300)
    assert table.touch(*handle, 1, 1 << 40, 1400)
    (record,) = table.sessions()
    assert record == table.session(*handle)
    assert record._asdict() == {
        "slot": handle[0],
        "generation": handle[1],
        "serial": 1,
        "sid": 2**63 + 5,
        "worker": 2,
        "protocol": POP3,
        "state": SlotState.AUTHENTICATED,
        "evicted_from": None,
        "why": None,
        "address": "2001:db8::7",
        "port": 50993,
        "accepted_ms": 1234,
        "active_ms": 1400,
        "octets_in": 11,
        "octets_out": 2000 + (1 << 40),
        "user_hash": table.hash_name(b"alice"),
        "vpn_user": "alice",
        "mail_user": "älice",
        "server": "mail",
        "group_policy": "USERS",
        "tls_version": "TLSv1.3",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "accounting_id": "7f3a",
    }


def test_next_session_in_a_slot_inherits_nothing(table: SessionTable) -> None:
    first = admit(table)
    table.describe(*first, vpn_user="alice", cipher="X")
    table.authenticate(*first, b"alice", None, by_address=False)
    table.touch(*first, 5, 6, 7)
    table.release(*first)
    second = admit(table)
    assert second == (first[0], first[1] + 1)
    record = table.session(*second)
    assert record is not None
    assert (record.vpn_user, record.cipher, record.user_hash, record.octets_in, record.octets_out) == ("", "", 0, 0, 0)
    assert record.serial == 2
    assert table.session(*first) is None


def test_nothing_can_be_done_to_a_session_that_is_over(table: SessionTable) -> None:
    stale = admit(table)
    table.release(*stale)
    for handle in (stale, (stale[0] + 1, 0), (stale[0] + 1, 1)):
        assert not table.start_login(*handle)
        assert table.authenticate(*handle, b"alice", None, by_address=True) is Outcome.GONE
        assert not table.describe(*handle, vpn_user="x")
        assert not table.touch(*handle, 1, 1, 1)
        assert not table.kick(*handle)
        assert not table.release(*handle)
        assert table.session(*handle) is None
    assert faults_of(table) == []


@given(st.text(max_size=130) | st.text("aä€😀\0", min_size=30, max_size=130))
def test_text_is_kept_as_far_as_it_fits_in_whole_characters(text: str) -> None:
    table = SessionTable.create(slots=1, workers=1)
    handle = admit(table)
    table.describe(*handle, vpn_user="before", mail_user=text, server="after")
    record = table.session(*handle)
    assert record is not None
    wanted = text.encode("utf-8", "replace").decode().partition("\0")[0]
    assert wanted.startswith(record.mail_user)
    if record.mail_user != wanted:
        assert 96 - 4 < len(record.mail_user.encode()) <= 96
    assert (record.vpn_user, record.server) == ("before", "after")


def test_users_that_differ_only_behind_the_cut_are_different_users(table: SessionTable) -> None:
    long_name = b"x" * 500
    for name in (long_name + b"a", long_name + b"b", long_name + b"a\0"):
        handle = admit(table)
        assert table.authenticate(*handle, name, 1, by_address=False) is Outcome.DONE
        assert table.logins_of(name) == (1, 1)


# ---- limits ----


def test_login_of_an_evicted_session_tells_its_owner(table: SessionTable) -> None:
    table.set_caps(IMAP, 1, None)
    first = admit(table)
    admit(table, worker=1)
    assert not table.start_login(*first)
    assert table.authenticate(*first, b"alice", None, by_address=True) is Outcome.GONE
    assert table.logins_of(b"alice") == (0, 0)
    record = table.next_evicted(0)
    assert record is not None
    assert (record.slot, record.generation, record.why) == (*first, Why.OUTSTANDING)


def test_authenticated_sessions_are_never_evicted_for_a_newcomer(table: SessionTable) -> None:
    authenticated = [admit(table) for _ in range(5)]
    for number, handle in enumerate(authenticated):
        assert table.authenticate(*handle, b"%d" % number, None, by_address=False) is Outcome.DONE
    table.set_caps(IMAP, 1, 1)
    for _ in range(50):
        admit(table, address=1)
    for handle in authenticated:
        record = table.session(*handle)
        assert record is not None
        assert record.state is SlotState.AUTHENTICATED


def test_full_table_makes_room_at_the_cost_of_the_most_crowded_protocol() -> None:
    table = SessionTable.create(slots=3, workers=1)
    first, _, third = admit(table, protocol=IMAP), admit(table, protocol=IMAP), admit(table, protocol=POP3)
    assert table.admit(0, POP3, ipv4(9), 1, 1, 1) is None
    record = table.next_evicted(0)
    assert record is not None
    assert (record.slot, record.why) == (first[0], Why.TABLE_FULL)
    table.release(*first)
    admit(table, protocol=POP3)
    assert table.session(*third) is not None
    assert table.counts(POP3).refused == 1


def test_full_table_of_authenticated_sessions_refuses() -> None:
    table = SessionTable.create(slots=2, workers=1)
    for _ in range(2):
        assert table.authenticate(*admit(table), b"alice", None, by_address=True) is Outcome.DONE
    assert table.admit(0, IMAP, ipv4(1), 1, 1, 1) is None
    assert table.next_evicted(0) is None
    assert faults_of(table) == []


def test_large_table_evicts_while_some_slots_are_left_so_that_no_newcomer_is_refused() -> None:
    table = SessionTable.create(slots=640, workers=1)
    for number in range(3000):
        admit(table, address=number)
        if number % 7 == 0:  # the owner is a little slow
            while record := table.next_evicted(0):
                table.release(record.slot, record.generation)
    assert table.counts(IMAP).refused == 0
    assert faults_of(table) == []


def test_counts_that_only_grow(table: SessionTable) -> None:
    handles = [admit(table) for _ in range(4)]
    for handle in handles[:3]:
        table.authenticate(*handle, b"alice", None, by_address=False)
    for handle in handles:
        table.release(*handle)
    admit(table)
    assert table.counts(IMAP) == (1, 0, 0, 4, 3, 5, 3, 0)


def test_reaped_sessions_are_returned_with_all_that_accounting_needs(table: SessionTable) -> None:
    kept, lost, kicked = admit(table, worker=1), admit(table, worker=2), admit(table, worker=2)
    for handle in (kept, lost, kicked):
        table.authenticate(*handle, b"alice", None, by_address=False)
        table.describe(*handle, vpn_user="alice", accounting_id=f"id-{handle[0]}")
        table.touch(*handle, 3, 4, 5)
    table.kick(*kicked)
    dead = table.reap(2)
    assert [(record.accounting_id, record.octets_in, record.octets_out) for record in dead] == [
        (f"id-{lost[0]}", 3, 4),
        (f"id-{kicked[0]}", 3, 4),
    ]
    assert [record.evicted_from for record in dead] == [None, SlotState.AUTHENTICATED]
    assert [record.worker for record in table.sessions()] == [1]
    assert table.logins_of(b"alice") == (1, 1)
    assert table.next_evicted(2) is None


@pytest.mark.parametrize("arguments", [(0, 1, 1), (1_000_001, 1, 1), (1, 0, 1), (1, 257, 1), (1, 1, 0), (1, 1, 9)])
def test_size_out_of_range_is_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be 1 to"):
        SessionTable.create(*arguments)


def test_arguments_out_of_range_are_refused(table: SessionTable) -> None:
    handle = admit(table)
    for call in (
        lambda: table.admit(3, IMAP, ipv4(1), 1, 1, 1),
        lambda: table.admit(-1, IMAP, ipv4(1), 1, 1, 1),
        lambda: table.admit(0, 3, ipv4(1), 1, 1, 1),
        lambda: table.admit(0, IMAP, b"\x7f\0\0\1", 1, 1, 1),
        lambda: table.outstanding_of(IMAP, bytes(17)),
        lambda: table.release(0, 1),
        lambda: table.release(101, 1),
        lambda: table.kick(*handle, Why.TABLE_FULL),
        lambda: table.kick(*handle, 256),
        lambda: table.set_caps(IMAP, 0, None),
        lambda: table.set_caps(IMAP, None, 0),
        lambda: table.set_caps(7, 1, 1),
        lambda: table.authenticate(*handle, b"alice", -1, by_address=True),
        lambda: table.next_evicted(3),
        lambda: table.reap(3),
        lambda: table.counts(3),
    ):
        with pytest.raises(ValueError, match=r".+"):
            call()
    for call in (
        lambda: table.admit(0, IMAP, ipv4(1), 65536, 1, 1),
        lambda: table.admit(0, IMAP, ipv4(1), 1, -1, 1),
        lambda: table.touch(*handle, -1, 0, 0),
        lambda: table.release(handle[0], 1 << 32),
    ):
        with pytest.raises(OverflowError):
            call()
    assert [(record.slot, record.state) for record in table.sessions()] == [(handle[0], SlotState.UNAUTHENTICATED)]


# ---- a million slots ----


def test_million_slots_cost_nothing_until_they_are_used() -> None:
    start = time.process_time()
    table = SessionTable.create(slots=1_000_000, workers=256, protocols=8)
    for number in range(1000):
        admit(table, address=number)
    used_octets = os.fstat(table.fd).st_blocks * 512
    assert used_octets < 8 << 20  # a page for each of their tallies' buckets at worst
    assert time.process_time() - start < 1


def test_listing_50_000_sessions_is_quick() -> None:
    table = SessionTable.create(slots=60_000, workers=1)
    for number in range(50_000):
        handle = admit(table, address=number)
        table.describe(*handle, vpn_user=f"user{number}", mail_user=f"user{number}", server="mail.example.org")
    start = time.process_time()
    assert sum(1 for _ in table.sessions()) == 50_000
    assert time.process_time() - start < 2  # 0.2 s where this was written


# ---- several processes ----


def test_another_program_takes_the_table_over_by_its_descriptors(table: SessionTable) -> None:
    handle = admit(table, worker=1, sid=42)
    program = """
import sys
from gateway._sessions import SessionTable
fd, *eventfds = map(int, sys.argv[1:])
table = SessionTable(fd, eventfds)
(record,) = table.sessions()
assert (record.sid, table.slots, table.workers, table.protocols) == (42, 100, 3, 3)
assert table.kick(record.slot, record.generation)
assert table.admit(2, 0, bytes(16), 1, 43, 1)
"""
    fds = [table.fd, *table.eventfds]
    subprocess.run([sys.executable, "-c", program, *map(str, fds)], pass_fds=fds, check=True, cwd=os.getcwd())
    assert os.eventfd_read(table.eventfds[1]) == 1
    record = table.next_evicted(1)
    assert record is not None
    assert (record.slot, record.generation, record.why) == (*handle, Why.LOGGED_OFF)
    assert [record.sid for record in table.sessions()] == [42, 43]
    assert faults_of(table) == []


@pytest.mark.parametrize(
    ("offset", "octets", "complaint"),
    [
        (0, b"\0", "not a session table"),
        (8, b"\x09", "of layout 9"),
        (12, b"\0\0\0\0", "slots must be"),
        (12, b"\xe9\x03", "another geometry"),
        (28, b"\x01", "another geometry"),
    ],
)
def test_table_of_another_layout_is_refused(offset: int, octets: bytes, complaint: str, table: SessionTable) -> None:
    copy = os.memfd_create("copy")
    eventfds = [os.eventfd(0) for _ in range(3)]
    try:
        os.ftruncate(copy, os.fstat(table.fd).st_size)
        os.pwrite(copy, os.pread(table.fd, 4096, 0), 0)
        os.pwrite(copy, octets, offset)
        with pytest.raises(ValueError, match=complaint):
            SessionTable(copy, eventfds)
        for fd in (copy, *eventfds):
            os.fstat(fd)  # still ours, still open
    finally:
        for fd in (copy, *eventfds):
            os.close(fd)


def test_table_cut_short_and_wrong_number_of_eventfds_are_refused(table: SessionTable) -> None:
    copy = os.memfd_create("copy")
    try:
        with pytest.raises(ValueError, match="too short"):
            SessionTable(copy, [])
        os.pwrite(copy, os.pread(table.fd, 4096, 0), 0)
        with pytest.raises(ValueError, match="another geometry"):
            SessionTable(copy, [0, 0, 0])
        os.ftruncate(copy, os.fstat(table.fd).st_size)
        with pytest.raises(ValueError, match="3 eventfds are needed, not 2"):
            SessionTable(copy, [0, 0])
    finally:
        os.close(copy)


def test_nobody_can_cut_the_table_short_under_the_workers(table: SessionTable) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(table.fd, 0)


def test_descriptors_and_memory_are_given_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        SessionTable.create(slots=1000, workers=20)
    assert len(os.listdir("/proc/self/fd")) == before


CHURNS = 20_000


def churn(table: SessionTable, worker: int) -> None:
    """Sessions that come and go, each described by its own letter, in a ring of eight."""
    ring: list[tuple[int, int]] = []
    for sid in range(CHURNS):
        handle = admit(table, worker=worker, address=sid & 3, sid=sid)
        letter = chr(ord("a") + sid % 26)
        table.describe(*handle, vpn_user=letter * (40 + sid % 50), mail_user=letter * 90)
        ring.append(handle)
        if len(ring) == 8:
            table.authenticate(*ring[4], b"user%d" % (sid & 7), None, by_address=False)
            table.release(*ring.pop(0))
        while record := table.next_evicted(worker):
            table.release(record.slot, record.generation)
    for handle in ring:
        table.release(*handle)


@pytest.fixture
def churning(table: SessionTable) -> Iterator[list[int]]:
    """Two processes that use the table as fast as they can."""
    table.set_caps(IMAP, 9, 6)
    pids = [fork_and_run(churn, table, worker) for worker in (1, 2)]
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_record_is_never_half_of_one_session_and_half_of_the_next(table: SessionTable) -> None:
    first = admit(table, sid=1)
    table.describe(*first, vpn_user="first")
    reader, answer = start_reader_that_stops(table, fault_point=1)  # the slot was copied, the texts not yet
    table.release(*first)
    table.describe(*admit(table, sid=2), vpn_user="second")
    assert answer_of(reader, answer) == "2 second"


def test_text_is_never_half_old_and_half_new(table: SessionTable) -> None:
    handle = admit(table, sid=1)
    table.describe(*handle, vpn_user="old" * 10)

    def describe_slowly() -> None:
        signal_at_fault_point(1, signal.SIGSTOP)  # the new text stands over the beginning of the old one
        table.describe(*handle, vpn_user="new")

    writer = start_and_wait_until_it_stops(describe_slowly)
    reader, answer = start_reader_that_stops(table, fault_point=2)  # all was copied, nothing checked yet
    os.kill(writer, signal.SIGCONT)
    wait_for_success([writer])
    assert answer_of(reader, answer) == "1 new"


def start_and_wait_until_it_stops(function: Callable[[], object]) -> int:
    pid = fork_and_run(function)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    return pid


def start_reader_that_stops(table: SessionTable, fault_point: int) -> tuple[int, int]:
    """Process and pipe of one that reads the only session, stopped on the way."""
    reading, writing = os.pipe()

    def read() -> None:
        signal_at_fault_point(fault_point, signal.SIGSTOP)
        (record,) = table.sessions()
        os.write(writing, f"{record.sid} {record.vpn_user}".encode())

    pid = start_and_wait_until_it_stops(read)
    os.close(writing)
    return pid, reading


def answer_of(pid: int, pipe: int) -> str:
    os.kill(pid, signal.SIGCONT)
    wait_for_success([pid])
    with open(pipe) as answer:
        return answer.read()


def test_records_are_never_torn_while_others_write(table: SessionTable, churning: list[int]) -> None:
    seen = 0

    def is_over() -> bool:
        nonlocal seen
        for record in table.sessions():
            letter = chr(ord("a") + record.sid % 26)
            for text in (record.vpn_user, record.mail_user):
                assert set(text) <= {letter}, record
            assert len(record.vpn_user) in (0, 40 + record.sid % 50)
            assert len(record.mail_user) in (0, 90)
            seen += 1
        return table.counts(IMAP).admitted == 2 * CHURNS

    wait_until(is_over, 30, "the end of the churning")
    assert seen  # some were looked at; how many is up to the machine


def test_two_processes_at_once_leave_nothing_behind(table: SessionTable, churning: list[int]) -> None:
    while churning:
        assert faults_of(table) == []
        for pid in list(churning):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                assert status == 0
                churning.remove(pid)
    assert table.free_slots() == table.slots
    assert table.counts(IMAP).admitted == 2 * CHURNS
    assert table.recoveries == 0
