"""Real mail programs through the running gateway to real mail servers: every protocol, every way to log in."""

import imaplib
import poplib
import smtplib
from collections.abc import Mapping

import pytest

from gateway.aaa.local import hash_password
from tests.support import clients
from tests.support.fakes import refusing_port
from tests.support.gateway import RunningGateway
from tests.support.gateway import Section
from tests.support.gateway import StartGateway
from tests.support.gateway import Value
from tests.support.gateway import mail_server
from tests.support.peers import Dovecot
from tests.support.peers import Postfix
from tests.support.peers import SmtpSink
from tests.support.peers import StartPeer
from tests.support.peers.dovecot import Tls
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority

pytestmark = pytest.mark.integration

LETTER = "Subject: {0}\r\nFrom: a@example.test\r\nTo: b@example.test\r\n\r\nHello\r\n"
# What a login may hold, at the limits of each grammar; every one is a user of its own.
ODD_PASSWORDS = {
    "blank": "two words",
    "quote": 'a"b',
    "backslash": "a\\b",
    "brace": "{5}",
    "literal": "{5+}",
    "percent": "%s%n%d",
    "star": "*",
    "umlaut": "grüße",
    "long": "x" * 1000,
}


def three(dovecot: Dovecot, postfix: Postfix, **settings: Value) -> Mapping[str, Section]:
    return {
        "imap4s": mail_server(dovecot.imap_port, **settings),
        "pop3s": mail_server(dovecot.pop3_port, **settings),
        "smtps": mail_server(postfix.port, **{"authentication": "mailhost", **settings}),
    }


@pytest.fixture
def running(gateway: StartGateway, dovecot: Dovecot, postfix: Postfix) -> RunningGateway:
    return gateway(three(dovecot, postfix, failure_delay="100ms"))


def test_imaplib_reads_a_message(running: RunningGateway, dovecot: Dovecot, ca: CertificateAuthority) -> None:
    running.canary("secret")
    dovecot.deliver("imap-reader", LETTER.format("read by imaplib").encode())
    with clients.imap(running.ports["imap4s"], ca) as imap:
        imap.login("imap-reader", "secret")
        assert "IDLE" in imap.capabilities
        imap.select("INBOX")
        _, data = imap.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])")
        assert b"read by imaplib" in data[0][1]


def test_imaplib_authenticates_by_plain(running: RunningGateway, ca: CertificateAuthority) -> None:
    with clients.imap(running.ports["imap4s"], ca) as imap:
        imap.authenticate("PLAIN", lambda _challenge: b"\0alice\0secret")
        assert imap.select("INBOX")[0] == "OK"


def test_poplib_reads_a_message(running: RunningGateway, dovecot: Dovecot, ca: CertificateAuthority) -> None:
    dovecot.deliver("pop-reader", LETTER.format("read by poplib").encode())
    pop = clients.pop3(running.ports["pop3s"], ca)
    pop.user("pop-reader")
    pop.pass_("secret")
    assert pop.stat()[0] == 1
    assert b"Subject: read by poplib" in pop.retr(1)[1]
    pop.quit()


def test_smtplib_sends_a_message(running: RunningGateway, postfix: Postfix, ca: CertificateAuthority) -> None:
    with clients.smtp(running.ports["smtps"], ca) as smtp:
        smtp.login("alice", "secret")
        smtp.sendmail("a@example.test", ["b@example.test"], LETTER.format("sent by smtplib"))
    assert postfix.wait_for_message("sent by smtplib")


def test_curl_speaks_all_three(
    running: RunningGateway, dovecot: Dovecot, postfix: Postfix, ca: CertificateAuthority
) -> None:
    dovecot.deliver("curl", LETTER.format("for curl").encode())
    login = {"user": "curl", "password": "secret"}
    imap = clients.curl(f"imaps://127.0.0.1:{running.ports['imap4s']}/INBOX;MAILINDEX=1", ca, **login)
    assert "Subject: for curl" in imap.succeeded().output
    pop = clients.curl(f"pop3s://127.0.0.1:{running.ports['pop3s']}/1", ca, **login)
    assert "Subject: for curl" in pop.succeeded().output
    envelope = ("--mail-from", "a@example.test", "--mail-rcpt", "b@example.test", "-T", "-")
    smtp = clients.curl(
        f"smtps://127.0.0.1:{running.ports['smtps']}", ca, *envelope, stdin=LETTER.format("sent by curl"), **login
    )
    smtp.succeeded()
    assert postfix.wait_for_message("sent by curl")


def test_swaks_sends_by_plain_and_by_login(running: RunningGateway, postfix: Postfix, ca: CertificateAuthority) -> None:
    for mechanism in ("PLAIN", "LOGIN"):
        subject = f"sent by swaks {mechanism}"
        options = ("--auth", mechanism, "--header", f"Subject: {subject}")
        clients.swaks(running.ports["smtps"], ca, *options, user="alice", password="secret").succeeded()
        assert postfix.wait_for_message(subject)


def test_a_wrong_password_is_told_in_each_protocols_words(running: RunningGateway, ca: CertificateAuthority) -> None:
    running.canary("wr0ngpass")
    with (
        clients.imap(running.ports["imap4s"], ca) as imap,
        pytest.raises(imaplib.IMAP4.error, match=r"\[AUTHENTICATIONFAILED\]"),
    ):
        imap.login("alice", "wr0ngpass")
    pop = clients.pop3(running.ports["pop3s"], ca)
    pop.user("alice")
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
        pop.pass_("wr0ngpass")
    pop.close()
    with clients.smtp(running.ports["smtps"], ca) as smtp:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            smtp.login("alice", "wr0ngpass")
        assert refused.value.smtp_code == 535
        assert refused.value.smtp_error.startswith(b"5.7.8")
    for protocol in ("imap4s", "pop3s", "smtps"):
        running.log.wait_for("auth_failed", protocol=protocol, reason="upstream-rejected", user="alice")


def test_a_refused_login_may_be_tried_again(running: RunningGateway, ca: CertificateAuthority) -> None:
    with clients.imap(running.ports["imap4s"], ca) as imap:
        with pytest.raises(imaplib.IMAP4.error):
            imap.login("alice", "wrong")
        assert imap.login("alice", "secret")[0] == "OK"


def test_odd_passwords_arrive_as_they_were_typed(
    gateway: StartGateway, start_peer: StartPeer, ca: CertificateAuthority
) -> None:
    dovecot = start_peer(Dovecot(users=ODD_PASSWORDS))
    running = gateway(imap4s=mail_server(dovecot.imap_port), pop3s=mail_server(dovecot.pop3_port))
    for user, password in ODD_PASSWORDS.items():
        imap_login = f"\0{user}\0{password}".encode()
        with clients.imap(running.ports["imap4s"], ca) as imap:
            imap.authenticate("PLAIN", lambda _challenge, octets=imap_login: octets)
        clients.curl(f"pop3s://127.0.0.1:{running.ports['pop3s']}/", ca, user=user, password=password).succeeded()


def test_vpn_user_and_mail_user_each_with_a_password(
    gateway: StartGateway, start_peer: StartPeer, ca: CertificateAuthority
) -> None:
    dovecot = start_peer(Dovecot(users={"alice": "m4ilpass"}))
    aaa: Mapping[str, Value] = {
        "authentication": "aaa mailhost",
        "authentication_server_group": "STAFF",
        "default_group_policy": "MAIL",
        "failure_delay": "100ms",
        "allowed_servers": "localhost",
    }
    running = gateway(
        {
            "imap4s": mail_server(dovecot.imap_port, **aaa),
            "pop3s": mail_server(dovecot.pop3_port, **aaa),
            "aaa-server-group STAFF": {"protocol": "local"},
            "group-policy MAIL": {},
            "user vpn": {"password": hash_password(b"vpnpass")},
        }
    )
    running.canary("vpnpass")
    running.canary("m4ilpass")
    for name in ("vpn:alice", "vpn:alice@localhost"):
        with clients.imap(running.ports["imap4s"], ca) as imap:
            imap.login(name, "vpnpass:m4ilpass")
    login = running.log.wait_for("login", user="vpn", mail_user="alice", server="localhost")
    assert login["group_policy"] == "MAIL"
    pop = clients.pop3(running.ports["pop3s"], ca)
    pop.user("vpn:alice")
    pop.pass_("vpnpass:m4ilpass")
    pop.quit()
    for password in ("vpnpass:wrong", "wrong:m4ilpass", "vpnpass"):
        with (
            clients.imap(running.ports["imap4s"], ca) as imap,
            pytest.raises(imaplib.IMAP4.error, match=r"\[AUTHENTICATIONFAILED\]"),
        ):
            imap.login("vpn:alice", password)


def test_smtps_with_aaa_alone_needs_no_login_at_the_mail_server(
    gateway: StartGateway, start_peer: StartPeer, ca: CertificateAuthority
) -> None:
    sink = start_peer(SmtpSink())
    running = gateway(
        {
            "smtps": mail_server(sink.port, authentication_server_group="STAFF", default_group_policy="MAIL"),
            "aaa-server-group STAFF": {"protocol": "local"},
            "group-policy MAIL": {},
            "user vpn": {"password": hash_password(b"vpnpass")},
        }
    )
    with clients.smtp(running.ports["smtps"], ca) as smtp:
        smtp.login("vpn", "vpnpass")
        smtp.sendmail("a@example.test", ["b@example.test"], LETTER.format("for the sink"))


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_tls_to_the_mail_server_is_verified(
    mode: str, gateway: StartGateway, start_peer: StartPeer, certificate: Certificate, ca: CertificateAuthority
) -> None:
    dovecot = start_peer(Dovecot(certificate, tls=Tls.REQUIRED))
    imap_port = dovecot.imaps_port if mode == "implicit" else dovecot.imap_port
    pop3_port = dovecot.pop3s_port if mode == "implicit" else dovecot.pop3_port
    tls: Mapping[str, Value] = {"server_tls": mode, "server_ca": str(ca.path), "server_name": "localhost"}
    running = gateway(
        imap4s=mail_server(imap_port, dovecot.host, **tls), pop3s=mail_server(pop3_port, dovecot.host, **tls)
    )
    with clients.imap(running.ports["imap4s"], ca) as imap:
        imap.login("alice", "secret")
    pop = clients.pop3(running.ports["pop3s"], ca)
    pop.user("alice")
    pop.pass_("secret")
    pop.quit()


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_certificate_for_another_name_is_an_outage_and_no_password_goes_there(
    mode: str, gateway: StartGateway, dovecot: Dovecot, ca: CertificateAuthority
) -> None:
    port = dovecot.imaps_port if mode == "implicit" else dovecot.imap_port
    running = gateway(
        imap4s=mail_server(port, server_tls=mode, server_ca=str(ca.path), server_name="other.example.test")
    )
    with (
        clients.imap(running.ports["imap4s"], ca) as imap,
        pytest.raises(imaplib.IMAP4.error, match=r"\[UNAVAILABLE\]"),
    ):
        imap.login("alice", "secret")
    failed = running.log.wait_for("auth_failed", reason="upstream-unavailable")
    assert "mismatch" in failed["detail"]


def test_postfix_by_starttls(gateway: StartGateway, postfix: Postfix, ca: CertificateAuthority) -> None:
    running = gateway(
        smtps=mail_server(postfix.port, authentication="mailhost", server_tls="starttls", server_ca=str(ca.path))
    )
    with clients.smtp(running.ports["smtps"], ca) as smtp:
        smtp.login("alice", "secret")
        smtp.sendmail("a@example.test", ["b@example.test"], LETTER.format("by starttls"))
    assert postfix.wait_for_message("by starttls")


def test_a_mail_server_that_is_away_is_no_wrong_password(gateway: StartGateway, ca: CertificateAuthority) -> None:
    running = gateway(
        imap4s=mail_server(refusing_port()),
        pop3s=mail_server(refusing_port()),
        smtps=mail_server(refusing_port(), authentication="mailhost"),
    )
    with (
        clients.imap(running.ports["imap4s"], ca) as imap,
        pytest.raises(imaplib.IMAP4.error, match=r"\[UNAVAILABLE\]"),
    ):
        imap.login("alice", "secret")
    pop = clients.pop3(running.ports["pop3s"], ca)
    pop.user("alice")
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\]"):
        pop.pass_("secret")
    pop.close()
    with clients.smtp(running.ports["smtps"], ca) as smtp:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            smtp.login("alice", "secret")
        assert refused.value.smtp_code == 454
