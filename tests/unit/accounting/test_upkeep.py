"""What is done behind the sessions' backs, in a real hub; and a worker's accounting from a configuration."""

import os
import stat
import time
from collections.abc import Callable
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import gevent
import pytest

from gateway.accounting import journal as journal_module
from gateway.accounting.base import NO_ACCOUNTING
from gateway.accounting.journal import SPARES
from gateway.accounting.journal import JournalWriter
from gateway.accounting.segments import allocate
from gateway.accounting.segments import file_word
from gateway.accounting.segments import group_directory
from gateway.accounting.segments import segment_numbers
from gateway.accounting.segments import spool_directory
from gateway.accounting.segments import writer_name
from gateway.accounting.sessions import JournaledSessions
from gateway.accounting.setup import accounting_groups
from gateway.accounting.setup import make_spool
from gateway.accounting.status import SpoolStatus
from gateway.accounting.status import read_status
from gateway.accounting.status import write_status
from gateway.accounting.upkeep import SYNC_S
from gateway.accounting.upkeep import Upkeep
from gateway.accounting.worker import WorkerAccounting
from gateway.config.model.words import AccountingFull
from gateway.errors import ConfigError
from gateway.errors import Refused
from gateway.log import Log
from gateway.outcome import EndReason
from tests.support.accounting_config import configuration
from tests.support.journals import SHORT_SEGMENT
from tests.support.journals import events
from tests.support.journals import facts


def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        gevent.sleep(0.005)


class Bench:
    def __init__(self, directory: Path, **options: object) -> None:
        self.directory = directory
        self.read_end, self.write_end = os.pipe()
        log = Log(descriptor=self.write_end)
        self.journal = JournalWriter(directory, SHORT_SEGMENT)
        self.upkeep = Upkeep(log)
        self.sessions = JournaledSessions("RAD", self.journal, log, self.upkeep.note, **options)  # type: ignore[arg-type]
        self.upkeep.start([self.sessions])

    def logged(self) -> str:
        os.set_blocking(self.read_end, False)
        try:
            return os.read(self.read_end, 1 << 16).decode()
        except BlockingIOError:
            return ""

    def close(self) -> None:
        self.upkeep.stop()
        self.sessions.close()
        os.close(self.read_end)
        os.close(self.write_end)


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**options: object) -> Bench:
        made.append(Bench(tmp_path / "writer", **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


MakeBench = Callable[..., Bench]


class TestUpkeep:
    def test_spares_are_made_before_they_are_needed(self, make_bench: MakeBench) -> None:
        bench = make_bench()
        bench.upkeep.note()
        until(lambda: not bench.sessions.wants_room)
        assert len(segment_numbers(bench.directory)) == SPARES
        bench.sessions.begin(facts("s1"))
        until(lambda: len(segment_numbers(bench.directory)) == SPARES + 1)

    def test_many_records_are_synced_together_and_none_waits_longer_than_a_moment(
        self, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = make_bench()
        bench.upkeep.note()
        until(lambda: not bench.sessions.wants_room)
        syncs: list[float] = []
        real_sync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", lambda fd: (syncs.append(time.monotonic()), real_sync(fd)))
        for number in range(100):
            bench.sessions.begin(facts(f"s{number}"))
            gevent.sleep(0.003)
        last = time.monotonic()
        until(lambda: not bench.journal.is_dirty)
        assert all(later - earlier >= SYNC_S * 0.9 for earlier, later in pairwise(syncs))
        until(lambda: time.monotonic() > last + 3 * SYNC_S)
        assert 2 <= len(syncs) < 50
        count = len(syncs)
        until(lambda: time.monotonic() > last + 6 * SYNC_S)
        assert len(syncs) == count  # none without a record

    def test_hub_goes_on_while_the_disk_is_slow(self, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = make_bench()
        bench.upkeep.note()
        until(lambda: not bench.sessions.wants_room)
        monkeypatch.setattr(os, "fdatasync", lambda fd: time.sleep(0.3))
        bench.sessions.begin(facts("s1"))
        worst, last = 0.0, time.monotonic()
        for _ in range(60):
            gevent.sleep(0.005)
            worst, last = max(worst, time.monotonic() - last), time.monotonic()
        assert worst < 0.1

    def test_interim_updates_come_of_themselves(self, make_bench: MakeBench) -> None:
        bench = make_bench(interim_update_s=0.05)
        bench.upkeep.note()
        until(lambda: not bench.sessions.wants_room)
        bench.sessions.begin(facts("s1")).relaying(lambda: (1, 2))
        until(lambda: events(bench.directory).count(("INTERIM", "s1")) >= 2)

    def test_disk_is_full_then_logins_are_refused_until_it_is_not(
        self, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = make_bench()

        def refuse(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal_module, "allocate", refuse)
        monkeypatch.setattr("gateway.accounting.upkeep.RETRY_S", 0.05)
        bench.upkeep.note()
        with pytest.raises(Refused, match="no room"):
            bench.sessions.begin(facts("s1"))
        until(lambda: "event=accounting_disk" in bench.logged())
        monkeypatch.setattr(journal_module, "allocate", allocate)
        until(lambda: not bench.sessions.is_behind)
        assert "event=accounting_has_room" in bench.logged()
        bench.sessions.begin(facts("s2")).end(EndReason.CLIENT_CLOSED, 1, 1)
        assert events(bench.directory) == [("START", "s2"), ("STOP", "s2")]

    def test_sync_fails_then_it_is_logged_and_nothing_else_suffers(
        self, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        bench = make_bench()
        bench.upkeep.note()
        until(lambda: not bench.sessions.wants_room)

        def fail(fd: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", fail)
            bench.sessions.begin(facts("s1"))
            until(lambda: "Input/output error" in bench.logged())
        bench.sessions.begin(facts("s2"))
        until(lambda: not bench.journal.is_dirty)
        assert capfd.readouterr().err == ""


class TestSetup:
    def test_only_groups_of_enabled_protocols_are_told(self, tmp_path: Path) -> None:
        assert list(accounting_groups(configuration(tmp_path / "state"))) == ["RAD"]
        assert list(accounting_groups(configuration(tmp_path / "state", group=None))) == []

    @pytest.mark.parametrize(("group", "reason"), [("EMPTY", "has no server"), ("LOCAL", "not of protocol = radius")])
    def test_group_that_cannot_be_told_stops_the_start(self, tmp_path: Path, group: str, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason):
            make_spool(configuration(tmp_path / "state", group=group))

    def test_spool_is_private(self, tmp_path: Path) -> None:
        spool = make_spool(configuration(tmp_path / "state"), os.getuid(), os.getgid())
        assert spool == spool_directory(tmp_path / "state")
        assert spool is not None
        for directory in (spool, group_directory(spool, "RAD"), spool / "last-seen"):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert make_spool(configuration(tmp_path / "state")) == spool  # again at the next start

    def test_no_accounting_then_nothing_is_made(self, tmp_path: Path) -> None:
        assert make_spool(configuration(tmp_path / "state", group=None)) is None
        assert not (tmp_path / "state").exists()

    @pytest.mark.parametrize("name", ["RAD", "../../etc", "a/b", ".", "ä" * 128, "x" * 128])
    def test_any_name_of_a_group_is_one_directory(self, tmp_path: Path, name: str) -> None:
        directory = group_directory(tmp_path, name)
        directory.mkdir()
        assert directory.parent == tmp_path
        assert file_word(name) != file_word(name + "x")

    def test_names_of_writers_sort_by_birth(self) -> None:
        names = [writer_name("worker-0") for _ in range(50)]
        assert names == sorted(names)
        assert len(set(names)) == 50


class TestWorker:
    def test_sessions_of_a_protocol_go_to_its_group(self, tmp_path: Path) -> None:
        config = configuration(tmp_path / "state")
        spool = make_spool(config)
        assert spool is not None
        accounting = WorkerAccounting(config, 3, Log())
        accounting.start()
        accounting.of("imap4s").begin(facts("s1")).end(EndReason.CLIENT_CLOSED, 1, 1)
        assert accounting.of("pop3s") is NO_ACCOUNTING
        (directory,) = group_directory(spool, "RAD").iterdir()
        assert directory.name.endswith("-worker-3")
        accounting.close()
        assert events(directory) == [("START", "s1"), ("STOP", "s1")]

    def test_disk_is_full_at_start_then_the_worker_serves_and_refuses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal_module, "allocate", refuse)
        for full in AccountingFull:
            config = configuration(tmp_path / "state", full=full)
            make_spool(config)
            accounting = WorkerAccounting(config, 0, Log(descriptor=os.open(os.devnull, os.O_WRONLY)))
            accounting.start()
            if full is AccountingFull.DENY:
                with pytest.raises(Refused):
                    accounting.of("imap4s").begin(facts("s1"))
            else:
                assert accounting.of("imap4s").begin(facts("s1")) is NO_ACCOUNTING
            accounting.close()

    def test_spool_cannot_be_used_then_the_worker_does_not_start(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            WorkerAccounting(configuration(tmp_path / "state"), 0, Log()).start()


class TestStatus:
    def test_comes_back_and_sums_up(self, tmp_path: Path) -> None:
        status = SpoolStatus({"RAD": 3, "AD": 4}, {"RAD": 1, "AD": 0}, 1.5)
        write_status(tmp_path, status)
        assert read_status(tmp_path) == status
        assert status.spool_records == 7

    @pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"waiting": 1}'])
    def test_nothing_to_be_read_is_none(self, tmp_path: Path, text: str) -> None:
        assert read_status(tmp_path) is None
        (tmp_path / "status.json").write_text(text)
        assert read_status(tmp_path) is None

    def test_no_place_to_write_is_no_error(self, tmp_path: Path) -> None:
        write_status(tmp_path / "none", SpoolStatus({}, {}, 0.0))
