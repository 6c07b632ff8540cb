"""LDAP against OpenLDAP's slapd: TLS, names that need escaping, referrals, silence, and what administrators map."""
# ruff: noqa: N802  incidents keep their numbers

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import ldap
import pytest

from gateway.aaa.base import AaaServer
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.base import ServerFailed
from gateway.aaa.group import ServerGroup
from gateway.aaa.health import OwnHealth
from gateway.aaa.ldap.server import LdapServer
from gateway.config.attributes import MapName
from gateway.config.attributes import MapValue
from gateway.config.model.aaa import AaaServerGroup
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.aaa import AttributeMap
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import LdapScope
from gateway.config.model.words import LdapTls
from gateway.config.secret import Secret
from gateway.errors import Refused
from gateway.log import Log
from gateway.outcome import Refusal
from gateway.transport.tls import client_context
from gateway.transport.upstream import GeventConnector
from gateway.upstream.connect import Dialer
from gateway.upstream.resolve import Resolver
from tests.support.peers import OpenLdap
from tests.support.peers import StartPeer
from tests.support.peers.openldap import BASE_DN
from tests.support.peers.openldap import LOGIN_DN
from tests.support.peers.openldap import LOGIN_PASSWORD
from tests.support.peers.openldap import ODD_USER
from tests.support.peers.openldap import PASSWORD
from tests.support.peers.openldap import PEOPLE_DN
from tests.support.ports import LOOPBACK
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority

pytestmark = pytest.mark.integration

FACTS = ClientFacts("imap4s", "outside", "192.0.2.1", None)
STALL_S = 0.05
MAPPED = AttributeMap(
    name="ADMAP",
    map_name=(MapName("memberOf", "IETF-Radius-Class"), MapName("employeeNumber", "Simultaneous-Logins")),
    map_value=(
        MapValue("memberOf", f"CN=Nobody,OU=Groups,{BASE_DN}", "NOBODY"),
        MapValue("memberOf", f"cn=mail,ou=groups,{BASE_DN}", "MAILUSERS"),
    ),
)
PASSWORD_POLICY = "pwdAttribute: userPassword\npwdMaxAge: 86400\npwdMustChange: TRUE\npwdLockout: TRUE\n"
HOSTILE_NAMES = [
    "*",
    "a*",
    "alice*",
    "*)(uid=*",
    "a)(|(uid=b",
    "alice)(objectClass=*",
    "*)(objectClass=*",
    "\\2a",
    "alice\\00",
    "alice\0",
    "cn=x,dc=y",
    f"uid=alice,{PEOPLE_DN}",
    "ä",
    "\r\nalice",
    "a" * 4096,
    "ü" * 2048,
]


def server(peer: OpenLdap, ca: CertificateAuthority | None = None, **different: Any) -> LdapServer:
    """For this slapd. ca: whom to trust; it decides nothing about whether TLS is used."""
    tls = different.setdefault("ldap_over_ssl", LdapTls.DISABLE)
    usual: dict[str, Any] = {
        "group": "AD",
        "label": "dc1",
        "host": LOOPBACK,
        "server_port": peer.ldaps_port if tls is LdapTls.ENABLE else peer.port,
        "timeout_s": 5.0,
        "ldap_base_dn": BASE_DN,
        "ldap_scope": LdapScope.SUBTREE,
        "ldap_naming_attribute": "sAMAccountName",
        "ldap_login_dn": LOGIN_DN,
        "ldap_login_password": Secret(LOGIN_PASSWORD, is_bare=True),
    }
    context = None if tls is LdapTls.DISABLE else client_context(ca.path if ca else None)
    dialer = Dialer(GeventConnector(), Resolver())
    return LdapServer(AaaServerSettings(**{**usual, **different}), MAPPED, context, dialer.dial)


def log_in(one: AaaServer, user: str = "alice", password: str | bytes = PASSWORD, seconds: float = 10.0) -> Identity:
    octets = password.encode() if isinstance(password, str) else password
    return one.authenticate(user, octets, FACTS, time.monotonic() + seconds)


def refusal(one: AaaServer, user: str = "alice", password: str | bytes = PASSWORD) -> Refusal:
    with pytest.raises(Refused) as refused:
        log_in(one, user, password)
    return refused.value.refusal


def failure(one: AaaServer) -> str:
    with pytest.raises(ServerFailed) as failed:
        log_in(one)
    return str(failed.value)


def _starved_s() -> float:
    """How long this thread could have run and had no processor: others' doing, not a wait of ours. proc(5)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


@contextmanager
def unstalled_hub() -> Iterator[None]:
    """Fails when the hub did nothing else for STALL_S. One hiccup is the machine's, but not one as long as a wait."""
    stalls: list[float] = []

    def tick() -> None:
        while True:
            began, starved_s = time.monotonic(), _starved_s()
            gevent.sleep(0.002)
            stall_s = time.monotonic() - began - (_starved_s() - starved_s)
            if stall_s > STALL_S:
                stalls.append(stall_s)

    ticker = gevent.spawn(tick)
    gevent.sleep(0.01)
    try:
        yield
        gevent.sleep(0.01)
    finally:
        ticker.kill()
    assert len(stalls) <= 1
    assert max(stalls, default=0) < 0.15


@pytest.mark.parametrize("tls", LdapTls)
def test_login_by_each_way_to_connect(openldap: OpenLdap, ca: CertificateAuthority, tls: LdapTls) -> None:
    one = server(openldap, ca, ldap_over_ssl=tls)
    assert log_in(one) == Identity("alice", "MAILUSERS")
    assert log_in(one, "ALICE") == Identity("alice", "MAILUSERS")
    assert log_in(one, "bob") == Identity("bob")
    assert log_in(one, ODD_USER).user == ODD_USER
    assert refusal(one, password="wrong") is Refusal.BAD_CREDENTIALS
    assert refusal(one, "nobody") is Refusal.BAD_CREDENTIALS
    assert one.authorize("alice", FACTS, time.monotonic() + 5) == Identity("alice", "MAILUSERS")
    one.close()


@pytest.mark.parametrize("tls", LdapTls)
def test_two_hundred_logins_at_once(openldap: OpenLdap, ca: CertificateAuthority, tls: LdapTls) -> None:
    one = server(openldap, ca, ldap_over_ssl=tls)
    users = {"alice": PASSWORD, "bob": PASSWORD, ODD_USER: PASSWORD}
    askers = [(user, gevent.spawn(log_in, one, user, users[user])) for _ in range(67) for user in users]
    assert [asker.get(timeout=20).user for _, asker in askers] == [user for user, _ in askers]
    one.close()


class TestCertificate:
    @pytest.mark.parametrize("tls", [LdapTls.ENABLE, LdapTls.STARTTLS])
    def test_inc_C6_unknown_authority_fails(
        self, openldap: OpenLdap, tmp_path_factory: pytest.TempPathFactory, tls: LdapTls
    ) -> None:
        other = CertificateAuthority(tmp_path_factory.mktemp("other"), "Other CA")
        assert "unknown authority" in failure(server(openldap, other, ldap_over_ssl=tls))
        assert "unknown authority" in failure(server(openldap, None, ldap_over_ssl=tls))

    @pytest.mark.parametrize("tls", [LdapTls.ENABLE, LdapTls.STARTTLS])
    def test_wrong_name_fails_and_server_name_says_the_right_one(
        self, start_peer: StartPeer, ca: CertificateAuthority, tls: LdapTls
    ) -> None:
        peer = start_peer(OpenLdap(ca.issue("dc1.example.test")))
        assert "127.0.0.1" in failure(server(peer, ca, ldap_over_ssl=tls))
        assert log_in(server(peer, ca, ldap_over_ssl=tls, server_name="dc1.example.test")).user == "alice"

    def test_starttls_that_the_server_does_not_know_fails(
        self, start_peer: StartPeer, ca: CertificateAuthority
    ) -> None:
        peer = start_peer(OpenLdap())
        assert "refuses StartTLS" in failure(server(peer, ca, ldap_over_ssl=LdapTls.STARTTLS))

    def test_tls_and_plain_crossed_fail_at_once(self, openldap: OpenLdap, ca: CertificateAuthority) -> None:
        started_at = time.monotonic()
        failure(server(openldap, ca, ldap_over_ssl=LdapTls.ENABLE, server_port=openldap.port))
        failure(server(openldap, ca, ldap_over_ssl=LdapTls.STARTTLS, server_port=openldap.ldaps_port, timeout_s=1.0))
        failure(server(openldap, server_port=openldap.ldaps_port, timeout_s=1.0))
        assert time.monotonic() - started_at < 4


class TestInjection:
    @pytest.mark.parametrize("user", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
    def test_inc_C5_hostile_name_is_no_hit(self, openldap: OpenLdap, user: str) -> None:
        one = server(openldap)
        assert refusal(one, user) is Refusal.BAD_CREDENTIALS
        with pytest.raises(Refused):
            one.authorize(user, FACTS, time.monotonic() + 5)
        one.close()

    @pytest.mark.parametrize("password", ["*", "sec*", "secret\0", "secret ", "Secret", "s" * 4096, b"\xff\xfe", "{}"])
    def test_password_is_compared_octet_for_octet(self, openldap: OpenLdap, password: str | bytes) -> None:
        assert refusal(server(openldap), password=password) is Refusal.BAD_CREDENTIALS

    def test_password_of_8_bit_text(self, start_peer: StartPeer) -> None:
        peer = start_peer(OpenLdap(entries=a_person("umlaut", password="grüße")))
        assert log_in(server(peer), "umlaut", "grüße").user == "umlaut"
        assert refusal(server(peer), "umlaut", "grüße".encode("latin-1")) is Refusal.BAD_CREDENTIALS


def test_inc_C4_unauthenticated_bind(start_peer: StartPeer) -> None:
    """Where the server takes an empty password for an anonymous bind, as Active Directory does, nobody logs in so."""
    peer = start_peer(OpenLdap(settings="allow bind_anon_cred bind_anon_dn"))
    raw = ldap.initialize(peer.url)
    raw.simple_bind_s(f"uid=alice,{PEOPLE_DN}", "")  # it succeeds: the danger is there
    assert raw.whoami_s() == ""
    raw.unbind_s()
    one = server(peer)
    assert refusal(one, password="") is Refusal.BAD_CREDENTIALS
    assert refusal(one, "nobody", "") is Refusal.BAD_CREDENTIALS
    assert refusal(one, password="\0") is Refusal.BAD_CREDENTIALS
    assert log_in(one).user == "alice"


class TestAnswers:
    def test_two_entries_with_one_name_are_no_hit(self, start_peer: StartPeer) -> None:
        entries = f"{a_person('twin', unit='one')}\n{a_person('twin', unit='two')}\n{a_person('twin', unit='three')}"
        one = server(start_peer(OpenLdap(entries=f"{a_unit('one')}\n{a_unit('two')}\n{a_unit('three')}\n{entries}")))
        assert refusal(one, "twin") is Refusal.BAD_CREDENTIALS
        assert log_in(one).user == "alice"

    def test_anonymous_search(self, openldap: OpenLdap) -> None:
        one = server(openldap, ldap_login_dn=None, ldap_login_password=None)
        assert log_in(one) == Identity("alice", "MAILUSERS")

    def test_scope_onelevel_does_not_look_deeper(self, openldap: OpenLdap) -> None:
        assert refusal(server(openldap, ldap_scope=LdapScope.ONELEVEL)) is Refusal.BAD_CREDENTIALS
        one = server(openldap, ldap_scope=LdapScope.ONELEVEL, ldap_base_dn=PEOPLE_DN)
        assert log_in(one).user == "alice"

    def test_wrong_base_or_login_dn_is_not_the_user_s_fault(self, openldap: OpenLdap) -> None:
        assert "No such object (32)" in failure(server(openldap, ldap_base_dn="dc=elsewhere"))
        wrong = Secret("wrong", is_bare=True)
        assert "ldap-login-dn: Invalid credentials" in failure(server(openldap, ldap_login_password=wrong))

    def test_attribute_that_limits_the_user(self, start_peer: StartPeer) -> None:
        peer = start_peer(OpenLdap(entries=a_person("limited", more="employeeNumber: 2")))
        assert log_in(server(peer), "limited") == Identity("limited", None, Overrides(simultaneous_logins=2))

    def test_password_policy_says_expired_reset_and_locked(self, start_peer: StartPeer) -> None:
        entries = "\n".join(
            [
                f"dn: cn=policy,{BASE_DN}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n{PASSWORD_POLICY}",
                a_person("expired", more="pwdChangedTime: 20200101000000Z"),
                a_person("reset", more="pwdReset: TRUE"),
                a_person("locked", more="pwdAccountLockedTime: 000001010000Z"),
            ]
        )
        one = server(start_peer(WithPasswordPolicy(entries=entries, settings="moduleload ppolicy")))
        assert refusal(one, "expired") is Refusal.EXPIRED
        assert refusal(one, "reset") is Refusal.EXPIRED
        assert refusal(one, "locked") is Refusal.LOGIN_DISABLED
        assert refusal(one, "expired", "wrong") is Refusal.BAD_CREDENTIALS
        assert log_in(one).user == "alice"


def test_inc_C6_referral_loop(start_peer: StartPeer) -> None:
    """References are neither followed nor hits: not to this server itself, and not to where nothing answers."""
    peer = OpenLdap()
    peer.entries = f"{a_referral('loop', f'{peer.url}/ou=loop,{BASE_DN}')}\n{a_referral('hole', 'ldap://192.0.2.1/')}"
    start_peer(peer)
    started_at = time.monotonic()
    with unstalled_hub():
        assert log_in(server(peer)).user == "alice"
        assert refusal(server(peer), "nobody") is Refusal.BAD_CREDENTIALS
        assert "Referral (10)" in failure(server(peer, ldap_base_dn=f"ou=loop,{BASE_DN}"))
        assert "Referral (10)" in failure(server(peer, ldap_base_dn=f"ou=x,ou=hole,{BASE_DN}"))
    assert time.monotonic() - started_at < 2


class TestSilence:
    @pytest.mark.parametrize("tls", LdapTls)
    def test_inc_F4_server_stops_answering(
        self, start_peer: StartPeer, certificate: Certificate, ca: CertificateAuthority, tls: LdapTls
    ) -> None:
        """Those who wait fail in time, the others' sessions go on meanwhile, and it serves again once it is back."""
        peer = start_peer(OpenLdap(certificate))
        one = server(peer, ca, ldap_over_ssl=tls, timeout_s=0.3)
        assert log_in(one).user == "alice"
        peer.pause()
        started_at = time.monotonic()
        with unstalled_hub():
            askers = [gevent.spawn(failure, one) for _ in range(50)]
            gevent.joinall(askers)
        assert {asker.get() for asker in askers} == {"no answer in time"}
        assert 0.25 < time.monotonic() - started_at < 0.8
        with unstalled_hub():
            failure(one)  # on a connection that has to be made first
        peer.resume()
        assert log_in(one).user == "alice"
        one.close()

    @pytest.mark.parametrize("tls", LdapTls)
    def test_inc_F4_listener_never_accepts(self, openldap: OpenLdap, ca: CertificateAuthority, tls: LdapTls) -> None:
        with socket.create_server((LOOPBACK, 0)) as listener:
            one = server(openldap, ca, ldap_over_ssl=tls, server_port=listener.getsockname()[1], timeout_s=0.2)
            started_at = time.monotonic()
            with unstalled_hub():
                askers = [gevent.spawn(failure, one) for _ in range(20)]
                gevent.joinall(askers)
        assert all(asker.successful() for asker in askers)
        assert time.monotonic() - started_at < 0.6

    def test_inc_F4_next_server_of_the_group_answers(self, start_peer: StartPeer) -> None:
        """Three logins wait for the silent one; the others do not."""
        silent_peer, good_peer = start_peer(OpenLdap()), start_peer(OpenLdap())
        silent_peer.pause()
        configured = AaaServerGroup(name="AD", protocol=AaaProtocol.LDAP, max_failed_attempts=3)
        servers = [server(silent_peer, label="dc1", timeout_s=0.1), server(good_peer, label="dc2")]
        group = ServerGroup(configured, servers, OwnHealth(), Log(descriptor=-1))
        times_s = []
        for _ in range(6):
            started_at = time.monotonic()
            assert group.authenticate("alice", PASSWORD.encode(), FACTS, started_at + 5).user == "alice"
            times_s.append(time.monotonic() - started_at)
        assert [elapsed_s > 0.09 for elapsed_s in times_s] == [True, True, True, False, False, False]

    def test_server_is_restarted(self, start_peer: StartPeer) -> None:
        peer = start_peer(OpenLdap())
        one = server(peer)
        assert log_in(one).user == "alice"
        peer.stop()
        assert "refused" in failure(one)
        peer.restart()
        assert log_in(one).user == "alice"


class WithPasswordPolicy(OpenLdap):
    """The overlay has to stand behind the database."""

    def configure(self) -> None:
        super().configure()
        with (self.directory / "slapd.conf").open("a") as configuration:
            configuration.write(f'overlay ppolicy\nppolicy_default "cn=policy,{BASE_DN}"\nppolicy_use_lockout\n')


def a_person(name: str, *, unit: str = "people", password: str = PASSWORD, more: str = "") -> str:
    lines = [
        f"dn: uid={name},ou={unit},{BASE_DN}",
        *("objectClass: inetOrgPerson", "objectClass: adUser"),
        *(f"uid: {name}", f"sAMAccountName: {name}", f"cn: {name}", "sn: X", f"userPassword: {password}"),
        *([more] if more else []),
    ]
    return "\n".join(lines) + "\n"


def a_unit(name: str) -> str:
    return f"dn: ou={name},{BASE_DN}\nobjectClass: organizationalUnit\nou: {name}\n"


def a_referral(name: str, url: str) -> str:
    return f"dn: ou={name},{BASE_DN}\nobjectClass: referral\nobjectClass: extensibleObject\nou: {name}\nref: {url}\n"
