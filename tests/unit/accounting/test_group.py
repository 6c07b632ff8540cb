"""A group in the accountant: what is found, who has died, what they leave behind, what the servers hear of it."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import gevent
import pytest

from gateway.accounting import group as group_module
from gateway.accounting import node as node_module
from gateway.accounting.attributes import Attributes
from gateway.accounting.causes import TerminateCause
from gateway.accounting.group import Group
from gateway.accounting.journal import JournalFull
from gateway.accounting.journal import JournalWriter
from gateway.accounting.last_seen import KEPT_S
from gateway.accounting.last_seen import LastSeen
from gateway.accounting.last_seen import collect
from gateway.accounting.last_seen import leave
from gateway.accounting.last_seen import make_place
from gateway.accounting.node import NODE_SESSION
from gateway.accounting.node import Node
from gateway.accounting.pace import Timing
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record
from gateway.accounting.records import Usage
from gateway.accounting.segments import DATA_START
from gateway.accounting.segments import claim
from gateway.accounting.segments import segment_numbers
from gateway.accounting.segments import segment_path
from gateway.accounting.spooled import SpooledJournal
from gateway.accounting.stream import Stream
from gateway.accounting.targets import Targets
from gateway.log import Log
from tests.support.accounting_servers import FakeServers
from tests.support.accounting_servers import turn_until
from tests.support.journals import abandon
from tests.support.journals import facts
from tests.support.journals import journal
from tests.support.journals import record
from tests.support.journals import records

FAST = Timing(first_s=0.02, max_s=0.04, forever_s=0.1)
OLDER, NEWER = "0001-worker", "0003-worker"  # than the node
NODE = "0002-node"


class Bench:
    """A group's directory, its servers, and one accountant after the other."""

    def __init__(self, spool: Path, labels: tuple[str, ...], *, simultaneous: bool) -> None:
        self.spool = spool
        self.directory = spool / "group-RAD"
        self.directory.mkdir()
        self.servers = FakeServers()
        self._read_end, self._write_end = os.pipe()
        self._generation = 0
        self._destinations = [(one,) for one in labels] if simultaneous else [labels]
        self.group = self.new_group()

    def new_group(self, node: str = NODE, **options: float) -> Group:
        """As after the accountant's death."""
        log = Log(descriptor=self._write_end)
        self._generation += 1
        deliver = partial(self._deliver, self._generation)
        streams = [
            Stream(labels[0], Targets(labels, 3, timed=False), deliver, log, FAST) for labels in self._destinations
        ]
        return Group("RAD", self.directory, Node(self.directory, node, **options), streams, log)

    def _deliver(self, generation: int, label: str, attributes: Attributes, timeout_s: float) -> bool:
        if generation != self._generation:
            raise gevent.GreenletExit  # the dead send nothing
        return self.servers(label, attributes, timeout_s)

    def restart(self, node: str = NODE, *, as_node: bool = False) -> None:
        self.group.close()
        self.group = self.new_group(node)
        self.group.start(as_node=as_node)

    def writer(self, name: str, *kinds: Kind, session: str = "s1") -> JournalWriter:
        writer = journal(self.directory / name)
        for kind in kinds:
            writer.append(record(kind, session).packed())
        return writer

    def until(self, condition: Callable[[], object]) -> None:
        self.group.tick()
        turn_until(self.group.tick, condition)

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def told(self) -> list[tuple[str, str]]:
        return [(status, session) for _, status, session in self.servers.told]

    def writers(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def logged(self) -> str:
        os.set_blocking(self._read_end, False)
        try:
            return os.read(self._read_end, 1 << 16).decode()
        except BlockingIOError:
            return ""

    def close(self) -> None:
        self.group.close()
        os.close(self._read_end)
        os.close(self._write_end)


MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    monkeypatch.setattr(group_module, "LAST_WORDS_S", 0.05)
    made: list[Bench] = []

    def make(*labels: str, simultaneous: bool = False) -> Bench:
        made.append(Bench(tmp_path, labels or ("one",), simultaneous=simultaneous))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench()


class TestDeath:
    def test_worker_lives_then_its_sessions_run_and_nothing_is_removed(self, bench: Bench) -> None:
        writer = bench.writer(NEWER, Kind.START)
        bench.until(lambda: bench.told() == [("Start", "s1")])
        bench.run_for(0.2)
        assert bench.told() == [("Start", "s1")]
        assert bench.group.running == 1
        assert bench.group.is_busy
        assert bench.writers() == [NEWER]
        writer.close()

    def test_worker_dies_then_what_ran_ends_with_nas_error_once_and_its_directory_goes(self, bench: Bench) -> None:
        writer = bench.writer(NEWER, Kind.START, Kind.STOP, session="done")
        for name in ("a", "b"):
            writer.append(record(Kind.START, name).packed())
        bench.until(lambda: len(bench.told()) == 4)
        abandon(writer)
        bench.until(lambda: bench.writers() == [])
        assert Counter(bench.told()) == Counter(
            (status, name) for status in ("Start", "Stop") for name in ("done", "a", "b")
        )
        stops = {one["Acct-Session-Id"]: one for one in bench.servers.requests if one["Acct-Status-Type"] == "Stop"}
        assert stops["a"]["Acct-Terminate-Cause"] == TerminateCause.NAS_ERROR
        assert stops["a"]["User-Name"] == "alice"
        assert bench.group.waiting == 0
        assert not bench.group.is_busy
        assert "event=accounting_sessions_ended" in bench.logged()

    def test_worker_ends_in_order_then_its_directory_goes_before_anybody_would_be_buried(self, bench: Bench) -> None:
        writer = bench.writer(NEWER, Kind.START, Kind.STOP)
        bench.until(lambda: bench.group.waiting == 0)
        abandon(writer)
        bench.until(lambda: bench.writers() == [])
        bench.run_for(0.1)
        assert bench.told() == [("Start", "s1"), ("Stop", "s1")]
        assert "event=accounting_sessions_ended" not in bench.logged()

    def test_end_is_at_the_last_activity_that_the_journal_knows(self, bench: Bench) -> None:
        writer = bench.writer(NEWER, Kind.START)
        at, usage = Moment(1_700_000_060, 1060.5), Usage(60, 5, 6)
        writer.append(Record(Kind.INTERIM, "s1", at, usage, facts=facts("s1")).packed())
        abandon(writer)
        bench.until(lambda: ("Stop", "s1") in bench.told())
        stop = bench.servers.requests[-1]
        assert stop["Event-Timestamp"] == 1_700_000_060
        assert (stop["Acct-Session-Time"], stop["Acct-Input-Octets"], stop["Acct-Output-Octets"]) == (60, 5, 6)

    def test_master_has_seen_more_then_the_end_says_so(self, bench: Bench) -> None:
        make_place(bench.spool, -1, -1)
        writer = bench.writer(NEWER, Kind.START)
        bench.until(bench.told)
        abandon(writer)
        bench.group.tick()
        leave(bench.spool, [LastSeen("s1", 1900.9, 7, 8)])  # the session began at 1000.5
        bench.until(lambda: ("Stop", "s1") in bench.told())
        stop = bench.servers.requests[-1]
        assert stop["Event-Timestamp"] == 1_700_000_900
        assert (stop["Acct-Session-Time"], stop["Acct-Input-Octets"], stop["Acct-Output-Octets"]) == (900, 7, 8)

    def test_master_has_seen_less_than_the_journal_then_the_journal_counts(self, bench: Bench) -> None:
        make_place(bench.spool, -1, -1)
        leave(bench.spool, [LastSeen("s1", 1010.0, 1, 1)])
        writer = bench.writer(NEWER, Kind.START)
        interim = Record(Kind.INTERIM, "s1", Moment(1_700_000_060, 1060.5), Usage(60, 5, 6), facts=facts("s1"))
        writer.append(interim.packed())
        abandon(writer)
        bench.until(lambda: ("Stop", "s1") in bench.told())
        stop = bench.servers.requests[-1]
        assert stop["Event-Timestamp"] == 1_700_000_060
        assert (stop["Acct-Session-Time"], stop["Acct-Input-Octets"], stop["Acct-Output-Octets"]) == (60, 5, 6)

    def test_accountant_dies_at_any_point_of_writing_the_ends_then_there_is_one_for_each(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"s{number}" for number in range(6)]
        writer = bench.writer(NEWER)
        for name in names:
            writer.append(record(Kind.START, name).packed())
        abandon(writer)
        real_append = JournalWriter.append
        for survived in (0, 1, 3):
            appended = iter(range(survived))

            def dying(self: JournalWriter, payload: bytes, keep: int = 0, appended: Iterator[int] = appended) -> None:
                if next(appended, None) is None:
                    raise SystemExit("killed")
                real_append(self, payload, keep)

            monkeypatch.setattr(JournalWriter, "append", dying)
            with pytest.raises(SystemExit):
                bench.run_for(1.0)
            monkeypatch.setattr(JournalWriter, "append", real_append)
            bench.restart()
        bench.until(lambda: bench.writers() == [])
        assert sorted(bench.servers.sessions("one", "Stop")) == names

    def test_journal_is_torn_then_ends_are_written_over_the_rest(self, bench: Bench) -> None:
        writer = bench.writer(NEWER, Kind.START)
        abandon(writer)
        path = segment_path(bench.directory / NEWER, 1)
        octets = path.read_bytes()
        end = DATA_START + 8 + len(record().packed())
        path.write_bytes(octets[:end] + octets[DATA_START : end - 3] + bytes(len(octets) - 2 * end + DATA_START + 3))
        bench.until(lambda: ("Stop", "s1") in bench.told())
        assert bench.told() == [("Start", "s1"), ("Stop", "s1")]

    def test_damage_is_logged_and_costs_one_record(self, bench: Bench) -> None:
        writer = bench.writer(NEWER, Kind.START, session="s1")
        for name in ("s2", "s3"):
            writer.append(record(Kind.START, name).packed())
        abandon(writer)
        path = segment_path(bench.directory / NEWER, 1)
        octets = bytearray(path.read_bytes())
        octets[DATA_START + len(record().packed()) + 8 + 20] ^= 0xFF
        path.write_bytes(octets)
        bench.until(lambda: bench.writers() == [])
        assert sorted(bench.told()) == [("Start", "s1"), ("Start", "s3"), ("Stop", "s1"), ("Stop", "s3")]
        assert bench.logged().count("event=accounting_journal_damaged") == 1

    def test_disk_refuses_the_ends_then_others_are_served_and_it_is_tried_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise JournalFull("no segment is left")

        abandon(bench.writer(OLDER, Kind.START, session="dead"))
        living = bench.writer(NEWER, Kind.START, session="living")
        with monkeypatch.context() as full:
            full.setattr(JournalWriter, "take_over", refuse)
            bench.run_for(0.3)
        assert sorted(bench.told()) == [("Start", "dead"), ("Start", "living")]
        assert bench.logged().count("event=accounting_trouble") == 1
        bench.until(lambda: ("Stop", "dead") in bench.told())
        living.close()


class TestRemoval:
    def test_dead_writer_whose_records_are_not_read_yet_then_nothing_is_removed(self, bench: Bench) -> None:
        """It may have written between the last look at its journal and its death."""
        abandon(bench.writer(NEWER, Kind.START, Kind.STOP))
        journal = SpooledJournal(bench.directory / NEWER)
        assert journal.notice_death()
        assert not journal.is_over
        assert journal.retire(lambda _: True) == []
        while journal.poll():
            pass
        assert journal.retire(lambda _: True) == [1, 2]
        assert journal.is_gone
        journal.close()

    def test_segments_go_once_told_but_for_that_which_is_written(self, bench: Bench) -> None:
        writer = journal(bench.directory / NEWER, segments=4)
        number = 0
        while writer.segment < 3:
            for kind in (Kind.START, Kind.STOP):
                writer.append(record(kind, f"s{number}").packed())
            number += 1
        bench.servers.silent = {"one"}
        bench.run_for(0.2)
        assert segment_numbers(writer.directory) == [1, 2, 3, 4]
        bench.servers.silent.clear()
        bench.until(lambda: segment_numbers(writer.directory) == [3, 4])
        bench.until(lambda: bench.group.waiting == 0)
        assert len(bench.told()) == 2 * number
        assert not list(writer.directory.glob("0000000[12].*"))
        writer.close()

    def test_session_runs_then_the_segment_of_its_last_record_stays(self, bench: Bench) -> None:
        writer = journal(bench.directory / NEWER, segments=5)
        writer.append(record(Kind.START, "long").packed())
        filler = record(Kind.START, "filler").packed()
        while writer.segment < 3:
            writer.append(filler)
            writer.append(record(Kind.STOP, "filler").packed())
        bench.until(lambda: bench.group.waiting == 0)
        assert segment_numbers(writer.directory) == [1, 2, 3, 4, 5]
        writer.append(record(Kind.RUNNING, "long").packed())
        bench.until(lambda: segment_numbers(writer.directory) == [3, 4, 5])
        abandon(writer)
        bench.until(lambda: ("Stop", "long") in bench.told())
        assert Counter(bench.told())["Stop", "long"] == Counter(bench.told())["Start", "long"] == 1

    def test_accountant_restarts_then_nothing_is_told_twice_and_the_count_is_right(self, bench: Bench) -> None:
        writer = bench.writer(NEWER)
        for number in range(30):
            writer.append(record(Kind.START, f"s{number}").packed())
        bench.servers.unloved = {"s7"}
        bench.until(lambda: bench.group.waiting == 1)
        bench.restart()
        bench.group.tick()
        assert bench.group.waiting == 1
        assert bench.group.running == 30
        bench.run_for(0.1)
        assert len(bench.told()) == 29
        writer.close()

    def test_empty_directory_is_removed_and_a_newborn_writer_makes_another(self, bench: Bench) -> None:
        """Whoever takes the lock first: never does a writer keep a directory that is gone."""
        for _ in range(100):
            descriptors: list[int] = []
            birth = threading.Thread(target=lambda found=descriptors: found.append(claim(bench.directory / NEWER)))
            birth.start()
            while birth.is_alive():
                bench.group.tick()
            assert (bench.directory / NEWER).stat().st_ino == os.fstat(descriptors[0]).st_ino
            os.close(descriptors[0])
        bench.until(lambda: bench.writers() == [])


class TestSimultaneous:
    def test_each_server_is_told_everything_at_its_own_pace(self, make_bench: MakeBench) -> None:
        bench = make_bench("one", "two", simultaneous=True)
        bench.servers.silent = {"two"}
        abandon(bench.writer(NEWER, Kind.START))
        bench.until(lambda: bench.servers.sessions("one", "Stop") == ["s1"])
        bench.run_for(0.1)
        assert bench.group.waiting == 2
        assert bench.writers() == [NEWER]
        bench.servers.silent.clear()
        bench.until(lambda: bench.writers() == [])
        for label in ("one", "two"):
            assert [what for where, *what in bench.servers.told if where == label] == [["Start", "s1"], ["Stop", "s1"]]

    def test_accountant_restarts_then_each_server_gets_what_it_lacks(self, make_bench: MakeBench) -> None:
        bench = make_bench("one", "two", simultaneous=True)
        bench.servers.silent = {"two"}
        writer = bench.writer(NEWER, Kind.START)
        bench.until(lambda: bench.servers.told)
        bench.servers.silent.clear()
        bench.restart()
        bench.until(lambda: bench.group.waiting == 0)
        assert bench.servers.told == [("one", "Start", "s1"), ("two", "Start", "s1")]
        writer.close()


class TestNode:
    def test_gateway_starts_then_accounting_on_comes_before_its_sessions(self, bench: Bench) -> None:
        bench.servers.round_trip_s = 0.1
        writer = bench.writer(NEWER, Kind.START)
        bench.group.start(as_node=True)
        bench.until(lambda: len(bench.told()) == 2)
        assert bench.told() == [("Accounting-On", NODE_SESSION), ("Start", "s1")]
        assert bench.servers.most_at_once == 1
        writer.close()

    def test_what_was_left_behind_ends_with_nas_reboot_whether_accounting_on_is_answered_or_not(
        self, bench: Bench
    ) -> None:
        bench.servers.unloved = {NODE_SESSION}
        abandon(bench.writer(OLDER, Kind.START))
        bench.group.start(as_node=True)
        bench.until(lambda: len(bench.told()) == 2)
        assert bench.told() == [("Start", "s1"), ("Stop", "s1")]
        assert bench.servers.requests[-1]["Acct-Terminate-Cause"] == TerminateCause.NAS_REBOOT

    def test_accounting_on_goes_unanswered_then_sessions_wait_no_longer_than_the_gate(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.servers.unloved = {NODE_SESSION}
        bench.group.close()
        bench.group = bench.new_group(gate_s=0.3)
        writer = bench.writer(NEWER, Kind.START)
        began = time.monotonic()
        bench.group.start(as_node=True)
        bench.group.tick()
        assert bench.group.waiting == 2  # what is held back waits, too
        bench.until(bench.told)
        assert time.monotonic() - began >= 0.3
        assert node_module.GATE_S == 30
        writer.close()

    def test_only_the_accountant_has_died_then_no_accounting_on_and_the_ends_say_nas_error(self, bench: Bench) -> None:
        abandon(bench.writer(NEWER, Kind.START))
        bench.group.start(as_node=False)
        bench.until(lambda: len(bench.told()) == 2)
        assert bench.told() == [("Start", "s1"), ("Stop", "s1")]
        assert bench.servers.requests[-1]["Acct-Terminate-Cause"] == TerminateCause.NAS_ERROR

    def test_workers_of_an_older_gateway_still_serve_then_no_accounting_on(self, bench: Bench) -> None:
        writer = bench.writer(OLDER, Kind.START)
        bench.group.start(as_node=True)
        bench.until(bench.told)
        bench.run_for(0.1)
        assert bench.told() == [("Start", "s1")]
        assert bench.group.running == 1
        writer.close()

    def test_gateway_ends_then_accounting_off_is_last_and_survives_until_it_is_told(self, bench: Bench) -> None:
        bench.group.start(as_node=True)
        abandon(bench.writer(NEWER, Kind.START, Kind.STOP))
        bench.until(lambda: not bench.group.is_busy)
        bench.servers.silent = {"one"}
        bench.group.go_down()
        gevent.sleep(0.05)
        bench.servers.silent.clear()
        bench.restart("0004-node", as_node=True)
        bench.until(lambda: len(bench.told()) == 5)
        on, off = ("Accounting-On", NODE_SESSION), ("Accounting-Off", NODE_SESSION)
        assert bench.told() == [on, ("Start", "s1"), ("Stop", "s1"), off, on]
        bench.until(lambda: bench.writers() == ["0004-node"])

    def test_accountant_that_came_later_says_accounting_off_too(self, bench: Bench) -> None:
        bench.group.start(as_node=False)
        bench.group.go_down()
        bench.until(lambda: bench.told() == [("Accounting-Off", NODE_SESSION)])


class TestLastSeen:
    def test_nothing_seen_then_no_file(self, tmp_path: Path) -> None:
        make_place(tmp_path, -1, -1)
        leave(tmp_path, [])
        assert collect(tmp_path) == {}
        assert list((tmp_path / "last-seen").iterdir()) == []

    def test_old_files_are_removed_and_broken_ones_passed_over(self, tmp_path: Path) -> None:
        make_place(tmp_path, -1, -1)
        leave(tmp_path, [LastSeen("s1", 2.5, 4, 5)])
        (old,) = (tmp_path / "last-seen").iterdir()
        long_ago = time.time() - KEPT_S - 1
        os.utime(old, (long_ago, long_ago))
        (tmp_path / "last-seen" / "broken.seen").write_bytes(b"\xc1")
        leave(tmp_path, [LastSeen("s2", 2.5, 4, 5)])
        assert collect(tmp_path) == {"s2": LastSeen("s2", 2.5, 4, 5)}
        assert not old.exists()

    def test_no_place_then_nothing_is_known(self, tmp_path: Path) -> None:
        assert collect(tmp_path) == {}


def test_journals_of_the_bench_are_what_they_seem(bench: Bench) -> None:
    abandon(bench.writer(NEWER, Kind.START, Kind.STOP))
    assert [one.kind for one in records(bench.directory / NEWER)] == [Kind.START, Kind.STOP]
