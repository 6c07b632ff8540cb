"""From measurements to the page: the file of results, the goals, the tables, the pictures."""

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest

from perf.suite import records
from perf.suite.chapters.syscalls import parse
from perf.suite.goals import GOALS
from perf.suite.load import LoadFailed
from perf.suite.load import drive
from perf.suite.load import flat
from perf.suite.plots import PICTURES
from perf.suite.records import Record
from perf.suite.records import Results
from perf.suite.report import goal_row
from perf.suite.report import page
from perf.suite.report import write_page
from perf.suite.spread import Spread
from perf.suite.svg import Bar
from perf.suite.svg import Panel
from perf.suite.svg import Series
from perf.suite.svg import bar_chart
from perf.suite.svg import line_chart

HEAD = {"machine": "2 cores", "quick": "no"}
GOALS_BY_NAME = {goal.what: goal for goal in GOALS}


def work(mode: str, target: str, *cpu: float, wrong: tuple[str, ...] = (), others: float = 0.0) -> list[Record]:
    figures = {
        "rate": 1000.0,
        "stolen": 0.0,
        "others": others,
        "login_ms.p50": 1.0,
        "login_ms.p95": 2.0,
        "login_ms.p99": 3.0,
    }
    return [Record("work", mode, target, turn, {**figures, "cpu_per_unit": one}, wrong) for turn, one in enumerate(cpu)]


def results(*groups: list[Record]) -> Results:
    return Results(HEAD, tuple(record for group in groups for record in group))


def test_results_survive_the_file() -> None:
    given = [*work("login", "gateway", 1.5), *work("login", "nginx", 2.5, wrong=("lost a login",))]
    file = io.StringIO()
    records.write_head(file, HEAD)
    for record in given:
        records.write(file, record)
    assert records.parse(file.getvalue().splitlines(), "f") == Results(HEAD, tuple(given))


@pytest.mark.parametrize("line", ["", '{"chapter": "work"}'], ids=["empty", "no head"])
def test_file_without_a_head_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no head"):
        records.parse(line.splitlines(), "f")


def test_record_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record"):
        records.parse(['{"head": {}}', '{"chapter": "work", "mode": 1}'], "f")


def test_goal_compares_with_the_best_peer_round_by_round() -> None:
    measured = results(
        work("login", "gateway", 0.8, 1.6),
        work("login", "nginx", 1.0, 2.0),
        work("login", "haproxy", 2.0, 4.0),
        work("login", "stunnel", 0.1, 0.1),  # not among those that count for logins
    )
    row = goal_row(measured, GOALS_BY_NAME["CPU per login, IMAP"])
    assert row[2:] == ["0.80 [0.80, 0.80]", "nginx", "yes"]


def test_goal_is_not_reached_by_a_measurement_that_failed_its_checks() -> None:
    measured = results(work("login", "gateway", 0.1, wrong=("lost a login",)), work("login", "nginx", 1.0))
    assert goal_row(measured, GOALS_BY_NAME["CPU per login, IMAP"])[2] == "not measured"


def test_goals_have_names_of_their_own_and_answers_for_no_figures() -> None:
    assert len(GOALS_BY_NAME) == len(GOALS)
    assert {goal_row(results(), goal)[2] for goal in GOALS} == {"not measured"}


def test_goal_of_the_flood_counts_only_what_the_flood_adds() -> None:
    """Calm: 0.1 cores. Flood: 3 s of CPU in 10 s, so 2 s for 20,000 connections: 100 us each; nginx half."""

    def flood(target: str, mode: str, cpu_s: float, started: float) -> Record:
        figures = {"cpu_s": cpu_s, "seconds": 10.0, "cores": cpu_s / 10, "flood_started": started}
        return Record("flood", mode, target, 0, figures)

    measured = results(
        [flood("gateway-capped", "calm", 1.0, 0.0), flood("gateway-capped", "flood", 3.0, 20_000.0)],
        [flood("nginx", "calm", 1.0, 0.0), flood("nginx", "flood", 2.0, 20_000.0)],
    )
    row = goal_row(measured, GOALS_BY_NAME["flood: CPU per silent connection"])
    assert row[2:] == ["2.00", "nginx", "no"]


def test_page_shows_figures_goals_and_what_failed(tmp_path: Path) -> None:
    measured = results(
        work("login", "gateway", 0.8, 0.9),
        work("login", "nginx", 1.0, 1.0),
        work("login", "gateway again", 0.8, 0.99),
        work("login", "haproxy", 1.0, wrong=("the mail server saw 7 logins, the load 8",)),
    )
    write_page(measured, tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "| machine | 2 cores |" in text
    assert "| CPU per login, IMAP | 0.85 of the better of nginx and HAProxy | 0.85 [0.80, 0.90] | nginx |" in text
    assert "- work, login, haproxy, round 1: the mail server saw 7 logins, the load 8" in text
    assert "| nginx | 1.00 [1.00, 1.00] |" in text
    assert "| haproxy |" not in text
    assert "| login | 1.05 [1.00, 1.10] |" in text  # the noise
    assert "quick run" not in text
    assert "![logins](performance/logins.svg)" in text
    assert "gateway" in (tmp_path / "performance" / "logins.svg").read_text()


def test_page_of_a_restless_machine_says_so() -> None:
    assert "not quiet" in "".join(page(results(work("login", "gateway", 1.0, others=0.4)), []))
    assert "not quiet" not in "".join(page(results(work("login", "gateway", 1.0, others=0.05)), []))


def test_part_without_figures_is_left_out() -> None:
    headings = [line for line in page(results(work("login", "gateway", 1.0)), []) if line.startswith("## ")]
    assert [heading.split("\n")[0] for heading in headings] == ["## Goals", "## Logins"]


def test_page_of_a_quick_run_says_so(tmp_path: Path) -> None:
    write_page(Results({"quick": "yes"}), tmp_path)
    assert "these figures mean nothing" in (tmp_path / "performance.md").read_text()


def test_pictures_without_figures_are_left_out() -> None:
    assert [draw(results()) for draw in PICTURES.values()] == [None] * len(PICTURES)


def parsed(svg: str) -> ElementTree.Element:
    """ParseError when it is not well-formed."""
    return ElementTree.fromstring(svg)  # noqa: S314 - written by the code under test


def rectangles(svg: str) -> list[float]:
    """The widths of the bars."""
    found = parsed(svg).iter("{http://www.w3.org/2000/svg}rect")
    return [float(one.attrib["width"]) for one in found if one.attrib["width"] != "100%"]


def test_bars_are_as_long_as_their_values() -> None:
    bars = [Bar("a", Spread(1, 1, 1, 1), ours=True), Bar("b", Spread(2, 2, 2, 1))]
    one, two = rectangles(bar_chart("title", [Panel("panel", bars)]))
    assert two == pytest.approx(2 * one, rel=0.01)


def test_bar_that_dwarfs_the_others_is_cut_off_and_says_so() -> None:
    bars = [Bar("a", Spread(1, 1, 1, 1)), Bar("b", Spread(2, 2, 2, 1)), Bar("c", Spread(90, 90, 90, 1))]
    svg = bar_chart("title", [Panel("panel", bars)])
    one, two, cut = rectangles(svg)
    assert two == pytest.approx(2 * one, rel=0.01)
    assert cut == two
    assert svg.count("(cut off)") == 1


def test_charts_escape_what_they_are_given() -> None:
    spread = Spread(0, 0, 0, 1)
    bars = bar_chart("<&", [Panel("<b>", [Bar('"&<', spread)])])
    lines = line_chart("<&", "<", ">", [Series("&", [(0.0, spread), (5.0, spread)])])
    assert {"<&", "<b>", '"&<'} <= set(parsed(bars).itertext())
    assert {"<&", "<", ">", "&"} <= set(parsed(lines).itertext())


def test_strace_table_is_read_with_and_without_errors() -> None:
    table = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000120          12        10           sendto
 40.00    0.000080           4        20         3 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.000200           6        30         3 total
"""
    assert parse(table) == {"sendto": 10, "recvfrom": 20, "total": 30}
    with pytest.raises(ValueError, match="no table"):
        parse("strace: Process 1 detached\n")


def test_numbers_of_the_load_get_dotted_names() -> None:
    assert dict(flat({"mode": "login", "n": 3, "login_ms": {"p50": 1.5}})) == {"n": 3.0, "login_ms.p50": 1.5}


@pytest.mark.parametrize(
    ("script", "says"),
    [("echo broken >&2; exit 3", "broken"), ("exit 3", "exit code 3"), ("exec sleep 9", "exit code -9")],
    ids=["says why", "says nothing", "takes too long"],
)
@pytest.mark.parametrize("gate", [[], ["-g"]], ids=["without a gate", "with one"])
def test_load_that_ends_without_a_result_is_reported(script: str, says: str, gate: list[str]) -> None:
    with pytest.raises(LoadFailed, match=says):
        drive(["sh", "-c", script, *gate], lambda: None, lambda: None, timeout_s=0.5)
