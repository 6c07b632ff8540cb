"""`outstanding` and simultaneous-logins over all workers of the running gateway."""

import imaplib

import pytest

from tests.support import clients
from tests.support.gateway import StartGateway
from tests.support.gateway import mail_server
from tests.support.peers import Dovecot
from tests.support.tls import CertificateAuthority
from tests.support.wire import Wire
from tests.support.wire import connect_tls

pytestmark = pytest.mark.integration


def greeted(port: int, ca: CertificateAuthority) -> Wire:
    client = connect_tls(port, ca.client_context())
    client.expect_line(rb"\* OK .*")
    return client


def test_the_oldest_silent_session_ends_then_the_oldest_at_its_login_and_never_one_that_is_in(
    gateway: StartGateway, dovecot: Dovecot, ca: CertificateAuthority
) -> None:
    running = gateway({"gateway": {"workers": 2}}, imap4s=mail_server(dovecot.imap_port, outstanding=5))
    port = running.ports["imap4s"]
    insiders = []
    for _ in range(3):
        insider = greeted(port, ca)
        insider.send(b"a LOGIN alice secret\r\n")
        insider.expect_line(rb"a OK .*")
        insiders.append(insider)
    silent = [greeted(port, ca) for _ in range(2)]
    named = []
    for _ in range(3):
        client = greeted(port, ca)
        client.send(b"a AUTHENTICATE LOGIN YWxpY2U=\r\n")
        client.expect_line(rb"\+ .*")
        named.append(client)
    for victim in (*silent, *named):
        newcomer = greeted(port, ca)
        newcomer.send(b"a AUTHENTICATE LOGIN YWxpY2U=\r\n")
        newcomer.expect_line(rb"\+ .*")
        victim.expect_line(rb"\* BYE \[UNAVAILABLE\].*")
        victim.expect_end()
        victim.close()
        named.append(newcomer)
    running.log.wait_for("session_end", reason="evicted", count=5)
    for insider in insiders:
        insider.send(b"b NOOP\r\n")
        insider.expect_line(rb"b OK.*")
        insider.close()
    for client in named[3:]:
        client.close()


def test_one_login_too_many_is_refused_and_the_others_live_on(
    gateway: StartGateway, dovecot: Dovecot, ca: CertificateAuthority
) -> None:
    running = gateway(
        {
            "gateway": {"workers": 2},
            "group-policy FEW": {"simultaneous-logins": 2, "count-logins-by": "session"},
            "imap4s": mail_server(dovecot.imap_port, default_group_policy="FEW"),
        }
    )
    first, second = (clients.imap(running.ports["imap4s"], ca) for _ in range(2))
    first.login("alice", "secret")
    second.login("alice", "secret")
    with (
        clients.imap(running.ports["imap4s"], ca) as third,
        pytest.raises(imaplib.IMAP4.error, match=r"\[LIMIT\]"),
    ):
        third.login("alice", "secret")
    with clients.imap(running.ports["imap4s"], ca) as other:
        other.login("bob", "secret")
    assert first.noop()[0] == "OK"
    first.logout()
    running.log.wait_for("session_end", user="alice")
    with clients.imap(running.ports["imap4s"], ca) as third:
        third.login("alice", "secret")
    second.logout()


def test_devices_count_by_address(gateway: StartGateway, dovecot: Dovecot, ca: CertificateAuthority) -> None:
    running = gateway(
        {
            "group-policy FEW": {"simultaneous-logins": 1},
            "imap4s": mail_server(dovecot.imap_port, default_group_policy="FEW"),
        }
    )
    sessions = [clients.imap(running.ports["imap4s"], ca) for _ in range(5)]
    for session in sessions:
        session.login("alice", "secret")
    for session in sessions:
        session.logout()
