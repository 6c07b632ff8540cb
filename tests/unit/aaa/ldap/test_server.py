"""One directory server, from a login to what the AAA group is told, and the connections behind it."""

import time
from collections.abc import Iterable
from typing import Any

import gevent
import pytest
from gevent.event import Event
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gateway.aaa.base import AaaServer
from gateway.aaa.base import Identity
from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap import pool
from gateway.aaa.ldap.server import LdapServer
from gateway.config.model.words import LdapScope
from gateway.config.model.words import LdapTls
from gateway.errors import Refused
from gateway.errors import SessionEnded
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.transport.base import UpstreamConnection
from gateway.transport.tls import client_context
from tests.unit.aaa.ldap.fake import ALICE
from tests.unit.aaa.ldap.fake import BASE
from tests.unit.aaa.ldap.fake import BIND
from tests.unit.aaa.ldap.fake import BOUND
from tests.unit.aaa.ldap.fake import FACTS
from tests.unit.aaa.ldap.fake import LOGIN_DN
from tests.unit.aaa.ldap.fake import LOGIN_PASSWORD
from tests.unit.aaa.ldap.fake import PASSWORD
from tests.unit.aaa.ldap.fake import SEARCH
from tests.unit.aaa.ldap.fake import SIZE_LIMIT
from tests.unit.aaa.ldap.fake import UNBIND
from tests.unit.aaa.ldap.fake import Asked
from tests.unit.aaa.ldap.fake import FakeDirectory
from tests.unit.aaa.ldap.fake import attribute_map
from tests.unit.aaa.ldap.fake import dial
from tests.unit.aaa.ldap.fake import entry
from tests.unit.aaa.ldap.fake import found
from tests.unit.aaa.ldap.fake import in_time
from tests.unit.aaa.ldap.fake import ldap_server
from tests.unit.aaa.ldap.fake import message
from tests.unit.aaa.ldap.fake import outcome
from tests.unit.aaa.ldap.fake import result
from tests.unit.aaa.ldap.fake import settings_for
from tests.unit.aaa.ldap.fake import silent
from tests.unit.aaa.ldap.fake import usual

LOGIN_BIND = (LOGIN_DN, LOGIN_PASSWORD.encode())
HOSTILE_NAMES = [
    "*",
    "a*",
    "*)(uid=*",
    "a)(|(uid=b",
    "alice)(objectClass=*",
    "\\2a",
    "\\",
    "alice\\00",
    "alice\0",
    "cn=x,dc=y",
    "(uid=alice)",
    "alice,dc=example,dc=test",
    "аlice",  # noqa: RUF001  Cyrillic
    "ä" * 2048,
    "a" * 4096,
    " ",
    "\r\nalice",
    "\x1b[2J",
    "&|!()=<>~*/",
]


def log_in(server: AaaServer, user: str = "alice", password: bytes = PASSWORD, seconds: float = 5.0) -> Identity:
    return server.authenticate(user, password, FACTS, in_time(seconds))


def refusal(server: AaaServer, user: str = "alice", password: bytes = PASSWORD) -> Refused:
    with pytest.raises(Refused) as refused:
        log_in(server, user, password)
    return refused.value


def assert_sound(server: AaaServer, directory: FakeDirectory) -> None:
    """Twice as many logins as there are connections for binds succeed, all at once."""
    directory.behaviour = usual
    directory.held.set()
    askers = [gevent.spawn(outcome, log_in, server) for _ in range(2 * pool.BIND_CONNECTIONS)]
    gevent.joinall(askers)
    assert {asker.get() for asker in askers} == {Identity("alice")}
    assert directory.open_connections <= pool.BIND_CONNECTIONS + pool.SEARCH_CONNECTIONS


class TestLogin:
    def test_right_password_gives_the_user(self, directory: FakeDirectory) -> None:
        assert log_in(ldap_server(directory)) == Identity("alice")
        assert directory.binds() == [LOGIN_BIND, (ALICE, PASSWORD)]

    def test_attributes_are_asked_for_and_mapped(self, directory: FakeDirectory) -> None:
        def with_group(asked: Asked) -> Iterable[bytes]:
            alice = {"uid": [b"alice"], "memberOf": [b"CN=Staff", b"CN=Mail"]}
            return found(asked, entry(ALICE, alice)) if asked.tag == SEARCH else usual(asked)

        directory.behaviour = with_group
        mapped = attribute_map(["memberOf IETF-Radius-Class"], [("memberOf", "CN=Mail", "MAILUSERS")])
        server = ldap_server(directory, mapped)
        assert log_in(server) == Identity("alice", "MAILUSERS")
        assert server.authorize("alice", FACTS, in_time()) == Identity("alice", "MAILUSERS")
        assert b"memberof" in directory.searches()[0].fields[7]

    def test_wrong_password(self, directory: FakeDirectory) -> None:
        assert refusal(ldap_server(directory), password=b"wrong").refusal is Refusal.BAD_CREDENTIALS

    def test_empty_password_reaches_nobody(self, directory: FakeDirectory) -> None:
        assert refusal(ldap_server(directory), password=b"").refusal is Refusal.BAD_CREDENTIALS
        assert directory.connections == 0

    def test_unknown_user_costs_what_a_wrong_password_costs(self, directory: FakeDirectory) -> None:
        """One search, one bind: the time of the answer tells nothing."""
        server = ldap_server(directory)
        log_in(server)
        asked_before = len(directory.asked)
        assert refusal(server, password=b"wrong").refusal is Refusal.BAD_CREDENTIALS
        assert refusal(server, "nobody", b"typed").refusal is Refusal.BAD_CREDENTIALS
        tags = [asked.tag for asked in directory.asked[asked_before:]]
        assert tags == [SEARCH, BIND, SEARCH, BIND]
        dn, password = directory.binds()[-1]
        assert dn.startswith("cn=")
        assert dn.endswith(f",{BASE}")
        assert password == b"typed"

    def test_unknown_user_is_refused_even_if_that_bind_succeeds(self, directory: FakeDirectory) -> None:
        directory.behaviour = lambda asked: usual(asked) if asked.tag == SEARCH else [message(asked, result(BOUND))]
        assert refusal(ldap_server(directory), "nobody").refusal is Refusal.BAD_CREDENTIALS

    @pytest.mark.parametrize(
        "behaviour",
        [
            lambda asked: found(asked, entry(ALICE), entry(f"uid=alice,ou=other,{BASE}")),
            lambda asked: found(asked, entry(ALICE), entry(f"uid=alice,ou=other,{BASE}"), code=SIZE_LIMIT),
            lambda asked: found(asked, entry("")),
        ],
        ids=["two entries", "more than two", "no distinguished name"],
    )
    def test_not_exactly_one_entry_is_no_hit(self, directory: FakeDirectory, behaviour: object) -> None:
        def ambiguous(asked: Asked) -> Iterable[bytes]:
            assert callable(behaviour)
            return behaviour(asked) if asked.tag == SEARCH else [message(asked, result(BOUND))]

        directory.behaviour = ambiguous
        assert refusal(ldap_server(directory)).refusal is Refusal.BAD_CREDENTIALS
        assert ("", PASSWORD) not in directory.binds()
        assert (ALICE, PASSWORD) not in directory.binds()

    @pytest.mark.parametrize("user", HOSTILE_NAMES)
    def test_hostile_name_is_one_search_for_exactly_that_name(self, directory: FakeDirectory, user: str) -> None:
        directory.behaviour = lambda asked: found(asked) if asked.tag == SEARCH else usual(asked)
        assert refusal(ldap_server(directory), user).refusal is Refusal.BAD_CREDENTIALS
        assert [asked.assertion for asked in directory.searches()] == [(b"uid", user.encode())]

    @pytest.mark.parametrize("user", ["\ud800", "alice\udcff"])
    def test_name_that_is_no_text_is_refused_unasked(self, directory: FakeDirectory, user: str) -> None:
        assert refusal(ldap_server(directory), user).refusal is Refusal.BAD_CREDENTIALS
        assert directory.searches() == []

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(user=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
    def test_any_name_is_searched_for_as_it_is(self, directory: FakeDirectory, user: str) -> None:
        directory.behaviour = lambda asked: found(asked) if asked.tag == SEARCH else usual(asked)
        directory.asked.clear()
        server = ldap_server(directory)
        assert refusal(server, user).refusal is Refusal.BAD_CREDENTIALS
        assert [asked.assertion[1] for asked in directory.searches()] == [user.encode()]
        server.close()


class TestAuthorization:
    def test_known_user_without_a_bind(self, directory: FakeDirectory) -> None:
        assert ldap_server(directory).authorize("alice", FACTS, in_time()) == Identity("alice")
        assert directory.binds() == [LOGIN_BIND]

    def test_unknown_user_is_denied(self, directory: FakeDirectory) -> None:
        with pytest.raises(Refused) as refused:
            ldap_server(directory).authorize("nobody", FACTS, in_time())
        assert refused.value.refusal is Refusal.POLICY_DENIED

    def test_user_who_is_there_twice_is_not_an_unknown_one(self, directory: FakeDirectory) -> None:
        """An unknown user may be let in without authorization; this one has policies that nobody can tell apart."""
        directory.behaviour = lambda asked: (
            found(asked, entry(ALICE), entry(f"uid=alice,ou=x,{BASE}")) if asked.tag == SEARCH else usual(asked)
        )
        with pytest.raises(Refused) as refused:
            ldap_server(directory).authorize("alice", FACTS, in_time())
        assert refused.value.refusal is Refusal.BAD_CREDENTIALS


class TestGatewaySBind:
    def test_anonymous_search_when_there_is_no_login_dn(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory, ldap_login_dn=None, ldap_login_password=None)
        assert log_in(server) == Identity("alice")
        assert directory.binds() == [(ALICE, PASSWORD)]

    def test_refused_login_dn_is_the_server_s_failure_and_not_the_user_s(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory, ldap_login_dn=f"cn=wrong,{BASE}")
        with pytest.raises(ServerFailed, match="ldap-login-dn: Invalid credentials"):
            log_in(server)
        gevent.sleep(0.02)
        assert directory.open_connections == 0

    def test_user_s_bind_never_happens_on_a_connection_that_searches(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory)
        for _ in range(3):
            log_in(server)
        searching = {asked.connection for asked in directory.searches()}
        binding = {asked.connection for asked in directory.asked if asked.tag == BIND and asked.name == ALICE}
        assert (len(searching), len(binding)) == (1, 1)
        assert searching.isdisjoint(binding)


class TestSettings:
    @pytest.mark.parametrize(("scope", "number"), [(LdapScope.ONELEVEL, b"\1"), (LdapScope.SUBTREE, b"\2")])
    def test_scope(self, directory: FakeDirectory, scope: LdapScope, number: bytes) -> None:
        log_in(ldap_server(directory, ldap_scope=scope))
        assert directory.searches()[0].fields[1] == number

    @pytest.mark.parametrize(
        "wrong",
        [
            {"ldap_base_dn": None},
            {"ldap_naming_attribute": None},
            {"ldap_login_password": None},
            {"ldap_login_dn": None},
            {"ldap_over_ssl": LdapTls.ENABLE},
            {"ldap_over_ssl": LdapTls.STARTTLS},
        ],
    )
    def test_settings_that_would_bind_or_connect_otherwise_than_meant_are_an_error(
        self, directory: FakeDirectory, wrong: dict[str, Any]
    ) -> None:
        """A login DN without a password would be an anonymous bind; TLS without a context would be none."""
        with pytest.raises(ValueError, match=r"dc1|ldap-over-ssl"):
            ldap_server(directory, **wrong)

    def test_context_where_no_tls_is_wanted_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="ldap-over-ssl"):
            LdapServer(settings_for(1), None, client_context(), dial)

    @pytest.mark.parametrize(("tls", "port"), [(LdapTls.ENABLE, 636), (LdapTls.STARTTLS, 389), (LdapTls.DISABLE, 389)])
    def test_port_when_none_is_set(self, tls: LdapTls, port: int) -> None:
        dialled = []

        def note(host: str, port: int, deadline: float) -> UpstreamConnection:
            dialled.append((host, port))
            raise UpstreamLost("refused")

        context = None if tls is LdapTls.DISABLE else client_context()
        server = LdapServer(settings_for(1, server_port=None, ldap_over_ssl=tls), None, context, note)
        with pytest.raises(ServerFailed, match="refused"):
            log_in(server)
        assert dialled == [("127.0.0.1", port)]


class TestTime:
    def test_silent_server_fails_after_its_timeout_and_the_hub_never_waits(self, directory: FakeDirectory) -> None:
        directory.behaviour = silent
        server = ldap_server(directory, timeout_s=0.2)
        started_at = time.monotonic()
        askers = [gevent.spawn(outcome, log_in, server) for _ in range(50)]
        worst, last = 0.0, time.monotonic()
        while not all(asker.ready() for asker in askers):
            gevent.sleep(0.001)
            worst, last = max(worst, time.monotonic() - last), time.monotonic()
        assert {type(asker.get()) for asker in askers} == {ServerFailed}
        assert 0.15 < time.monotonic() - started_at < 0.5
        assert worst < 0.05
        assert_sound(server, directory)

    def test_server_that_falls_silent_gets_no_more_searches_on_that_connection(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory, timeout_s=0.1)
        log_in(server)
        directory.behaviour = silent
        with pytest.raises(ServerFailed):
            log_in(server)
        directory.behaviour = usual
        assert log_in(server) == Identity("alice")
        assert len({asked.connection for asked in directory.searches()}) == 2

    def test_login_s_deadline_is_kept(self, directory: FakeDirectory) -> None:
        directory.behaviour = silent
        started_at = time.monotonic()
        with pytest.raises(ServerFailed):
            log_in(ldap_server(directory, timeout_s=10.0), seconds=0.05)
        assert time.monotonic() - started_at < 0.3

    def test_opening_goes_on_when_who_began_it_has_no_time_left(self, directory: FakeDirectory) -> None:
        directory.held.clear()
        server = ldap_server(directory)
        with pytest.raises(ServerFailed, match="no connection in time"):
            log_in(server, seconds=0.02)
        directory.held.set()
        assert log_in(server) == Identity("alice")
        assert len({asked.connection for asked in directory.asked if asked.tag == BIND and asked.name == LOGIN_DN}) == 1


class TestConnections:
    pytestmark = pytest.mark.usefixtures("open_descriptors")

    def test_hundreds_of_logins_at_once_share_few_connections(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory)
        askers = [gevent.spawn(outcome, log_in, server) for _ in range(300)]
        gevent.joinall(askers)
        assert {asker.get() for asker in askers} == {Identity("alice")}
        assert directory.connections <= 1 + pool.BIND_CONNECTIONS
        server.close()

    def test_busy_search_connection_gets_company(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory)
        log_in(server)
        directory.held.clear()
        askers = []
        for _ in range(3 * pool.SHARED_BY):
            askers.append(gevent.spawn(outcome, server.authorize, "alice", FACTS, in_time()))
            gevent.sleep(0)
        gevent.sleep(0.02)
        directory.held.set()
        gevent.joinall(askers)
        assert {asker.get() for asker in askers} == {Identity("alice")}
        assert len({asked.connection for asked in directory.searches()}) > 1
        server.close()

    def test_connections_that_the_server_closed_are_not_used_again(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory)
        log_in(server)
        directory.hang_up()
        gevent.sleep(0.02)
        assert log_in(server) == Identity("alice")
        server.close()

    def test_connection_that_breaks_while_in_use_is_replaced_once(self, directory: FakeDirectory) -> None:
        """As when the server closes it because it was idle, in the moment in which it is needed."""
        server = ldap_server(directory)
        log_in(server)
        for doomed in (SEARCH, BIND):
            breaks = [doomed]

            def break_once(asked: Asked, breaks: list[int] = breaks) -> Iterable[bytes]:
                if asked.tag in breaks:
                    breaks.clear()
                    directory.hang_up()
                    return []
                return usual(asked)

            directory.behaviour = break_once
            assert log_in(server) == Identity("alice")
        server.close()

    def test_connection_that_always_breaks_is_the_server_s_failure(self, directory: FakeDirectory) -> None:
        def always_break(asked: Asked) -> Iterable[bytes]:
            if asked.tag == SEARCH:
                directory.hang_up()
                return []
            return usual(asked)

        server = ldap_server(directory)
        log_in(server)
        directory.asked.clear()
        directory.behaviour = always_break
        with pytest.raises(ServerFailed):
            log_in(server)
        assert len(directory.searches()) == 2
        server.close()

    def test_server_that_cannot_be_reached(self, directory: FakeDirectory) -> None:
        directory.close()
        server = ldap_server(directory)
        askers = [gevent.spawn(outcome, log_in, server) for _ in range(20)]
        gevent.joinall(askers)
        assert {type(asker.get()) for asker in askers} == {ServerFailed}

    def test_idle_connections_are_closed_before_the_server_or_a_firewall_does(
        self, directory: FakeDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = ldap_server(directory)
        log_in(server)
        monkeypatch.setattr(pool, "IDLE_S", 0.01)
        gevent.sleep(0.03)
        assert log_in(server) == Identity("alice")
        assert directory.connections == 4
        gevent.sleep(0.02)
        assert sum(asked.tag == UNBIND for asked in directory.asked) == 2
        server.close()

    def test_close_leaves_nothing_open(self, directory: FakeDirectory) -> None:
        server = ldap_server(directory)
        log_in(server)
        server.close()
        gevent.sleep(0.02)
        assert directory.open_connections == 0


class TestSessionEnds:
    pytestmark = pytest.mark.usefixtures("open_descriptors")

    @pytest.mark.parametrize("with_connections", [False, True], ids=["first login", "later login"])
    @pytest.mark.parametrize("user", ["alice", "nobody"])
    def test_at_any_turn_of_the_hub_then_the_pool_is_sound(
        self, directory: FakeDirectory, with_connections: bool, user: str
    ) -> None:
        server = ldap_server(directory)
        if with_connections:
            log_in(server)
        ended_at = []
        for turns in range(1, 60):
            asker = gevent.spawn(outcome, log_in, server, user)
            for _ in range(turns):
                gevent.sleep(0.0001)
            asker.kill(SessionEnded(EndReason.EVICTED))
            if not isinstance(asker.get(), SessionEnded):
                break
            ended_at.append(turns)
            if not with_connections:
                server.close()
        assert len(ended_at) >= 3
        assert_sound(server, directory)
        server.close()

    @pytest.mark.parametrize("waits_for", ["opening", "gateway's bind", "search", "bind", "turn"])
    def test_while_it_waits_for_each_thing_then_the_pool_is_sound(
        self, directory: FakeDirectory, waits_for: str
    ) -> None:
        let_go = Event()

        def hold_back(asked: Asked) -> Iterable[bytes]:
            own = asked.tag == BIND and asked.name == LOGIN_DN
            held = {"gateway's bind": own, "search": asked.tag == SEARCH, "opening": own}
            held |= dict.fromkeys(["bind", "turn"], asked.tag == BIND and not own)
            if held[waits_for]:
                let_go.wait()
            return usual(asked)

        directory.behaviour = hold_back
        server = ldap_server(directory)
        number = pool.BIND_CONNECTIONS + 5 if waits_for == "turn" else 3
        askers = [gevent.spawn(outcome, log_in, server) for _ in range(number)]
        gevent.sleep(0 if waits_for == "opening" else 0.05)
        gevent.killall(askers, SessionEnded(EndReason.LOGGED_OFF))
        assert {type(asker.value) for asker in askers} <= {SessionEnded, type(None)}
        let_go.set()
        assert_sound(server, directory)
        server.close()

    def test_half_of_those_who_share_a_connection_then_the_other_half_logs_in(self, directory: FakeDirectory) -> None:
        directory.held.clear()
        server = ldap_server(directory)
        askers = [gevent.spawn(outcome, log_in, server) for _ in range(40)]
        gevent.sleep(0.02)
        gevent.killall(askers[::2], SessionEnded(EndReason.CLIENT_CLOSED))
        directory.held.set()
        gevent.joinall(askers)
        assert {asker.get() for asker in askers[1::2]} == {Identity("alice")}
        server.close()
