"""A stream: what is told to whom, in which order, how often, and what a silent server costs the others."""

import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.accounting import stream as stream_module
from gateway.accounting.pace import MAX_WINDOW
from gateway.accounting.pace import Timing
from gateway.accounting.records import Kind
from gateway.accounting.spooled import SpooledJournal
from gateway.accounting.stream import Stream
from gateway.accounting.targets import Targets
from gateway.log import Log
from tests.support.accounting_servers import FakeServers
from tests.support.accounting_servers import turn_until
from tests.support.journals import journal
from tests.support.journals import record

FAST = Timing(first_s=0.02, max_s=0.04, forever_s=0.1)


class Bench:
    """One journal, and a stream that reads it."""

    def __init__(self, directory: Path, labels: tuple[str, ...] = ("one",), *, timed: bool = False) -> None:
        self.writer = journal(directory, segments=8)
        self.spooled = SpooledJournal(directory)
        self.servers = FakeServers()
        self._read_end, self._write_end = os.pipe()
        self._labels, self._timed = labels, timed
        self.stream = self.new_stream()

    def new_stream(self) -> Stream:
        """As after the accountant's death."""
        targets = Targets(self._labels, 3, timed=self._timed)
        return Stream("group", targets, self.servers, Log(descriptor=self._write_end), FAST)

    def write(self, *kinds: Kind, session: str = "s1") -> None:
        for kind in kinds:
            self.writer.append(record(kind, session).packed())

    def turn(self) -> None:
        while self.spooled.poll():
            pass
        self.stream.follow([self.spooled])
        self.stream.pump()

    def until(self, condition: Callable[[], object]) -> None:
        self.turn()
        turn_until(self.turn, condition)

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def logged(self) -> str:
        os.set_blocking(self._read_end, False)
        try:
            return os.read(self._read_end, 1 << 16).decode()
        except BlockingIOError:
            return ""

    def close(self) -> None:
        self.writer.close()
        self.spooled.close()
        os.close(self._read_end)
        os.close(self._write_end)


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*labels: str, timed: bool = False) -> Bench:
        made.append(Bench(tmp_path / f"writer{len(made)}", labels or ("one",), timed=timed))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


MakeBench = Callable[..., Bench]


class TestOrder:
    def test_reports_of_one_session_go_one_after_the_other(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        bench.servers.round_trip_s = 0.01
        bench.write(Kind.START, Kind.INTERIM, Kind.INTERIM, Kind.STOP)
        bench.until(lambda: bench.stream.waiting == 0)
        assert [status for _, status, _ in bench.servers.asked] == ["Start", "Interim-Update", "Interim-Update", "Stop"]
        assert bench.servers.most_at_once == 1

    def test_stop_waits_for_start_however_long(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        bench.servers.silent = {"one"}
        bench.write(Kind.START, Kind.STOP)
        bench.run_for(0.3)
        assert {status for _, status, _ in bench.servers.asked} == {"Start"}
        bench.servers.silent.clear()
        bench.until(lambda: bench.stream.waiting == 0)
        assert [status for _, status, _ in bench.servers.told] == ["Start", "Stop"]

    def test_running_records_are_told_to_nobody(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        bench.write(Kind.START, Kind.RUNNING, Kind.STOP)
        bench.until(lambda: len(bench.servers.told) == 2)
        bench.run_for(0.05)
        assert [status for _, status, _ in bench.servers.told] == ["Start", "Stop"]
        assert bench.stream.waiting == 0

    def test_report_that_nobody_acknowledges_holds_up_nobody_else_and_is_tried_for_ever(
        self, make_bench: MakeBench
    ) -> None:
        bench = make_bench()
        bench.servers.unloved = {"s0"}
        for number in range(50):
            bench.write(Kind.START, Kind.STOP, session=f"s{number}")
        bench.until(lambda: len(bench.servers.told) == 98)
        assert bench.stream.waiting == 2
        tries = bench.servers.asked.count(("one", "Start", "s0"))
        bench.until(lambda: bench.servers.asked.count(("one", "Start", "s0")) >= tries + 2)
        bench.servers.unloved.clear()
        bench.until(lambda: bench.stream.waiting == 0)

    def test_report_that_cannot_be_encoded_is_logged_and_given_up(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        bench.servers.impossible = {"s1"}
        bench.write(Kind.START, Kind.STOP)
        bench.write(Kind.START, session="s2")
        bench.until(lambda: bench.stream.waiting == 0)
        assert bench.servers.told == [("one", "Start", "s2")]
        assert bench.logged().count("event=accounting_undeliverable") == 2

    def test_fault_of_ours_loses_no_report(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        faults = iter([ZeroDivisionError("a fault")])

        def deliver(label: str, attributes: object, timeout_s: float) -> bool:
            for fault in faults:
                raise fault
            return bench.servers(label, attributes, timeout_s)  # type: ignore[arg-type]

        bench.stream = Stream(
            "group", Targets(("one",), 3, timed=False), deliver, Log(descriptor=bench._write_end), FAST
        )
        bench.write(Kind.START)
        bench.until(lambda: bench.servers.told)
        assert "event=internal_error" in bench.logged()


class TestAttempts:
    def test_each_attempt_is_the_same_but_for_the_delay(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        bench.servers.silent = {"one"}
        bench.write(Kind.STOP)
        bench.until(lambda: len(bench.servers.requests) >= 4)
        first = {**bench.servers.requests[0], "Acct-Delay-Time": 0}
        assert all({**one, "Acct-Delay-Time": 0} == first for one in bench.servers.requests)

    def test_times_between_attempts_double_and_then_stay_within_ten_percent(self) -> None:
        timing = Timing()
        for attempts, due_s in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 60), (1000, 60)]:
            times = [timing.retry_s(attempts) for _ in range(200)]
            assert min(times) >= due_s * 0.9
            assert max(times) <= due_s * 1.1
            assert max(times) - min(times) > due_s * 0.1  # they do differ

    def test_window_opens_with_answers_and_is_never_too_wide(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        bench.servers.round_trip_s = 0.005
        for number in range(600):
            bench.write(Kind.START, session=f"s{number}")
        bench.until(lambda: bench.stream.waiting == 0)
        assert 8 < bench.servers.most_at_once <= MAX_WINDOW
        assert len(bench.servers.asked) == 600

    def test_server_is_away_then_one_report_at_a_time_asks_for_it(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        for number in range(100):
            bench.write(Kind.START, session=f"s{number}")
        bench.servers.silent = {"one"}
        bench.run_for(0.1)
        asked = len(bench.servers.asked)
        bench.servers.most_at_once = 0
        bench.run_for(0.6)
        assert bench.servers.most_at_once == 1
        assert len({session for *_, session in bench.servers.asked[asked:]}) > 3  # not always the same
        assert "event=accounting_server_failed" in bench.logged()
        bench.servers.silent.clear()
        bench.until(lambda: bench.stream.waiting == 0)
        assert "event=accounting_server_answers" in bench.logged()
        assert sorted(bench.servers.sessions("one", "Start")) == sorted(f"s{number}" for number in range(100))


class TestMemory:
    def test_no_more_than_the_limit_is_loaded_and_all_is_told_in_the_end(
        self, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_module, "MAX_LOADED", 10)
        bench = make_bench()
        bench.servers.silent = {"one"}
        for number in range(3000):
            bench.write(Kind.START, session=f"s{number}")
        bench.turn()
        loaded = len(bench.stream._queues)
        assert loaded < 1200  # the limit, and what one read brings
        assert bench.stream.waiting == 3000
        bench.servers.silent.clear()
        bench.until(lambda: bench.stream.waiting == 0)
        assert len(bench.servers.told) == len(set(bench.servers.told)) == 3000


class TestRestart:
    def test_what_is_acknowledged_is_not_told_again(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        for number in range(20):
            bench.write(Kind.START, session=f"s{number}")
        bench.servers.unloved = {"s3", "s17"}
        bench.until(lambda: len(bench.servers.told) == 18)
        bench.stream = bench.new_stream()
        bench.servers.unloved.clear()
        bench.servers.told.clear()
        bench.servers.asked.clear()
        bench.until(lambda: bench.stream.waiting == 0)
        assert sorted(bench.servers.asked) == [("one", "Start", "s17"), ("one", "Start", "s3")]

    def test_disk_takes_no_mark_then_it_is_told_once_all_the_same(
        self, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = make_bench()
        real_open = os.open

        def refuse(path: str, flags: int, *more: int) -> int:
            if ".acked-" in str(path) and flags & os.O_CREAT:
                raise OSError(28, "No space left on device")
            return real_open(path, flags, *more)

        monkeypatch.setattr(os, "open", refuse)
        bench.write(Kind.START, Kind.STOP)
        bench.until(lambda: bench.stream.waiting == 0)
        bench.run_for(0.05)
        assert [status for _, status, _ in bench.servers.told] == ["Start", "Stop"]


class TestGroupOfServers:
    def test_first_server_is_told_as_long_as_it_answers(self, make_bench: MakeBench) -> None:
        bench = make_bench("one", "two")
        for number in range(20):
            bench.write(Kind.START, session=f"s{number}")
        bench.until(lambda: bench.stream.waiting == 0)
        assert {label for label, *_ in bench.servers.asked} == {"one"}

    def test_first_server_is_silent_then_the_second_takes_over_and_order_is_kept(self, make_bench: MakeBench) -> None:
        bench = make_bench("one", "two")
        bench.servers.silent = {"one"}
        for number in range(20):
            bench.write(Kind.START, Kind.STOP, session=f"s{number}")
        bench.until(lambda: bench.stream.waiting == 0)
        assert len(bench.servers.told) == 40
        for number in range(20):
            statuses = [status for _, status, session in bench.servers.told if session == f"s{number}"]
            assert statuses == ["Start", "Stop"]
        assert {label for label, *_ in bench.servers.told} == {"two"}

    def test_both_are_silent_then_whichever_answers_first_is_told(self, make_bench: MakeBench) -> None:
        for back in ("one", "two"):
            bench = make_bench("one", "two")
            bench.servers.silent = {"one", "two"}
            bench.write(Kind.START, Kind.STOP)
            bench.run_for(0.3)
            assert bench.servers.told == []
            assert {label for label, *_ in bench.servers.asked} == {"one", "two"}
            bench.servers.silent.remove(back)
            bench.until(lambda bench=bench: bench.stream.waiting == 0)
            assert bench.servers.told == [(back, "Start", "s1"), (back, "Stop", "s1")]


class TestTargets:
    """Pure; the times are invented."""

    def test_failed_after_so_many_in_a_row(self) -> None:
        targets = Targets(("one", "two"), 3, timed=False)
        assert [targets.unanswered("one", 0.0) for _ in range(2)] == [False, False]
        assert not targets.answered("one")
        assert [targets.unanswered("one", 0.0) for _ in range(4)] == [False, False, True, False]
        assert targets.choose(0.0) == "two"

    def test_depletion_then_a_failed_server_returns_only_by_an_answer(self) -> None:
        targets = Targets(("one", "two"), 1, timed=False)
        targets.unanswered("one", 0.0)
        assert targets.choose(1e9) == "two"
        targets.unanswered("two", 0.0)
        assert targets.are_down(1e9)
        assert {targets.choose(1e9) for _ in range(2)} == {"one", "two"}
        assert targets.answered("two")
        assert not targets.are_down(0.0)
        assert targets.choose(0.0) == "two"

    def test_timed_then_a_failed_server_returns_after_30_seconds(self) -> None:
        targets = Targets(("one", "two"), 1, timed=True)
        targets.unanswered("one", 100.0)
        assert targets.choose(129.9) == "two"
        assert targets.choose(130.0) == "one"
        targets.unanswered("one", 130.0)
        assert targets.choose(131.0) == "two"
