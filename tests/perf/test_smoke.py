"""The whole suite in its quick form: every chapter, the gateway, every peer that is installed; no timed assertion."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from perf.suite import records
from perf.suite.paths import ROOT
from perf.suite.records import Results
from perf.suite.servers import DovecotProxy
from perf.suite.servers import Haproxy
from perf.suite.servers import Nginx
from perf.suite.servers import Proxy
from perf.suite.servers import Stunnel

PEERS: Mapping[str, type[Proxy]] = {"nginx-64k": Nginx, "dovecot": DovecotProxy, "haproxy": Haproxy, "stunnel": Stunnel}
LIMIT_S = 120  # half a minute on a quiet machine

pytestmark = [pytest.mark.integration, pytest.mark.timeout(LIMIT_S + 30)]


@pytest.fixture(scope="module")
def page(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page, with the results beside it."""
    folder = tmp_path_factory.mktemp("perf")
    command = [sys.executable, "-m", "perf.suite", "run", "--quick", "--rounds", "1", "--workers", "2"]
    done = subprocess.run(
        [*command, "--out", str(folder / "results.jsonl"), "--docs", str(folder)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": "/tmp"},  # short enough for sockets
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return folder


@pytest.fixture(scope="module")
def results(page: Path) -> Results:
    return records.read(page / "results.jsonl")


def test_every_measurement_passes_its_checks(results: Results) -> None:
    assert results.wrong() == []


def test_every_chapter_measures_the_gateway(results: Results) -> None:
    measured = {chapter: set(results.targets(chapter)) for chapter in {record.chapter for record in results.records}}
    assert measured["work"] >= {"gateway", "direct"}
    assert {"gateway-capped"} <= measured["flood"]
    assert all("gateway" in measured[chapter] for chapter in ("idle", "growth", "limits"))
    assert measured["workers"] == {"1", "2"}
    assert measured["table"] == {"1,000 slots", "50,000 slots"}


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_measured_beside_it(results: Results, name: str) -> None:
    absent = PEERS[name].missing()
    if absent:
        pytest.skip(f"{name}: {absent}")
    assert set(results.modes("work")) == {r.mode for r in results.of("work", target=name)}
    assert results.of("flood", "flood", name)
    assert results.of("idle", target=name)


def test_logins_bulk_and_round_trips_cost_time(results: Results) -> None:
    for record in results.of("work"):
        assert record.figures["rate"] > 0, record
        if record.target != "stunnel":  # of threads that end with their sessions only ticks of 10 ms are known
            assert record.figures["cpu_per_unit"] > 0, record


def test_resumed_handshakes_are_resumed(results: Results) -> None:
    """Dovecot's processes do not share their ticket keys: half of its are not."""
    for record in results.of("work", "resumed"):
        if record.target != "dovecot":
            assert record.figures["resumed"] == record.figures["logins"], record


def test_system_calls_are_counted(results: Results) -> None:
    if not results.of("syscalls"):
        pytest.skip("strace is not installed")
    (login,) = results.of("syscalls", "login-one", "gateway")
    assert login.figures["accept4"] >= 1
    assert login.figures["total"] < 200


def test_page_has_every_part_and_picture(page: Path) -> None:
    text = (page / "performance.md").read_text()
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings[:4] == ["Goals", "Logins", "Bulk", "Small round trips"]
    assert "Limits of the machine" in headings
    for name in ("logins.svg", "bulk.svg", "flood.svg", "growth-cpu.svg"):
        assert f"(performance/{name})" in text
        assert (page / "performance" / name).stat().st_size > 1000
