"""One session from its first line to the hand-over, with scripted ends: every stage's yes and no."""

import base64
import dataclasses
import os
import re
import time
from typing import Any

import pytest

from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.chain import AaaMethod
from gateway.aaa.chain import Chain
from gateway.aaa.chain import ClosedMethod
from gateway.config.model import BUILT_IN_POLICY
from gateway.config.model import GroupPolicySettings
from gateway.credentials import Delimiters
from gateway.errors import Refused
from gateway.errors import SessionEnded
from gateway.log import Log
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.outcome import State
from gateway.policy.rules import Policies
from gateway.protocol import pop3
from gateway.protocol.base import ServerSettings
from gateway.session.serve import serve
from gateway.session.service import Service
from gateway.transport.base import RelayEnd
from gateway.upstream.connect import Dialer
from gateway.upstream.connect import UpstreamTls
from gateway.upstream.login import MailServers
from gateway.upstream.login import UpstreamSettings
from gateway.upstream.resolve import Resolver
from tests.support.memory import MemoryClient
from tests.support.memory import MemoryConnector

WELCOME = b"+OK ready\r\n+OK user\r\n+OK logged in\r\n"
REJECTS = b"+OK ready\r\n+OK user\r\n-ERR [AUTH] no\r\n"
LOGIN = b"USER alice\r\nPASS secret\r\n"


class Backend:
    """Accepts `secret`, names the policy `MAIL`; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        assert deadline > time.monotonic()
        self.asked.append((user, password))
        if password != b"secret":
            raise Refused(Refusal.BAD_CREDENTIALS)
        return Identity(user, "MAIL")


class Bench:
    """A service whose mail server speaks the given scripts, and what it logged."""

    def __init__(self, *scripts: bytes, **changes: object) -> None:
        self.connector = MemoryConnector(list(scripts))
        self._read_end, self._write_end = os.pipe()
        settings = UpstreamSettings(110, UpstreamTls("none", None, {}), b"gw.example", 1.0, 1.0)
        service = Service(
            spec=pop3.SPEC,
            interface="outside",
            dialogue=ServerSettings(b"gw.example", (b"TOP", b"UIDL")),
            delimiters=Delimiters(),
            is_allowed_server={"192.0.2.9"}.__contains__,
            default_server="192.0.2.5",
            chain=Chain([]),
            policies=Policies({}, BUILT_IN_POLICY, {}),
            mail_servers=MailServers(pop3.SPEC, settings, Dialer(self.connector, Resolver())),
            mailhost=True,
            max_login_attempts=3,
            handshake_timeout_s=10.0,
            login_timeout_s=60.0,
            failure_delay_s=2.0,
            idle_timeout_s=600.0,
            session_timeout_s=None,
            log=Log("logfmt", descriptor=self._write_end),
        )
        self.service = dataclasses.replace(service, **changes)  # type: ignore[arg-type]

    def serve(self, octets: bytes, ended: EndReason = EndReason.CLIENT_CLOSED, **facts: Any) -> MemoryClient:
        client = MemoryClient(octets, ended=ended, **facts)
        serve(client, self.service)
        return client

    def log(self) -> str:
        os.close(self._write_end)
        with os.fdopen(self._read_end, "rb") as pipe:
            return pipe.read().decode()


def test_a_login_is_handed_over_and_nothing_behind_it_is_read() -> None:
    bench = Bench(WELCOME)
    client = bench.serve(LOGIN + b"STAT\r\n")
    (upstream,) = bench.connector.opened
    assert client.joined is upstream
    assert client.unread.take_all() == b"STAT\r\n"
    assert upstream.written == b"USER alice\r\nPASS secret\r\n"
    assert client.written.startswith(b"+OK")
    assert client.written.count(b"\r\n") == 2
    assert client.states[-1] is State.AUTHENTICATED
    assert not client.closed


def test_the_relays_end_is_the_sessions_one_last_line() -> None:
    bench = Bench(WELCOME)
    client = bench.serve(LOGIN)
    assert client.on_relay_end is not None
    client.on_relay_end(RelayEnd(EndReason.UPSTREAM_CLOSED, 17, 42))
    log = bench.log()
    assert log.count("event=session_end") == 1
    assert "reason=upstream-closed" in log
    assert "octets_in=17 octets_out=42" in log
    assert 'user="alice" mail_user="alice" server="192.0.2.5"' in log
    assert "secret" not in log


def test_a_refusal_is_delayed_answered_and_the_next_attempt_may_succeed() -> None:
    bench = Bench(REJECTS, WELCOME)
    client = bench.serve(b"USER alice\r\nPASS wrong\r\n" + LOGIN)
    assert client.pauses_s == [2.0]
    assert b"-ERR [AUTH]" in client.written
    assert client.joined is bench.connector.opened[1]
    assert bench.connector.opened[0].closed


def test_a_name_of_an_earlier_attempt_is_not_logged_for_a_later_one() -> None:
    bench = Bench(REJECTS)
    bench.serve(b"USER alice@192.0.2.9\r\nPASS wrong\r\nUSER b\tob\r\nPASS wrong\r\n")
    first, second, end = bench.log().splitlines()
    assert 'user="alice" mail_user="alice" server="192.0.2.9"' in first
    assert "alice" not in second + end
    assert "192.0.2.9" not in second + end


def test_too_many_refusals_end_the_session() -> None:
    bench = Bench(REJECTS, REJECTS, REJECTS)
    client = bench.serve(LOGIN * 4)
    assert client.closed
    assert client.joined is None
    assert len(bench.connector.opened) == 3
    assert "reason=too-many-failures" in bench.log()


def test_a_mail_server_that_is_away_is_no_wrong_password() -> None:
    bench = Bench()
    client = bench.serve(LOGIN)
    assert b"-ERR [SYS/TEMP]" in client.written
    assert b"[AUTH]" not in client.written
    assert client.pauses_s == []
    assert "reason=upstream-unavailable" in bench.log()


def test_aaa_is_asked_for_the_vpn_user_and_the_mail_server_for_the_mail_user() -> None:
    backend = Backend()
    policies = Policies({"MAIL": GroupPolicySettings(name="MAIL", idle_timeout_s=60.0)}, None, {})
    bench = Bench(WELCOME, chain=Chain([AaaMethod("LOCAL", backend)]), policies=policies)
    client = bench.serve(b"USER vpn:alice@192.0.2.9\r\nPASS secret:m4il\r\n")
    assert backend.asked == [("vpn", b"secret")]
    assert bench.connector.dialled == [("192.0.2.9", 110)]
    assert bench.connector.opened[0].written == b"USER alice\r\nPASS m4il\r\n"
    assert client.limits is not None
    assert client.limits.idle_s == 60.0


def test_aaas_no_opens_no_connection() -> None:
    bench = Bench(WELCOME, chain=Chain([AaaMethod("LOCAL", Backend())]))
    client = bench.serve(b"USER alice\r\nPASS wrong\r\n")
    assert bench.connector.dialled == []
    assert b"-ERR [AUTH]" in client.written


def test_the_vpn_user_is_counted_and_described() -> None:
    policy = GroupPolicySettings(name="MAIL", simultaneous_logins=2)
    bench = Bench(WELCOME, policies=Policies({}, policy, {}))
    client = bench.serve(b"USER vpn:alice\r\nPASS secret\r\n")
    assert client.admitted == ("vpn", 2, True)
    assert client.texts == ("vpn", "alice", "192.0.2.5", "MAIL")


def test_one_login_too_many_is_told_and_leaves_the_mail_server() -> None:
    bench = Bench(WELCOME)
    client = bench.serve(LOGIN, over_limit=True)
    assert b"-ERR [IN-USE]" in client.written
    assert client.joined is None
    assert bench.connector.opened[0].closed
    assert "reason=session-limit" in bench.log()


def test_without_a_policy_nobody_gets_in() -> None:
    bench = Bench(WELCOME, policies=Policies({}, None, {}))
    bench.serve(LOGIN)
    assert bench.connector.dialled == []
    assert "reason=policy-denied" in bench.log()


def test_a_method_that_is_not_in_effect_refuses() -> None:
    bench = Bench(WELCOME, chain=Chain([ClosedMethod("piggyback is not yet in effect")]))
    bench.serve(LOGIN)
    assert bench.connector.dialled == []
    assert "piggyback is not yet in effect" in bench.log()


def test_a_named_server_is_known_by_one_name_however_it_is_typed() -> None:
    bench = Bench(WELCOME, is_allowed_server=lambda _: True)
    bench.serve(b"USER alice@2001:DB8:0::9\r\nPASS secret\r\n")
    assert bench.connector.dialled == [("2001:db8::9", 110)]
    assert 'server="2001:db8::9"' in bench.log()


def test_a_server_nobody_named_is_a_refusal() -> None:
    bench = Bench(WELCOME, default_server=None)
    bench.serve(LOGIN)
    assert "reason=policy-denied" in bench.log()


class LeavesAtSuccess(MemoryClient):
    """Gone at the moment it is told that it is logged in."""

    error: Exception = SessionEnded(EndReason.CLIENT_LOST)

    def write(self, data: bytes) -> None:
        if data.startswith(b"+OK Logged in"):
            raise self.error
        super().write(data)


@pytest.mark.parametrize("error", [SessionEnded(EndReason.CLIENT_LOST), ZeroDivisionError()])
def test_a_session_that_ends_at_its_success_leaves_no_mail_server_open(error: Exception) -> None:
    bench = Bench(WELCOME)
    client = LeavesAtSuccess(LOGIN)
    client.error = error
    serve(client, bench.service)
    (upstream,) = bench.connector.opened
    assert client.joined is None
    assert client.closed
    assert upstream.closed
    assert bench.log().count("event=session_end") == 1


@pytest.mark.parametrize(
    ("authzid", "is_let_in"), [(b"", True), (b"alice", True), (b"admin", False), (b"Alice", False)]
)
def test_nobody_logs_in_for_another(authzid: bytes, is_let_in: bool) -> None:
    bench = Bench(WELCOME)
    client = bench.serve(b"AUTH PLAIN " + base64.b64encode(authzid + b"\0alice\0secret") + b"\r\n")
    assert bool(bench.connector.dialled) is is_let_in
    assert (client.joined is not None) is is_let_in
    assert (b"-ERR [AUTH]" in client.written) is not is_let_in


@pytest.mark.parametrize("password", [b"a\0b", b"p\tw", b""])
def test_a_hostile_password_goes_nowhere(password: bytes) -> None:
    bench = Bench(WELCOME)
    client = bench.serve(b"USER alice\r\nPASS " + password + b"\r\n")
    assert bench.connector.dialled == []
    assert client.joined is None


@pytest.mark.parametrize("ended", [EndReason.EVICTED, EndReason.SHUTDOWN, EndReason.LOGIN_TIMEOUT])
@pytest.mark.parametrize("octets", [b"", b"CAPA\r\n", b"USER alice\r\n"])
def test_an_end_from_outside_closes_with_the_protocols_farewell(octets: bytes, ended: EndReason) -> None:
    bench = Bench(WELCOME)
    client = bench.serve(octets, ended)
    farewell = pop3.SPEC.server(bench.service.dialogue).farewell(ended)
    assert client.closed
    assert client.written.endswith(farewell)
    log = bench.log()
    assert log.count("event=session_end") == 1
    assert f"reason={ended.value}" in log


def test_a_dialogue_that_closes_says_its_last_words_once() -> None:
    bench = Bench(WELCOME)
    client = bench.serve(b"XYZZY\r\n" * 10)
    assert client.closed
    assert client.written.count(b"Too many") == 1
    assert "reason=too-many-errors" in bench.log()


def test_a_fault_of_ours_ends_one_session_and_tells_the_client_nothing() -> None:
    class Broken(Backend):
        def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
            raise ZeroDivisionError(password)

    bench = Bench(WELCOME, chain=Chain([AaaMethod("LOCAL", Broken())]))
    client = bench.serve(LOGIN)
    assert client.closed
    assert b"ZeroDivision" not in client.written
    log = bench.log()
    assert "event=internal_error" in log
    assert re.search(r"ZeroDivisionError in test_serve\.py:\d+ authenticate < chain\.py:\d+ apply < ", log)
    assert "reason=internal-error" in log
    assert "secret" not in log
