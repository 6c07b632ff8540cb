"""An AAA server group: servers that answer for one another, asked in the order of the file.

A login that a server does not answer goes on to the next server at once. A server that fails so with
`max-failed-attempts` requests in a row, whoever sent them, has failed, and is not asked until
- depletion: every server of the group has failed, and `deadtime` has passed since the last one did; meanwhile each
  login is refused at once. With the first answer all servers that were not asked anew are back, too;
- timed: TIMED_S have passed.

Whether a failed server is back is found out by one login: its time-out is one user's, the others go to the next
server or are refused without a wait. Who leaves before the answer hands that over to the next. What a login's own
deadline has cut short counts for nothing: who logs in at the last moment must not be able to take the servers away.

Errors: Refused and Challenged of the server that answered; Refused(TEMPORARY) when none did. What is thrown into the
waiting greenlet passes.
Source: the ASA's `aaa-server` (`reactivation-mode`, `max-failed-attempts`). There every login may ask a server that is
back on trial, and waits for it.
"""

import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.aaa.base import AaaServer
from gateway.aaa.base import Challenged
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import ServerFailed
from gateway.aaa.health import HealthBoard
from gateway.aaa.health import Reply
from gateway.config.model.aaa import AaaServerGroup
from gateway.config.model.words import Reactivation
from gateway.errors import Refused
from gateway.log import Log
from gateway.outcome import Refusal

TIMED_S: Final = 30.0

Question = Callable[[AaaServer, float], Identity]


@dataclass(frozen=True, slots=True)
class _Member:
    server: AaaServer
    index: int


class ServerGroup:
    """A `Backend`. servers: of this group, in the order of the file. clock: as time.monotonic."""

    def __init__(
        self,
        settings: AaaServerGroup,
        servers: Sequence[AaaServer],
        board: HealthBoard,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = settings.name
        self._members = tuple(_Member(server, board.register(settings.name, server.label)) for server in servers)
        self._is_timed = settings.reactivation_mode is Reactivation.TIMED
        self._pause_s = TIMED_S if self._is_timed else settings.deadtime_s or 0.0
        self._max_attempts = settings.max_failed_attempts
        self._board = board
        self._log = log
        self._clock = clock

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """See `Backend`."""
        return self._ask(lambda server, until: server.authenticate(user, password, facts, until), deadline)

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        """See `Backend`."""
        return self._ask(lambda server, until: server.authorize(user, facts, until), deadline)

    def _ask(self, question: Question, deadline: float) -> Identity:
        faults: list[str] = []
        for member in self._members:
            if self._clock() >= deadline:
                faults.append("no time left")
                break
            if self._may_be_asked(member):
                try:
                    return self._ask_one(member, question, deadline)
                except ServerFailed as failed:
                    faults.append(f"{member.server.label}: {failed}")
        raise Refused(Refusal.TEMPORARY, f"AAA group {self._name}: {'; '.join(faults) or 'every server has failed'}")

    def _ask_one(self, member: _Member, question: Question, deadline: float) -> Identity:
        on_trial = self._has_failed(member)
        if on_trial:
            self._put_off(member, deadline)
        asked_at = self._clock()
        self._board.asked(member.index)
        try:
            identity = question(member.server, deadline)
        except (Refused, Challenged) as answer:
            self._answered(member, _reply(answer), asked_at)
            raise
        except ServerFailed as failed:
            if self._clock() < deadline:
                self._timed_out(member, failed)
            elif on_trial:
                self._hand_over(member, deadline)
            raise
        except BaseException:
            if on_trial:
                self._hand_over(member, deadline)
            raise
        self._answered(member, Reply.ACCEPT, asked_at)
        return identity

    def _may_be_asked(self, member: _Member) -> bool:
        if not self._has_failed(member):
            return True
        return self._is_due(member) and (self._is_timed or all(map(self._has_failed, self._members)))

    def _is_due(self, member: _Member) -> bool:
        """Whether a failed server's pause is over."""
        health = self._board.health(member.index)
        return health is None or health.until_ms <= _ms(self._clock())

    def _has_failed(self, member: _Member) -> bool:
        health = self._board.health(member.index)
        return health is not None and health.failed

    def _put_off(self, member: _Member, until: float) -> None:
        self._board.fail(member.index, _ms(self._clock()), _ms(until))

    def _hand_over(self, member: _Member, deadline: float) -> None:
        """The next login may ask at once, unless more is known by now than that this one put the server off."""
        health = self._board.health(member.index)
        if health is not None and health.failed and health.until_ms == _ms(deadline):
            self._put_off(member, self._clock())

    def _answered(self, member: _Member, reply: Reply, asked_at: float) -> None:
        was_failed = self._has_failed(member)
        self._board.answered(member.index, reply, round((self._clock() - asked_at) * 1_000_000))
        if was_failed:
            self._log.info("aaa_server_active", group=self._name, label=member.server.label)
            if not self._is_timed:
                self._bring_back()

    def _bring_back(self) -> None:
        """All whose pause is over, and which nobody is asking."""
        for member in self._members:
            if self._has_failed(member) and self._is_due(member):
                self._board.revive(member.index)

    def _timed_out(self, member: _Member, failed: ServerFailed) -> None:
        now, until = self._clock(), self._clock() + self._pause_s
        if not self._board.timed_out(member.index, self._max_attempts, _ms(now), _ms(until)):
            return
        self._log.warning("aaa_server_failed", group=self._name, label=member.server.label, detail=str(failed))
        if all(map(self._has_failed, self._members)):
            self._log.error("aaa_group_failed", group=self._name)
            if not self._is_timed:
                for other in self._members:
                    self._put_off(other, until)


def _reply(answer: Refused | Challenged) -> Reply:
    if isinstance(answer, Challenged):
        return Reply.CHALLENGE
    return Reply.ERROR if answer.refusal is Refusal.TEMPORARY else Reply.REJECT


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
