"""A worker's sessions: what is in the journal when, and what a disk without room does to whom."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.accounting.base import NO_ACCOUNTING
from gateway.accounting.base import AccountedSession
from gateway.accounting.causes import TerminateCause
from gateway.accounting.causes import cause_of
from gateway.accounting.journal import JournalFull
from gateway.accounting.journal import JournalWriter
from gateway.accounting.records import MAX_SESSION_ID
from gateway.accounting.records import Kind
from gateway.accounting.records import tidy
from gateway.accounting.records import unpacked
from gateway.accounting.sessions import KEEP_SEGMENTS
from gateway.accounting.sessions import JournaledSessions
from gateway.errors import Refused
from gateway.log import Log
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from tests.support.journals import events
from tests.support.journals import facts
from tests.support.journals import journal
from tests.support.journals import record
from tests.support.journals import records


class Bench:
    """Sessions over a journal of short segments, and the log they write."""

    def __init__(self, directory: Path, segments: int = 2, **options: object) -> None:
        self.directory = directory
        self.journal = journal(directory, segments=segments)
        self._read_end, self._write_end = os.pipe()
        self.writes = 0
        self.sessions = self.make(self.journal, **options)

    def make(self, writer: JournalWriter, **options: object) -> JournaledSessions:
        log = Log(descriptor=self._write_end)
        return JournaledSessions("RAD", writer, log, self.note, **options)  # type: ignore[arg-type]

    def note(self) -> None:
        self.writes += 1

    def begin(self, name: str) -> AccountedSession:
        return self.sessions.begin(facts(name))

    def fill(self) -> list[AccountedSession]:
        """Begin sessions until one is refused."""
        return begin_until_refused(self.sessions)

    def logged(self) -> str:
        os.set_blocking(self._read_end, False)
        try:
            return os.read(self._read_end, 1 << 16).decode()
        except BlockingIOError:
            return ""

    def close(self) -> None:
        self.sessions.close()
        os.close(self._read_end)
        os.close(self._write_end)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "writer")


class FailingJournal(JournalWriter):
    """Its disk refuses while `refuses` is set."""

    refuses = False

    def append(self, payload: bytes, keep_octets: int = 0) -> None:
        if self.refuses:
            raise OSError(5, "Input/output error")
        super().append(payload, keep_octets)


def begin_until_refused(sessions: JournaledSessions) -> list[AccountedSession]:
    begun: list[AccountedSession] = []
    refusal = None
    while refusal is None:
        try:
            begun.append(sessions.begin(facts(f"s{len(begun)}")))
        except Refused as refused:
            refusal = refused.refusal
    assert refusal is Refusal.TEMPORARY
    return begun


def wait_until_due(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class TestBeginAndEnd:
    def test_start_is_in_the_journal_when_begin_returns_and_stop_when_end_does(self, bench: Bench) -> None:
        session = bench.begin("s1")
        assert events(bench.directory) == [("START", "s1")]
        session.end(EndReason.CLIENT_CLOSED, 10, 2**40)
        start, stop = records(bench.directory)
        assert (stop.kind, stop.session_id, stop.facts) == (Kind.STOP, "s1", start.facts)
        assert (stop.usage.octets_in, stop.usage.octets_out) == (10, 2**40)
        assert stop.cause == TerminateCause.USER_REQUEST
        assert bench.writes == 2
        bench.close()

    def test_only_the_first_end_counts(self, bench: Bench) -> None:
        session = bench.begin("s1")
        session.end(EndReason.IDLE_TIMEOUT, 1, 2)
        session.end(EndReason.INTERNAL_ERROR, 3, 4)
        session.relaying(lambda: (5, 6))
        assert [one.cause for one in records(bench.directory)] == [0, TerminateCause.IDLE_TIMEOUT]
        assert bench.sessions.next_due_at is None
        bench.close()

    def test_session_time_is_by_the_monotonic_clock(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        began = time.monotonic()
        session = bench.begin("s1")
        monkeypatch.setattr(time, "time", lambda: 0.0)  # the wall clock jumps back by decades
        monkeypatch.setattr(time, "monotonic", lambda: began + 3600.5)
        session.end(EndReason.CLIENT_CLOSED, 0, 0)
        monkeypatch.undo()
        assert records(bench.directory)[1].usage.seconds == 3600
        bench.close()


class TestNoRoom:
    def test_room_for_every_end_is_kept_then_newcomers_are_refused_and_all_ends_fit(self, bench: Bench) -> None:
        begun = bench.fill()
        assert len(begun) > 200
        for session in begun:
            session.end(EndReason.CLIENT_CLOSED, 2**63, 2**63)
        names = [f"s{number}" for number in range(len(begun))]
        assert events(bench.directory) == [("START", name) for name in names] + [("STOP", name) for name in names]
        bench.close()

    def test_alarm_is_raised_once_and_taken_back_when_there_is_room(self, bench: Bench) -> None:
        bench.fill()
        with pytest.raises(Refused):
            bench.begin("another")
        log = bench.logged()
        assert log.count("event=accounting_full") == 1
        assert "level=error" in log
        assert "new logins are refused" in log
        while bench.sessions.wants_room:
            assert bench.sessions.extend() is None
        bench.sessions.room_is_back()
        assert "event=accounting_has_room" in bench.logged()
        bench.begin("another").end(EndReason.CLIENT_CLOSED, 0, 0)
        bench.close()

    def test_sessions_may_go_unaccounted_then_nobody_is_refused_and_no_end_without_a_start(
        self, tmp_path: Path
    ) -> None:
        bench = Bench(tmp_path / "writer", allow_unaccounted=True)
        number = 0
        while (session := bench.begin(f"s{number}")) is not NO_ACCOUNTING:
            number += 1
        session.end(EndReason.CLIENT_CLOSED, 1, 1)
        assert [kind for kind, _ in events(bench.directory)] == ["START"] * number
        assert "sessions go unaccounted" in bench.logged()
        bench.close()

    def test_interim_updates_do_not_use_the_room_of_ends(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path / "writer", interim_update_s=0.0)
        begun = bench.fill()
        for session in begun:
            session.relaying(lambda: (1, 1))
        for _ in range(3):
            bench.sessions.catch_up()
        for session in begun:
            session.end(EndReason.CLIENT_CLOSED, 0, 0)
        kinds = [kind for kind, _ in events(bench.directory)]
        assert kinds.count("STOP") == kinds.count("START") == len(begun)
        bench.close()

    def test_no_segment_at_all_then_refused_until_there_is_one(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path / "writer", segments=0)
        assert bench.fill() == []
        assert bench.sessions.extend() is None
        bench.begin("s1")
        bench.close()

    def test_disk_refuses_an_end_then_it_is_written_later_and_before_what_follows(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path / "unused")
        writer = FailingJournal(tmp_path / "writer", 1 << 16)
        writer.extend()
        sessions = bench.make(writer)
        first, second = sessions.begin(facts("s1")), sessions.begin(facts("s2"))
        writer.refuses = True
        first.end(EndReason.CLIENT_CLOSED, 1, 1)
        with pytest.raises(Refused):
            sessions.begin(facts("s3"))
        assert sessions.is_behind
        writer.refuses = False
        second.end(EndReason.CLIENT_CLOSED, 1, 1)
        assert events(writer.directory) == [("START", "s1"), ("START", "s2"), ("STOP", "s1"), ("STOP", "s2")]
        sessions.room_is_back()
        assert not sessions.is_behind
        sessions.close()
        bench.close()

    def test_room_of_a_late_end_is_kept_for_it(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path / "unused")
        writer = FailingJournal(tmp_path / "writer", 1 << 16)
        writer.extend()
        sessions = bench.make(writer)
        late = sessions.begin(facts("late"))
        writer.refuses = True
        late.end(EndReason.CLIENT_CLOSED, 1, 1)
        writer.refuses = False
        assert len(begin_until_refused(sessions)) > 100
        sessions.catch_up()
        assert events(writer.directory)[-1] == ("STOP", "late")
        sessions.close()
        bench.close()


class TestInterim:
    def test_updates_come_at_the_interval_with_the_octets_so_far(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path / "writer", interim_update_s=0.02)
        counts = [0, 0]
        session = bench.begin("s1")
        assert bench.sessions.next_due_at is None  # not before octets flow
        session.relaying(lambda: (counts[0], counts[1]))
        bench.sessions.catch_up()
        assert [kind for kind, _ in events(bench.directory)] == ["START"]
        for number in (1, 2):
            counts[:] = [number, number * 10]
            due = bench.sessions.next_due_at
            assert due is not None
            wait_until_due(lambda due=due: time.monotonic() >= due)
            bench.sessions.catch_up()
        session.end(EndReason.CLIENT_CLOSED, 3, 30)
        kinds = [(one.kind.name, one.usage.octets_in, one.usage.octets_out) for one in records(bench.directory)]
        assert kinds == [("START", 0, 0), ("INTERIM", 1, 10), ("INTERIM", 2, 20), ("STOP", 3, 30)]
        assert bench.sessions.next_due_at is None
        bench.close()

    def test_no_interval_then_no_update(self, bench: Bench) -> None:
        bench.begin("s1").relaying(lambda: (1, 1))
        bench.sessions.catch_up()
        assert events(bench.directory) == [("START", "s1")]
        bench.close()


class TestCarrying:
    def test_long_session_is_carried_on_so_that_old_segments_can_go(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path / "writer", segments=3)
        long = bench.begin("long")
        number = 0
        while bench.journal.segment <= KEEP_SEGMENTS + 1:
            bench.begin(f"s{number}").end(EndReason.CLIENT_CLOSED, 0, 0)
            number += 1
            if bench.sessions.wants_room:
                bench.sessions.extend()
            bench.sessions.catch_up()
        assert events(bench.directory).count(("RUNNING", "long")) == 1
        assert long is not None
        bench.close()

    def test_sessions_that_are_carried_on_all_the_time_do_not_fill_the_journal(self, tmp_path: Path) -> None:
        """More octets of running sessions than KEEP_SEGMENTS can hold."""
        bench = Bench(tmp_path / "writer", segments=40)
        for number in range(8000):
            bench.begin(f"s{number}")
        before = bench.journal.segment
        assert before > KEEP_SEGMENTS
        for _ in range(200):
            bench.sessions.catch_up()
        assert bench.journal.segment == before
        bench.close()


class TestFacts:
    def test_record_survives_packing(self) -> None:
        one = replace(record(Kind.STOP, cause=9), facts=facts("s1", "älice", classes=(b"OU=A;", b"\xff\0")))
        assert unpacked(one.packed()) == one

    def test_what_a_later_version_adds_is_left_out_and_nonsense_is_refused(self) -> None:
        one = record()
        longer = b"\x9a" + one.packed()[1:] + b"\xc0"  # an array of ten
        assert unpacked(longer) == one
        for octets in (b"", b"\x90", b"\xc1", b"\x01\x01", one.packed()[:-1], b"\x99" + b"\xc0" * 9):
            with pytest.raises(ValueError, match="no record"):
                unpacked(octets)

    def test_long_names_are_cut_between_characters_and_classes_are_limited(self) -> None:
        found = tidy(facts("s1", "ä" * 500, classes=(b"x" * 254, b"", *([b"y" * 253] * 20))))
        assert found.user == "ä" * 126
        assert set(found.classes) == {b"y" * 253}
        assert sum(len(one) + 2 for one in found.classes) <= 4096

    def test_name_that_is_no_text_is_taken_all_the_same(self) -> None:
        assert tidy(facts("s1", "a\ud800b")).user == "a?b"

    @pytest.mark.parametrize("session_id", ["x" * (MAX_SESSION_ID + 1), "ä", "a\nb"])
    def test_session_id_that_is_none_is_a_fault_of_ours(self, session_id: str) -> None:
        with pytest.raises(ValueError, match="session id"):
            tidy(facts(session_id))

    def test_largest_facts_fit(self, bench: Bench) -> None:
        largest = facts("x" * MAX_SESSION_ID, "u" * 1000, classes=(b"y" * 253,) * 16)
        bench.sessions.begin(largest).end(EndReason.CLIENT_CLOSED, 2**63, 2**63)
        assert [one.kind.name for one in records(bench.directory)] == ["START", "STOP"]
        bench.close()


def test_no_accounting_takes_everything() -> None:
    session = NO_ACCOUNTING.begin(facts())
    session.relaying(lambda: (1, 1))
    session.end(EndReason.CLIENT_CLOSED, 1, 1)


@pytest.mark.parametrize("reason", EndReason)
def test_every_reason_has_a_cause(reason: EndReason) -> None:
    assert cause_of(reason) in TerminateCause


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (EndReason.CLIENT_CLOSED, 1),
        (EndReason.LOGOUT, 1),
        (EndReason.CLIENT_LOST, 2),
        (EndReason.UPSTREAM_LOST, 3),
        (EndReason.IDLE_TIMEOUT, 4),
        (EndReason.SESSION_TIMEOUT, 5),
        (EndReason.LOGGED_OFF, 6),
        (EndReason.SHUTDOWN, 7),
        (EndReason.INTERNAL_ERROR, 9),
        (EndReason.UPSTREAM_CLOSED, 18),
    ],
)
def test_causes_are_those_of_rfc_2866(reason: EndReason, cause: int) -> None:
    assert cause_of(reason) == cause


def test_a_journal_that_is_full_says_so_to_whoever_appends(tmp_path: Path) -> None:
    with pytest.raises(JournalFull):
        JournalWriter(tmp_path / "none").append(b"x")
