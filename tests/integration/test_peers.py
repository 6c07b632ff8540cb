"""The peers answer, as the tests that stand on them take for granted."""

import imaplib
import os
import poplib
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support import clients
from tests.support import processes
from tests.support.gateway import REPOSITORY
from tests.support.peers import Dovecot
from tests.support.peers import FreeRadius
from tests.support.peers import OpenLdap
from tests.support.peers import PeerError
from tests.support.peers import Postfix
from tests.support.peers import Redis
from tests.support.peers import SmtpSink
from tests.support.peers import StartPeer
from tests.support.peers import Tls
from tests.support.peers import dovecot as dovecot_module
from tests.support.peers import freeradius as freeradius_module
from tests.support.peers import openldap as openldap_module
from tests.support.ports import LOOPBACK
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority
from tests.support.waiting import wait_until
from tests.support.wire import connect

pytestmark = pytest.mark.integration

TIMEOUT_S = 10
MESSAGE = b"From: a@example.test\r\nSubject: first\r\n\r\nHello\r\n"
KILLED_RUN = """
import signal, sys
from pathlib import Path
from tests.support.peers import Redis
print(Redis().start(Path(sys.argv[1])).pid, flush=True)
signal.pause()
"""
ODD_PASSWORDS = {
    "quotes": "a\"b'c",
    "backslash": "a\\b\\\\",
    "blanks": " a  b ",
    "braces": "{5}a{b}",
    "colon": "a:b::c",
    "8-bit": "pä$$wörd",
}


def imap_login(port: int, user: str, password: str | bytes) -> imaplib.IMAP4:
    """By AUTHENTICATE PLAIN, which takes any password."""
    client = imaplib.IMAP4(LOOPBACK, port, timeout=TIMEOUT_S)
    octets = password if isinstance(password, bytes) else password.encode()
    try:
        client.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + octets)
    except BaseException:
        client.shutdown()
        raise
    return client


class TestDovecot:
    def test_imap_plain_when_password_is_right_then_delivered_message_is_there(self, dovecot: Dovecot) -> None:
        dovecot.deliver("peer-imap", MESSAGE)
        with imap_login(dovecot.imap_port, "peer-imap", dovecot_module.PASSWORD) as client:
            assert client.select()[1] == [b"1"]
            assert client.fetch("1", "(BODY[])")[1][0][1] == MESSAGE  # type: ignore[index]
        assert dovecot.messages("peer-imap") == [MESSAGE]

    def test_imap_plain_when_password_is_wrong_then_no(self, dovecot: Dovecot) -> None:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap_login(dovecot.imap_port, "peer-imap", "wrong")

    def test_imap_when_tls_is_implicit_then_verified(self, dovecot: Dovecot, ca: CertificateAuthority) -> None:
        with clients.imap(dovecot.imaps_port, ca) as client:
            assert client.login("peer", dovecot_module.PASSWORD)[0] == "OK"

    def test_imap_when_starttls_then_login(self, dovecot: Dovecot, ca: CertificateAuthority) -> None:
        with imaplib.IMAP4(LOOPBACK, dovecot.imap_port, timeout=TIMEOUT_S) as client:
            client.starttls(ca.client_context())
            assert client.login("peer", dovecot_module.PASSWORD)[0] == "OK"

    def test_pop3_when_password_is_right_then_delivered_message_is_there(
        self, dovecot: Dovecot, ca: CertificateAuthority
    ) -> None:
        dovecot.deliver("peer-pop3", MESSAGE)
        for client in (
            poplib.POP3(LOOPBACK, dovecot.pop3_port, timeout=TIMEOUT_S),
            clients.pop3(dovecot.pop3s_port, ca),
        ):
            client.user("peer-pop3")
            client.pass_(dovecot_module.PASSWORD)
            assert b"\r\n".join(client.retr(1)[1]) + b"\r\n" == MESSAGE
            client.quit()

    def test_user_name_when_it_is_a_path_then_a_mailbox_inside_the_directory(self, dovecot: Dovecot) -> None:
        user = "../../peer/" + "x" * 200
        with imap_login(dovecot.imap_port, user, dovecot_module.PASSWORD) as client:
            assert client.append("INBOX", "", "", MESSAGE)[0] == "OK"
        assert dovecot.messages(user) == [MESSAGE]
        assert dovecot.maildir(user).is_relative_to(dovecot.directory / "mail")

    def test_passwd_file_when_password_is_odd_then_just_this_one_opens(self, start_peer: StartPeer) -> None:
        users: dict[str, str | bytes] = {**ODD_PASSWORDS, "latin-1": b"p\xe4ss"}
        peer = start_peer(Dovecot(users=users))
        for user, password in users.items():
            imap_login(peer.imap_port, user, password).logout()
        with pytest.raises(imaplib.IMAP4.error):
            imap_login(peer.imap_port, "quotes", dovecot_module.PASSWORD)

    def test_ssl_no_then_no_starttls_offered(self, start_peer: StartPeer) -> None:
        peer = start_peer(Dovecot())
        with imap_login(peer.imap_port, "peer", dovecot_module.PASSWORD) as client:
            assert "STARTTLS" not in client.capabilities

    def test_ssl_required_when_login_is_plain_then_refused(
        self, start_peer: StartPeer, certificate: Certificate, ca: CertificateAuthority
    ) -> None:
        peer = start_peer(Dovecot(certificate, tls=Tls.REQUIRED))
        with connect(peer.imap_port, host=peer.host) as wire:
            assert b"LOGINDISABLED" in wire.read_line()
            wire.send(b"a LOGIN peer secret\r\n")
            assert wire.read_line().startswith(b"* BAD [ALERT]")
            wire.expect_line(rb"a NO \[PRIVACYREQUIRED\] .*")


class TestPostfix:
    def test_submission_when_logged_in_then_message_arrives(self, postfix: Postfix, ca: CertificateAuthority) -> None:
        plain = smtplib.SMTP(LOOPBACK, postfix.port, timeout=TIMEOUT_S)
        for subject, client in (("plain", plain), ("implicit TLS", clients.smtp(postfix.tls_port, ca))):
            with client:
                client.login("peer", dovecot_module.PASSWORD)
                client.send_message(a_message(subject))
            arrived = postfix.wait_for_message(subject)
            assert arrived["X-Original-To"] == "someone@elsewhere.test"
            assert "(Authenticated sender: peer)" in arrived["Received"]

    def test_submission_when_not_logged_in_then_recipient_refused(self, postfix: Postfix) -> None:
        client = smtplib.SMTP(LOOPBACK, postfix.port, timeout=TIMEOUT_S)
        with client, pytest.raises(smtplib.SMTPRecipientsRefused):
            client.send_message(a_message("never"))

    def test_submission_when_password_is_wrong_then_535(self, postfix: Postfix) -> None:
        client = smtplib.SMTP(LOOPBACK, postfix.port, timeout=TIMEOUT_S)
        with client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("peer", "wrong")

    def test_submission_offers_starttls(self, postfix: Postfix, ca: CertificateAuthority) -> None:
        with smtplib.SMTP(LOOPBACK, postfix.port, timeout=TIMEOUT_S) as client:
            client.starttls(context=ca.client_context())
            client.login("peer", dovecot_module.PASSWORD)

    def test_trusting_port_takes_mail_without_login(self, postfix: Postfix) -> None:
        with smtplib.SMTP(LOOPBACK, postfix.trusting_port, timeout=TIMEOUT_S) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            client.send_message(a_message("trusted"))
        postfix.wait_for_message("trusted")

    def test_sink_swallows_and_keeps(self, smtp_sink: SmtpSink) -> None:
        with smtplib.SMTP(LOOPBACK, smtp_sink.port, timeout=TIMEOUT_S) as client:
            client.send_message(a_message("swallowed"))
        assert "Subject: swallowed" in smtp_sink.dump.read_text()

    def test_curl_and_swaks_deliver(self, postfix: Postfix, ca: CertificateAuthority) -> None:
        password = dovecot_module.PASSWORD
        clients.swaks(postfix.tls_port, ca, "--header", "Subject: by swaks", user="peer", password=password).succeeded()
        clients.curl(
            f"smtps://{LOOPBACK}:{postfix.tls_port}",
            ca,
            *("--mail-from", "a@example.test", "--mail-rcpt", "b@example.test", "--upload-file", "-"),
            user="peer",
            password=password,
            stdin="Subject: by curl\r\n\r\nHello\r\n",
        ).succeeded()
        postfix.wait_for_message("by swaks")
        postfix.wait_for_message("by curl")


class TestOpenLdap:
    def test_bind_when_password_is_right_then_whoami(self, openldap: OpenLdap) -> None:
        dn = f"uid=alice,{openldap_module.PEOPLE_DN}"
        assert openldap.whoami(dn, openldap_module.PASSWORD) == f"dn:{dn}"

    def test_bind_when_password_is_wrong_then_refused(self, openldap: OpenLdap) -> None:
        with pytest.raises(PeerError, match=r"Invalid credentials \(49\)"):
            openldap.whoami(f"uid=alice,{openldap_module.PEOPLE_DN}", "wrong")

    def test_ldaps_is_verified_and_answers_a_search_with_the_group(
        self, openldap: OpenLdap, ca: CertificateAuthority
    ) -> None:
        found = clients.run(
            "env",
            *(f"LDAPTLS_CACERT={ca.path}", "ldapsearch", "-x", "-LLL", "-H", openldap.ldaps_url),
            *("-D", openldap_module.LOGIN_DN, "-w", openldap_module.LOGIN_PASSWORD),
            *("-b", openldap_module.BASE_DN, "(sAMAccountName=alice)", "memberOf"),
        ).succeeded()
        assert "memberOf: CN=Mail,OU=Groups,dc=example,dc=test" in found.output


class TestFreeRadius:
    def test_answers_as_its_table_says(self, freeradius: FreeRadius) -> None:
        password = freeradius_module.PASSWORD
        assert freeradius.authenticate("alice", password)
        assert freeradius.authenticate("vsa", password)
        assert freeradius.authenticate("bare", password)
        assert not freeradius.authenticate("alice", "wrong")
        assert not freeradius.authenticate("rejected", password)

    def test_group_policy_comes_by_class_and_by_vendor_attribute(self, freeradius: FreeRadius) -> None:
        password = f'User-Password = "{freeradius_module.PASSWORD}"'
        class_text = b"OU=MAILUSERS;".hex()
        assert f"Class = 0x{class_text}" in freeradius.ask("auth", 'User-Name = "alice"', password)
        assert 'ASA-Group-Policy = "MAILUSERS"' in freeradius.ask("auth", 'User-Name = "vsa"', password)

    def test_challenge_when_state_and_otp_come_back_then_accept(self, freeradius: FreeRadius) -> None:
        state = f"State = 0x{freeradius_module.OTP_STATE.hex()}"
        with pytest.raises(PeerError, match="Received Access-Challenge"):
            freeradius.ask("auth", 'User-Name = "otp"', f'User-Password = "{freeradius_module.PASSWORD}"')
        answer = freeradius.ask(
            "auth", 'User-Name = "otp"', state, f'User-Password = "{freeradius_module.OTP_PASSWORD}"'
        )
        assert "Received Access-Accept" in answer

    def test_silent_user_gets_no_answer(self, freeradius: FreeRadius) -> None:
        with pytest.raises(PeerError, match="No reply"):
            freeradius.ask("auth", 'User-Name = "silent"', 'User-Password = "secret"', retries=1)

    def test_accounting_is_recorded(self, freeradius: FreeRadius) -> None:
        freeradius.ask("acct", 'User-Name = "peer"', "Acct-Status-Type = Start", 'Acct-Session-Id = "peer-1"')
        records = [one for one in freeradius.accounting_records() if one.get("Acct-Session-Id") == "peer-1"]
        assert [(one["User-Name"], one["Acct-Status-Type"]) for one in records] == [("peer", "Start")]


class TestRedis:
    def test_ping(self, redis: Redis) -> None:
        with connect(redis.port) as wire:
            wire.send(b"SET peer 1\r\nGET peer\r\n")
            wire.expect(b"+OK\r\n$1\r\n1\r\n")


class TestEveryPeer:
    def test_pause_then_silence_and_resume_then_answer(self, start_peer: StartPeer) -> None:
        peer = start_peer(Redis())
        with connect(peer.port) as wire:
            peer.pause()
            wire.send(b"PING\r\n")
            wire.expect_silence(0.1)
            peer.resume()
            wire.expect(b"+PONG\r\n")

    def test_restart_then_same_port_and_same_data(self, start_peer: StartPeer) -> None:
        peer = start_peer(Dovecot())
        peer.deliver("peer", MESSAGE)
        peer.restart()
        with imap_login(peer.imap_port, "peer", dovecot_module.PASSWORD) as client:
            assert client.select()[1] == [b"1"]

    def test_stop_then_no_process_is_left_and_the_port_refuses(self, start_peer: StartPeer) -> None:
        peer = start_peer(Dovecot())
        imap_login(peer.imap_port, "peer", dovecot_module.PASSWORD).shutdown()
        members = processes.tree(peer.pid)
        assert len(members) > 3
        peer.stop()
        assert not any(member.is_alive() for member in members)
        with pytest.raises(ConnectionRefusedError):
            connect(peer.imap_port)

    def test_start_when_the_configuration_is_wrong_then_the_error_has_the_log(self, start_peer: StartPeer) -> None:
        with pytest.raises(PeerError, match="Unknown setting: no_such_setting"):
            start_peer(Dovecot(settings="no_such_setting = 1"))

    def test_missing_names_the_package(self) -> None:
        class Absent(Redis):
            packages = {"no-such-program-at-all": "no-such-package"}  # noqa: RUF012

        assert Absent.missing() == "Absent needs the Debian package(s) no-such-package"

    def test_missing_when_root_is_needed_then_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert Postfix.missing() == "Postfix must be started by root"
        assert Dovecot.missing() is None

    def test_killed_test_run_then_its_peers_end(self, peer_directory: Path) -> None:
        run = subprocess.Popen(
            [sys.executable, "-c", KILLED_RUN, str(peer_directory / "killed-run")],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        with run:
            assert run.stdout is not None
            peer = processes.look_up(int(run.stdout.readline()))
            assert peer is not None
            run.kill()
        wait_until(lambda: not peer.is_alive(), what="the end of the peer")


def a_message(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.test", "someone@elsewhere.test", subject
    message.set_content("Hello\n")
    return message
