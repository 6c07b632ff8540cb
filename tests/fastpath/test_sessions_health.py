"""The health of AAA servers, as all workers share it."""

import pytest

from gateway._health import Answer
from gateway._health import HealthRecords
from gateway._health import ServerHealth
from gateway._sessions import SessionTable
from tests.support.forks import fork_and_run
from tests.support.forks import wait_for_success

NOW_MS, LATER_MS = 1_000, 601_000


@pytest.fixture
def records() -> HealthRecords:
    return HealthRecords(SessionTable.create(slots=1, workers=1))


def health_of(records: HealthRecords, number: int) -> ServerHealth:
    health = records.health(number)
    assert health is not None
    return health


def test_server_is_found_again_by_its_group_and_label(records: HealthRecords) -> None:
    first = records.register("RAD", "radius1")
    others = [records.register("RAD", "radius2"), records.register("AD", "radius1"), records.register("RA", "Dradius1")]
    assert len({first, *others}) == 4
    records.asked(first)
    assert records.register("RAD", "radius1") == first
    assert health_of(records, first).requests == 1
    assert [(health.group, health.label) for health in records.all()] == [
        ("RAD", "radius1"),
        ("RAD", "radius2"),
        ("AD", "radius1"),
        ("RA", "Dradius1"),
    ]


def test_answers_and_times_are_added_up(records: HealthRecords) -> None:
    server = records.register("RAD", "radius1")
    for answer, rtt_us in zip([0, 0, *Answer], [10, 900, 1, 5, 1, 2], strict=True):
        records.asked(server)
        records.answered(server, answer, rtt_us)
    assert records.all() == [ServerHealth(server, "RAD", "radius1", False, 0, 0, 0, 6, 3, 1, 1, 1, 0, 919, 900)]


def test_server_fails_at_the_last_attempt_and_one_worker_hears_of_it(records: HealthRecords) -> None:
    server = records.register("RAD", "radius1")
    failed_by = [i for i in range(5) if records.timed_out(server, 3, NOW_MS + i, LATER_MS + i)]
    assert failed_by == [2]
    health = health_of(records, server)
    assert (health.failed, health.attempts, health.timeouts) == (True, 5, 5)
    assert (health.since_ms, health.until_ms) == (NOW_MS + 2, LATER_MS + 4)


def test_an_answer_whatever_it_says_clears_the_failed_attempts(records: HealthRecords) -> None:
    server = records.register("RAD", "radius1")
    for answer in Answer:
        for _ in range(2):
            assert not records.timed_out(server, 3, NOW_MS, LATER_MS)
        records.answered(server, answer, 1)
    records.fail(server, NOW_MS, LATER_MS)
    assert health_of(records, server).failed
    records.answered(server, Answer.REJECT, 1)
    assert not health_of(records, server).failed


def test_revived_server_has_all_its_attempts_again(records: HealthRecords) -> None:
    server = records.register("RAD", "radius1")
    assert records.timed_out(server, 1, NOW_MS, LATER_MS)
    records.revive(server)
    assert (health_of(records, server).failed, health_of(records, server).attempts) == (False, 0)
    assert records.timed_out(server, 1, NOW_MS, LATER_MS)


def test_only_one_of_many_processes_makes_it_fail(records: HealthRecords) -> None:
    server, failures = records.register("RAD", "radius1"), records.register("count", "failures")

    def time_out() -> None:
        for _ in range(500):
            if records.timed_out(server, 700, NOW_MS, LATER_MS):
                records.asked(failures)

    wait_for_success([fork_and_run(time_out) for _ in range(3)])
    assert health_of(records, server).timeouts == 1500
    assert health_of(records, failures).requests == 1


def test_long_names_are_cut_for_show_only(records: HealthRecords) -> None:
    numbers = [records.register("ä" * 100, "x" * 80 + end) for end in ("1", "2")]
    assert numbers[0] != numbers[1]
    assert {(health.group, health.label) for health in records.all()} == {("ä" * 32, "x" * 64)}


def test_forgotten_server_makes_room(records: HealthRecords) -> None:
    numbers = [records.register("RAD", f"radius{i}") for i in range(256)]
    with pytest.raises(OverflowError, match="256"):
        records.register("RAD", "one more")
    records.forget(numbers[100])
    assert records.health(numbers[100]) is None
    assert records.register("RAD", "one more") == numbers[100]
    assert health_of(records, numbers[100]).label == "one more"


def test_what_does_not_exist_is_refused(records: HealthRecords) -> None:
    server = records.register("RAD", "radius1")
    for call in (
        lambda: records.health(256),
        lambda: records.asked(-1),
        lambda: records.answered(server, 4, 1),
        lambda: records.answered(server, -1, 1),
        lambda: records.forget(1000),
    ):
        with pytest.raises(ValueError, match=r"no AAA server|not an answer"):
            call()
