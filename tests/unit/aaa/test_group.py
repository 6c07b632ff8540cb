"""Server groups: what the configuration promises, by examples, and against a model in which logins overlap.

Each fake server hands control to the test when it is asked, so a login can be left there, and others begun meanwhile.
The clock is the test's. Two groups on one board stand for two workers.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

import pytest
from greenlet import getcurrent
from greenlet import greenlet
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import consumes
from hypothesis.stateful import initialize
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from gateway._health import Answer
from gateway._health import HealthRecords
from gateway._sessions import SessionTable
from gateway.aaa.base import Challenge
from gateway.aaa.base import Challenged
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import ServerFailed
from gateway.aaa.group import TIMED_S
from gateway.aaa.group import ServerGroup
from gateway.aaa.health import HealthBoard
from gateway.aaa.health import OwnHealth
from gateway.aaa.health import Reply
from gateway.config.model.aaa import AaaServerGroup
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import Reactivation
from gateway.errors import Refused
from gateway.errors import SessionEnded
from gateway.log import Log
from gateway.outcome import EndReason
from gateway.outcome import Refusal

FACTS = ClientFacts("imap4s", "outside", "192.0.2.1", None)
DEADTIME_S = 600.0
PATIENCE_S = 60.0
ANSWER = Identity("alice", "MAIL")
WRONG = Refused(Refusal.BAD_CREDENTIALS, "wrong password")
CHALLENGED = Challenged(Challenge("one", "code?", b"state"))
SILENCE = ServerFailed("no answer in time")
LEFT = SessionEnded(EndReason.CLIENT_CLOSED)
Outcome = Identity | Exception


def shared_memory() -> HealthBoard:
    return HealthRecords(SessionTable.create(slots=1, workers=1))


class FakeServer:
    """Switches to who began or resumed the login, and does what it is told when it is switched back to."""

    def __init__(self, label: str) -> None:
        self.label = label

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        return self._outcome()

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        return self._outcome()

    def _outcome(self) -> Identity:
        me = getcurrent()
        assert me.parent is not None
        outcome: Outcome = me.parent.switch(self.label)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Login:
    """One login in a greenlet of its own. asks: the server that waits for an outcome; None: it is over."""

    def __init__(self, group: ServerGroup, deadline: float) -> None:
        self._group = group
        self._deadline = deadline
        self.asked: list[str] = []
        self.result: Outcome | None = None
        self._greenlet = greenlet(self._run)
        self._step(None)

    @property
    def asks(self) -> str | None:
        return None if self._greenlet.dead else self.asked[-1]

    def resume(self, outcome: Outcome) -> None:
        self._step(outcome)

    def refusal(self) -> Refusal:
        assert isinstance(self.result, Refused), self.result
        return self.result.refusal

    def _run(self, _: None) -> None:
        try:
            self.result = self._group.authenticate("alice", b"secret", FACTS, self._deadline)
        except Exception as error:  # noqa: BLE001  it is what the test looks at
            self.result = error

    def _step(self, outcome: Outcome | None) -> None:
        self._greenlet.parent = getcurrent()
        label = self._greenlet.switch(outcome)
        if not self._greenlet.dead:
            self.asked.append(label)


@dataclass
class Desk:
    """A group, and the clock that it goes by."""

    reactivation: Reactivation = Reactivation.DEPLETION
    max_attempts: int = 2
    deadtime_s: float | None = DEADTIME_S
    labels: tuple[str, ...] = ("one", "two", "three")
    board: HealthBoard = field(default_factory=OwnHealth)
    log_fd: int = -1
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.group = self.another_worker()

    def another_worker(self) -> ServerGroup:
        configured = AaaServerGroup(
            name="GROUP",
            protocol=AaaProtocol.LDAP,
            reactivation_mode=self.reactivation,
            deadtime_s=self.deadtime_s,
            max_failed_attempts=self.max_attempts,
        )
        servers = [FakeServer(label) for label in self.labels]
        return ServerGroup(configured, servers, self.board, Log(descriptor=self.log_fd), lambda: self.now)

    def login(self, *outcomes: Outcome, patience_s: float = PATIENCE_S, group: ServerGroup | None = None) -> Login:
        """Begin one; each server that is asked gives the next outcome, and the one after the last is left waiting."""
        login = Login(group or self.group, self.now + patience_s)
        for outcome in outcomes:
            login.resume(outcome)
        return login

    def silence(self, label: str) -> None:
        """As many logins as it takes find out that this server does not answer; the next one answers them."""
        for _ in range(self.max_attempts):
            login = self.login()
            assert login.asks == label
            login.resume(SILENCE)
            if login.asks is not None:
                login.resume(ANSWER)

    def silence_all(self) -> None:
        for label in self.labels:
            self.silence(label)


@pytest.fixture(params=[OwnHealth, shared_memory])
def board(request: pytest.FixtureRequest) -> HealthBoard:
    make: Callable[[], HealthBoard] = request.param
    return make()


@pytest.fixture(params=Reactivation)
def desk(request: pytest.FixtureRequest, board: HealthBoard) -> Desk:
    return Desk(reactivation=request.param, board=board)


@pytest.fixture
def depletion(board: HealthBoard) -> Desk:
    return Desk(reactivation=Reactivation.DEPLETION, board=board)


@pytest.fixture
def timed(board: HealthBoard) -> Desk:
    return Desk(reactivation=Reactivation.TIMED, board=board)


@pytest.mark.parametrize("answer", [ANSWER, WRONG, CHALLENGED, Refused(Refusal.EXPIRED), Refused(Refusal.TEMPORARY)])
def test_first_server_s_answer_is_the_group_s_answer(desk: Desk, answer: Outcome) -> None:
    login = desk.login(answer)
    assert (login.asked, login.result) == (["one"], answer)


def test_authorize_asks_as_authenticate_does(desk: Desk) -> None:
    asked = greenlet(lambda: desk.group.authorize("alice", FACTS, desk.now + 1))
    assert asked.switch() == "one"
    assert asked.switch(ANSWER) == ANSWER


def test_silent_server_when_there_is_another_then_the_same_login_asks_it(desk: Desk) -> None:
    login = desk.login(SILENCE, ANSWER)
    assert (login.asked, login.result) == (["one", "two"], ANSWER)


def test_no_server_answers_then_temporary_with_every_server_s_fault(desk: Desk) -> None:
    login = desk.login(SILENCE, ServerFailed("refused"), SILENCE)
    assert login.refusal() is Refusal.TEMPORARY
    assert "one: no answer in time; two: refused; three: no answer in time" in str(login.result)


def test_server_when_it_has_failed_max_attempts_in_a_row_then_others_are_not_kept_waiting(desk: Desk) -> None:
    desk.silence("one")
    assert desk.login(ANSWER).asked == ["two"]


def test_server_when_it_answers_in_between_then_its_attempts_are_forgotten(desk: Desk) -> None:
    for _ in range(4):
        desk.login(SILENCE, ANSWER)
        assert desk.login(WRONG).asked == ["one"]


def test_failed_server_when_another_worker_found_out_then_nobody_else_waits(desk: Desk) -> None:
    other = desk.another_worker()
    desk.silence("one")
    assert desk.login(ANSWER, group=other).asked == ["two"]


def test_late_answer_of_a_failed_server_brings_it_back(desk: Desk) -> None:
    slow = desk.login()
    desk.silence("one")
    slow.resume(ANSWER)
    assert desk.login(ANSWER).asked == ["one"]


def test_whole_group_failed_then_refused_at_once_and_never_as_a_wrong_password(desk: Desk) -> None:
    desk.silence_all()
    login = desk.login()
    assert (login.asked, login.refusal()) == ([], Refusal.TEMPORARY)


def test_depletion_when_one_server_is_left_then_the_failed_one_is_not_asked_however_late(depletion: Desk) -> None:
    depletion.silence("one")
    depletion.now += 100 * DEADTIME_S
    assert depletion.login(ANSWER).asked == ["two"]


def test_depletion_deadtime_begins_with_the_last_failure(depletion: Desk) -> None:
    depletion.silence("one")
    depletion.silence("two")
    depletion.now += DEADTIME_S - 1
    depletion.silence("three")
    depletion.now += DEADTIME_S - 1
    assert depletion.login().asked == []
    depletion.now += 1
    assert depletion.login(ANSWER).asked == ["one"]


def test_depletion_first_answer_after_deadtime_brings_all_back(depletion: Desk) -> None:
    depletion.silence_all()
    depletion.now += DEADTIME_S
    depletion.login(ANSWER)
    login = depletion.login(SILENCE, SILENCE, SILENCE)
    assert login.asked == ["one", "two", "three"]


def test_depletion_server_that_failed_its_trial_stays_out_when_another_passes(depletion: Desk) -> None:
    depletion.silence_all()
    depletion.now += DEADTIME_S
    assert depletion.login(SILENCE, ANSWER).asked == ["one", "two"]
    assert depletion.login(SILENCE, ANSWER).asked == ["two", "three"]


def test_depletion_all_fail_the_trial_then_another_deadtime(depletion: Desk) -> None:
    depletion.silence_all()
    depletion.now += DEADTIME_S
    assert depletion.login(SILENCE, SILENCE, SILENCE).asked == ["one", "two", "three"]
    depletion.now += DEADTIME_S - 1
    assert depletion.login().asked == []
    depletion.now += 1
    assert depletion.login().asks == "one"


def test_depletion_without_deadtime_asks_again_at_once() -> None:
    desk = Desk(deadtime_s=None)
    desk.silence_all()
    assert desk.login(SILENCE, SILENCE, ANSWER).asked == ["one", "two", "three"]


def test_depletion_without_deadtime_keeps_nobody_but_the_one_on_trial_waiting() -> None:
    desk = Desk(deadtime_s=None, labels=("one",))
    desk.silence_all()
    trial = desk.login()
    assert trial.asks == "one"
    assert desk.login().refusal() is Refusal.TEMPORARY
    trial.resume(SILENCE)
    assert desk.login().asks == "one"


def test_timed_server_is_asked_again_after_thirty_seconds(timed: Desk) -> None:
    timed.silence("one")
    timed.now += TIMED_S - 1
    assert timed.login(ANSWER).asked == ["two"]
    timed.now += 1
    assert timed.login(ANSWER).asked == ["one"]
    assert timed.login(SILENCE, ANSWER).asked == ["one", "two"]


def test_timed_server_when_it_is_still_silent_then_one_login_in_thirty_seconds_waits(timed: Desk) -> None:
    timed.silence("one")
    timed.now += TIMED_S
    assert timed.login(SILENCE, ANSWER).asked == ["one", "two"]
    assert timed.login(ANSWER).asked == ["two"]
    timed.now += TIMED_S
    assert timed.login(SILENCE, ANSWER).asked == ["one", "two"]


def test_trial_is_one_login_s_in_all_workers_and_others_do_not_wait(timed: Desk) -> None:
    other = timed.another_worker()
    timed.silence("one")
    timed.now += TIMED_S
    trial = timed.login()
    assert trial.asks == "one"
    assert timed.login(ANSWER).asked == ["two"]
    assert timed.login(ANSWER, group=other).asked == ["two"]
    trial.resume(WRONG)
    assert timed.login(ANSWER, group=other).asked == ["one"]


def test_trial_when_the_client_leaves_then_the_next_login_takes_it_over(desk: Desk) -> None:
    desk.silence_all()
    desk.now += DEADTIME_S
    trial = desk.login()
    trial.resume(LEFT)
    assert trial.result is LEFT
    assert desk.login(ANSWER).asked == ["one"]


def test_trial_when_the_server_has_answered_another_then_leaving_takes_nothing_away(depletion: Desk) -> None:
    slow = depletion.login()
    depletion.silence_all()
    depletion.now += DEADTIME_S
    trial = depletion.login(patience_s=DEADTIME_S)
    slow.resume(ANSWER)
    trial.resume(LEFT)
    assert depletion.login(ANSWER).asked == ["one"]


def test_trial_when_its_login_has_no_time_left_then_the_next_login_takes_it_over(timed: Desk) -> None:
    timed.silence("one")
    timed.now += TIMED_S
    trial = timed.login(patience_s=1)
    timed.now += 1
    trial.resume(SILENCE)
    assert trial.refusal() is Refusal.TEMPORARY
    assert timed.login(ANSWER).asked == ["one"]


def test_trial_when_its_worker_dies_then_it_ends_with_the_login_s_deadline(depletion: Desk) -> None:
    depletion.silence_all()
    depletion.now += DEADTIME_S
    assert depletion.login(SILENCE, SILENCE, patience_s=5).asks == "three"
    depletion.now += 4
    assert depletion.login().asked == []
    depletion.now += 1
    assert depletion.login(ANSWER).asked == ["three"]


def test_server_cut_short_by_the_login_s_own_deadline_has_not_failed(desk: Desk) -> None:
    """A client that waits until its last moment could otherwise take a good server away from everybody."""
    for _ in range(10):
        login = desk.login(patience_s=0.1)
        desk.now += 0.1
        login.resume(SILENCE)
        assert (login.asked, login.refusal()) == (["one"], Refusal.TEMPORARY)
    assert desk.login(ANSWER).asked == ["one"]


def test_client_that_leaves_counts_for_nothing(desk: Desk) -> None:
    for _ in range(10):
        assert desk.login(LEFT).result is LEFT
    assert desk.login(ANSWER).asked == ["one"]


def test_no_time_left_then_nobody_is_asked(desk: Desk) -> None:
    login = desk.login(patience_s=0)
    assert (login.asked, login.refusal()) == ([], Refusal.TEMPORARY)


def test_group_without_servers_refuses(board: HealthBoard) -> None:
    assert Desk(labels=(), board=board).login().refusal() is Refusal.TEMPORARY


def test_shared_records_count_what_came_of_each_request() -> None:
    records = HealthRecords(SessionTable.create(slots=1, workers=1))
    desk = Desk(labels=("one",), board=records, max_attempts=5)
    for outcome in (ANSWER, ANSWER, WRONG, CHALLENGED, Refused(Refusal.TEMPORARY), SILENCE, LEFT):
        login = desk.login()
        desk.now += 0.25
        login.resume(outcome)
    (health,) = records.all()
    assert (health.requests, health.accepts, health.rejects, health.challenges, health.errors) == (7, 2, 1, 1, 1)
    assert (health.timeouts, health.rtt_us, health.rtt_max_us) == (1, 5 * 250_000, 250_000)


def test_numbers_of_replies_are_those_of_the_shared_records() -> None:
    assert {reply.name: reply.value for reply in Reply} == {answer.name: answer.value for answer in Answer}


def test_log_says_once_when_a_server_and_the_group_fail_and_when_they_are_back() -> None:
    reader, writer = os.pipe()
    desk = Desk(labels=("one",), log_fd=writer)
    for _ in range(4):
        desk.login(SILENCE)
    desk.now += DEADTIME_S
    desk.login(SILENCE)
    desk.now += DEADTIME_S
    desk.login(ANSWER)
    os.close(writer)
    with os.fdopen(reader) as lines:
        events = [line.split(" ", 2)[2].strip() for line in lines]
    assert events == [
        'event=aaa_server_failed group=GROUP label=one detail="no answer in time"',
        "event=aaa_group_failed group=GROUP",
        "event=aaa_server_active group=GROUP label=one",
    ]


@dataclass
class ModelServer:
    """What the specification says that everybody must know of a server. until: of its pause, or of its trial."""

    failed: bool = False
    attempts: int = 0
    until: float = 0.0


@dataclass
class Overlapping:
    """A login that waits for a server. on_trial: that had failed when it was asked, and has not answered since."""

    login: Login
    deadline: float
    on_trial: bool


class GroupMachine(RuleBasedStateMachine):
    """Logins that overlap, in two workers, while time passes."""

    waiting: Bundle[Overlapping] = Bundle("waiting")

    @initialize(
        reactivation=st.sampled_from(Reactivation),
        max_attempts=st.integers(1, 2),
        deadtime_s=st.sampled_from([None, 5.0, DEADTIME_S]),
        make_board=st.sampled_from([OwnHealth, shared_memory]),
        servers=st.integers(1, 3),
    )
    def configure(
        self,
        reactivation: Reactivation,
        max_attempts: int,
        deadtime_s: float | None,
        make_board: Callable[[], HealthBoard],
        servers: int,
    ) -> None:
        labels = ("one", "two", "three")[:servers]
        self.desk = Desk(reactivation, max_attempts, deadtime_s, labels, make_board())
        self.workers = [self.desk.group, self.desk.another_worker()]
        self.servers = {label: ModelServer() for label in labels}
        self.is_timed = reactivation is Reactivation.TIMED
        self.pause_s = TIMED_S if self.is_timed else deadtime_s or 0.0
        self.under_way: list[Overlapping] = []

    @rule(target=waiting, worker=st.integers(0, 1), patience_s=st.sampled_from([PATIENCE_S, 1.0, 0.0]))
    def begin(self, worker: int, patience_s: float) -> Overlapping:
        return self.begun(worker, patience_s)

    def begun(self, worker: int, patience_s: float) -> Overlapping:
        self.desk.now += 0.001  # so that no two logins have the same deadline
        expected = self.next_server((), self.desk.now + patience_s)
        login = self.desk.login(group=self.workers[worker], patience_s=patience_s)
        begun = Overlapping(login, self.desk.now + patience_s, on_trial=False)
        self.under_way.append(begun)
        self.expect(begun, expected)
        return begun

    @precondition(lambda self: not self.under_way)
    @rule(pause_is_over=st.booleans())
    def all_servers_fail(self, pause_is_over: bool) -> None:
        """The states of most interest are far from the first one."""
        for server in self.servers.values():
            while not server.failed:
                self.stay_silent_to_the_end(self.begun(0, PATIENCE_S))
        if pause_is_over:
            self.desk.now += self.pause_s

    def stay_silent_to_the_end(self, one: Overlapping) -> None:
        while one.login.asks is not None:
            self.silence(one, 0.0)

    @rule(one=consumes(waiting), outcome=st.sampled_from([ANSWER, WRONG, CHALLENGED]))
    def answer(self, one: Overlapping, outcome: Outcome) -> None:
        if one.login.asks is None:
            return
        server = self.servers[one.login.asks]
        was_failed = server.failed
        server.failed, server.attempts = False, 0
        if was_failed and not self.is_timed:
            for other in self.servers.values():
                if other.failed and other.until <= self.desk.now:
                    other.failed, other.attempts = False, 0
        for rival in self.under_way:
            if rival.login.asks == one.login.asks:
                rival.on_trial = False
        one.login.resume(outcome)
        assert one.login.result is outcome
        self.under_way.remove(one)

    @rule(target=waiting, one=consumes(waiting), takes_s=st.sampled_from([0.0, 0.5, 1.0, 10.0]))
    def stay_silent(self, one: Overlapping, takes_s: float) -> Overlapping:
        """Then the same login may be waiting for the next server."""
        if one.login.asks is not None:
            self.silence(one, takes_s)
        return one

    def silence(self, one: Overlapping, takes_s: float) -> None:
        assert one.login.asks is not None
        self.desk.now += takes_s
        now, server = self.desk.now, self.servers[one.login.asks]
        if now < one.deadline:
            self.note_silence(server)
        else:
            self.hand_over(one)
        expected = self.next_server(tuple(one.login.asked), one.deadline)
        one.login.resume(SILENCE)
        self.expect(one, expected)

    @rule(one=consumes(waiting))
    def leave(self, one: Overlapping) -> None:
        if one.login.asks is None:
            return
        self.hand_over(one)
        one.login.resume(LEFT)
        assert one.login.result is LEFT
        self.under_way.remove(one)

    @rule(seconds=st.sampled_from([1.0, 4.0, TIMED_S, DEADTIME_S]))
    def let_time_pass(self, seconds: float) -> None:
        self.desk.now += seconds

    @invariant()
    def nobody_waits_for_a_trial_but_the_one_whose_it_is(self) -> None:
        if not hasattr(self, "under_way"):
            return
        now = self.desk.now
        trials = [one.login.asks for one in self.under_way if one.on_trial and now < one.deadline]
        assert len(trials) == len(set(trials))

    def hand_over(self, one: Overlapping) -> None:
        """Only what it has put off itself; after its deadline another may be on trial."""
        assert one.login.asks is not None
        server = self.servers[one.login.asks]
        if one.on_trial and server.until == one.deadline:
            server.until = self.desk.now

    def note_silence(self, server: ModelServer) -> None:
        server.attempts += 1
        if server.attempts < self.desk.max_attempts:
            return
        fails_now, server.failed, server.until = not server.failed, True, self.desk.now + self.pause_s
        if fails_now and not self.is_timed and all(other.failed for other in self.servers.values()):
            for other in self.servers.values():
                other.until = self.desk.now + self.pause_s

    def next_server(self, asked: tuple[str, ...], deadline: float) -> str | None:
        labels = list(self.servers)
        behind = labels.index(asked[-1]) + 1 if asked else 0
        if self.desk.now >= deadline:
            return None
        return next((label for label in labels[behind:] if self.is_open(self.servers[label])), None)

    def is_open(self, server: ModelServer) -> bool:
        all_failed = all(other.failed for other in self.servers.values())
        return not server.failed or (server.until <= self.desk.now and (self.is_timed or all_failed))

    def expect(self, one: Overlapping, label: str | None) -> None:
        assert one.login.asks == label
        if label is None:
            assert one.login.refusal() is Refusal.TEMPORARY
            self.under_way.remove(one)
            return
        server = self.servers[label]
        one.on_trial = server.failed
        if server.failed:
            server.until = one.deadline


TestGroupMachine = GroupMachine.TestCase
TestGroupMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
