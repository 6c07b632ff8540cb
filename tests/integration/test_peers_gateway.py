"""The gateway under test is really watched: what it leaves behind, or lets slip into its log, fails a test.

The misbehaving gateways are programs of a few lines that keep to the contract in all else.
"""

import signal
import sys
from pathlib import Path

import pytest

from tests.support import clients
from tests.support.gateway import RunningGateway
from tests.support.gateway import Section
from tests.support.gateway import StartGateway
from tests.support.gateway import mail_server
from tests.support.gateway import render
from tests.support.log_lines import NoSuchLine
from tests.support.peers import Dovecot
from tests.support.peers import Postfix
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority
from tests.support.wire import connect_tls

WAIT = "signal.pause()"
READY = "print('event=ready', flush=True)"
ENDS_IN_ORDER = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"


def program(*lines: str) -> tuple[str, ...]:
    """A command that runs `lines` of Python."""
    return (sys.executable, "-c", "\n".join(["import os, signal, sys, time", *lines]))


def start(directory: Path, certificate: Certificate, *lines: str) -> RunningGateway:
    return RunningGateway(directory, certificate, {}, command=program(*lines))


@pytest.mark.integration
def test_gateway_when_all_three_protocols_are_used_then_it_is_as_the_tests_suppose(
    gateway: StartGateway, dovecot: Dovecot, postfix: Postfix, ca: CertificateAuthority
) -> None:
    running = gateway(
        imap4s=mail_server(dovecot.imap_port),
        pop3s=mail_server(dovecot.pop3_port),
        smtps=mail_server(postfix.port, authentication="mailhost"),
    )
    dovecot.deliver("watched", b"Subject: watched\r\n\r\nHello\r\n")
    with clients.imap(running.ports["imap4s"], ca) as imap:
        imap.login("watched", "secret")
        assert imap.select()[1] == [b"1"]
    pop3 = clients.pop3(running.ports["pop3s"], ca)
    pop3.user("watched")
    pop3.pass_("secret")
    assert pop3.stat()[0] == 1
    pop3.quit()
    with clients.smtp(running.ports["smtps"], ca) as smtp:
        smtp.login("watched", "secret")
        smtp.sendmail("a@example.test", ["b@example.test"], "Subject: through the gateway\r\n\r\nHello\r\n")
    postfix.wait_for_message("through the gateway")
    assert len(running.workers()) == 1
    for protocol in ("imap4s", "pop3s", "smtps"):
        end = running.log.wait_for("session_end", protocol=protocol)
        assert end["mail_user"] == "watched"
    running.terminate()


@pytest.mark.integration
def test_gateway_when_a_worker_is_killed_then_it_is_replaced(
    gateway: StartGateway, dovecot: Dovecot, ca: CertificateAuthority
) -> None:
    running = gateway(imap4s=mail_server(dovecot.imap_port))
    (worker,) = running.workers()
    before = running.log.mark()
    worker.send_signal(signal.SIGKILL)
    running.log.wait_for("worker_started", after=before)
    with connect_tls(running.ports["imap4s"], ca.client_context()) as client:
        client.expect_line(rb"\* OK .*")
    assert worker not in running.workers()


def test_start_when_the_program_refuses_then_the_error_has_what_it_said(
    tmp_path: Path, certificate: Certificate
) -> None:
    with pytest.raises(NoSuchLine, match=r"gateway.ini:7: error\[E103\]"):
        start(tmp_path, certificate, "print('gateway.ini:7: error[E103]: unknown setting')", "sys.exit(2)")


def test_terminate_when_the_exit_code_is_not_0_then_fails(tmp_path: Path, certificate: Certificate) -> None:
    running = start(tmp_path, certificate, READY, WAIT)
    with pytest.raises(AssertionError, match="ended with -15"):
        running.terminate()


def test_terminate_when_a_process_is_left_then_fails_and_ends_it(tmp_path: Path, certificate: Certificate) -> None:
    running = start(tmp_path, certificate, ENDS_IN_ORDER, "os.fork() or time.sleep(600)", READY, WAIT)
    (left,) = running.workers()
    with pytest.raises(AssertionError, match="the gateway left"):
        running.terminate()
    assert not left.is_alive()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('event=internal_error detail="Traceback (most recent call last)"', "'Traceback' in the log"),
        ("RuntimeWarning: something", "no events"),
        ('event=login user="\\x00a" detail="hunter2-secret"', "secrets in the log"),
        ("event=debug data=AGFsaWNlAGh1bnRlcjItc2VjcmV0", "secrets in the log"),
    ],
)
def test_terminate_when_the_log_has_what_it_may_not_have_then_fails(
    tmp_path: Path, certificate: Certificate, line: str, complaint: str
) -> None:
    running = start(tmp_path, certificate, ENDS_IN_ORDER, f"print({line!r})", READY, WAIT)
    running.canary("hunter2-secret")
    with pytest.raises(AssertionError, match=complaint):
        running.terminate()


def test_terminate_when_all_is_well_then_again_is_allowed(tmp_path: Path, certificate: Certificate) -> None:
    running = start(tmp_path, certificate, ENDS_IN_ORDER, READY, WAIT)
    running.canary("hunter2-secret")
    running.terminate()
    running.terminate()


def test_reload_then_the_line_that_came_of_it(tmp_path: Path, certificate: Certificate) -> None:
    # os.write: the signal may come while print is still at its flush, which nothing may enter a second time
    handler = r"signal.signal(signal.SIGHUP, lambda *_: os.write(1, b'event=reloaded changed=2\n'))"
    running = start(tmp_path, certificate, ENDS_IN_ORDER, handler, READY, f"while True: {WAIT}")
    assert running.reload()["changed"] == "2"
    running.terminate()


def test_render_then_lists_are_repeated_keys_but_for_enable() -> None:
    sections: dict[str, Section | None] = {
        "interface loopback": {"enable": ["imap4s", "pop3s"]},
        "time-range OFFICE": {"periodic": ["weekdays 08:00 to 18:00", "Saturday 09:00 to 12:00"]},
        "portal": None,
    }
    assert render(sections) == (
        "[interface loopback]\nenable = imap4s pop3s\n\n"
        "[time-range OFFICE]\nperiodic = weekdays 08:00 to 18:00\nperiodic = Saturday 09:00 to 12:00\n"
    )
