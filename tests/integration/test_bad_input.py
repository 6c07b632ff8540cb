"""What should not come: each gets the protocol's reply or a close, one log line, and disturbs nobody."""

import contextlib
import ssl
import time

import pytest

from tests.support.fakes import FakeUpstream
from tests.support.fakes import Step
from tests.support.fakes import echo
from tests.support.fakes import endless
from tests.support.fakes import expect
from tests.support.fakes import expect_line
from tests.support.fakes import ignore_everything
from tests.support.fakes import say
from tests.support.fakes import say_slowly
from tests.support.fakes import silence
from tests.support.gateway import RunningGateway
from tests.support.gateway import StartGateway
from tests.support.gateway import mail_server
from tests.support.tls import CertificateAuthority
from tests.support.wire import Wire
from tests.support.wire import WireError
from tests.support.wire import connect
from tests.support.wire import connect_tls

GREETINGS = {"imap4s": rb"\* OK .*", "pop3s": rb"\+OK.*", "smtps": rb"220 .*"}
LOGINS = {
    "imap4s": b"a LOGIN alice secret\r\n",
    "pop3s": b"USER alice\r\nPASS secret\r\n",
    "smtps": b"EHLO client.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
}
POP3_LOGIN = (say(b"+OK\r\n"), expect(b"USER alice\r\n"), say(b"+OK\r\n"), expect(b"PASS secret\r\n"))
protocols = pytest.mark.parametrize("protocol", list(GREETINGS))


@pytest.fixture
def running(gateway: StartGateway) -> RunningGateway:
    """Short deadlines; nothing here reaches a mail server."""
    timeouts = {"handshake_timeout": "700ms", "login_timeout": "700ms", "failure_delay": "none"}
    return gateway(
        imap4s=mail_server(1, **timeouts),
        pop3s=mail_server(1, **timeouts),
        smtps=mail_server(1, authentication="mailhost", **timeouts),
    )


def greeted(running: RunningGateway, protocol: str, ca: CertificateAuthority) -> Wire:
    client = connect_tls(running.ports[protocol], ca.client_context())
    client.expect_line(GREETINGS[protocol])
    return client


def last_words(client: Wire) -> bytes:
    """All that still comes, up to the end of the connection, which has to come."""
    client.read_to_end()
    client.close()
    return bytes(client.received)


def the_one_end(running: RunningGateway, protocol: str) -> str:
    running.log.wait_for("session_end", protocol=protocol)
    (end,) = running.log.find("session_end", protocol=protocol)
    return end["reason"]


@protocols
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"a LOGIN alice secret\r\n", "not-this-protocol"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not-this-protocol"),
        (b"\x16\x03\x01\x02\x00\x01\xff", "handshake-timeout"),
        (b"\x80\x2e\x01\x03\x01", "not-this-protocol"),
        (b"", "handshake-timeout"),
        (bytes(range(256)) * 40, "not-this-protocol"),
    ],
    ids=["plaintext", "http", "half a hello", "sslv2", "nothing", "garbage"],
)
def test_no_tls_is_a_close_without_an_echo(protocol: str, octets: bytes, reason: str, running: RunningGateway) -> None:
    client = connect(running.ports[protocol])
    client.send_raw(octets)
    answer = last_words(client)
    assert len(answer) <= 7  # an alert at most
    assert the_one_end(running, protocol) == reason
    if reason == "handshake-timeout":
        (end,) = running.log.find("session_end", protocol=protocol)
        assert 0.6 < float(end["duration_s"]) < 30


@protocols
def test_http_inside_tls_is_a_close_without_an_echo(
    protocol: str, running: RunningGateway, ca: CertificateAuthority
) -> None:
    client = greeted(running, protocol, ca)
    client.send(b"POST /x HTTP/1.1\r\nHost: y\r\n\r\na LOGIN alice secret\r\n")
    assert last_words(client).count(b"\r\n") == 1
    assert the_one_end(running, protocol) == "not-this-protocol"


@protocols
def test_nul_is_a_close(protocol: str, running: RunningGateway, ca: CertificateAuthority) -> None:
    client = greeted(running, protocol, ca)
    client.send(b"NO\0OP\r\n")
    last_words(client)
    assert the_one_end(running, protocol) == "not-this-protocol"


@protocols
def test_a_line_without_end_is_told_and_closed(
    protocol: str, running: RunningGateway, ca: CertificateAuthority
) -> None:
    client = greeted(running, protocol, ca)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        client.send(b"x" * 60_000)
    said = last_words(client)
    assert said.count(b"\r\n") == 2
    assert the_one_end(running, protocol) == "line-too-long"


@protocols
def test_too_many_bad_commands_are_told_and_closed(
    protocol: str, running: RunningGateway, ca: CertificateAuthority
) -> None:
    client = greeted(running, protocol, ca)
    client.send(b"a XYZZY\r\n" * 20)
    assert b"XYZZY" not in last_words(client)
    assert the_one_end(running, protocol) == "too-many-errors"


@protocols
def test_too_many_good_commands_are_told_and_closed(
    protocol: str, running: RunningGateway, ca: CertificateAuthority
) -> None:
    noop = {"imap4s": b"a NOOP\r\n", "pop3s": b"NOOP\r\n", "smtps": b"NOOP\r\n"}[protocol]
    client = greeted(running, protocol, ca)
    client.send(noop * 100)
    last_words(client)
    assert the_one_end(running, protocol) == "too-much-input"


def test_a_literal_beyond_its_limit_is_a_bye(running: RunningGateway, ca: CertificateAuthority) -> None:
    client = greeted(running, "imap4s", ca)
    client.send(b"a LOGIN {999999999+}\r\n")
    assert b"* BYE" in last_words(client)
    assert the_one_end(running, "imap4s") == "literal-too-long"


@protocols
def test_one_octet_at_a_time_does_not_move_the_deadline(
    protocol: str, running: RunningGateway, ca: CertificateAuthority
) -> None:
    client = greeted(running, protocol, ca)
    started = time.monotonic()
    with pytest.raises((ConnectionError, ssl.SSLError, WireError, OSError)):
        client.send_octet_by_octet(b"N" * 200, pause_s=0.05)
    assert time.monotonic() - started < 5
    client.close()
    assert the_one_end(running, protocol) == "login-timeout"


def test_a_dribbled_handshake_does_not_move_the_deadline(running: RunningGateway) -> None:
    client = connect(running.ports["imap4s"])
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    with pytest.raises(ConnectionError):
        client.send_octet_by_octet(hello, pause_s=0.05)
    client.close()
    assert the_one_end(running, "imap4s") == "handshake-timeout"


@protocols
def test_an_alpn_that_is_not_ours_is_refused(protocol: str, running: RunningGateway, ca: CertificateAuthority) -> None:
    context = ca.client_context()
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        connect_tls(running.ports[protocol], context)
    assert the_one_end(running, protocol) == "handshake-failed"


@protocols
def test_a_disconnect_at_every_step_is_one_quiet_line(
    protocol: str, running: RunningGateway, ca: CertificateAuthority
) -> None:
    talk = LOGINS[protocol]
    cuts = range(0, len(talk), 3)
    for cut in cuts:
        client = greeted(running, protocol, ca)
        client.send(talk[:cut])
        client.reset() if cut % 2 else client.close()
    running.log.wait_for("session_end", protocol=protocol, count=len(cuts))
    reasons = {end["reason"] for end in running.log.find("session_end", protocol=protocol)}
    assert reasons <= {"client-closed", "client-lost"}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ((), "upstream-unavailable"),
        ((Wire.reset,), "upstream-unavailable"),
        ((silence(),), "upstream-unavailable"),
        ((ignore_everything(),), "upstream-unavailable"),
        ((say_slowly(b"+OK ready, some time later", pause_s=0.1),), "upstream-unavailable"),
        ((endless(b"x" * 1000),), "upstream-unavailable"),
        ((say(b"-ERR full\r\n"),), "upstream-unavailable"),
        ((say(b"* OK this is IMAP\r\n"), silence()), "upstream-unavailable"),
        (
            (say(b"+OK\r\n"), expect_line(rb"USER alice"), say(b"+OK\r\n"), expect_line(rb"PASS secret")),
            "upstream-unavailable",
        ),
        ((*POP3_LOGIN, say(b"-ERR no\r\n"), silence()), "upstream-rejected"),
        ((*POP3_LOGIN, say(b"-ERR [IN-USE] locked\r\n"), silence()), "session-limit"),
        ((*POP3_LOGIN, say(b"-ERR [SYS/TEMP] later\r\n"), silence()), "upstream-unavailable"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_mail_server_that_misbehaves(
    script: tuple[Step, ...], reason: str, gateway: StartGateway, ca: CertificateAuthority
) -> None:
    with FakeUpstream(*script) as upstream:
        running = gateway(pop3s=mail_server(upstream.port, upstream_login_timeout="500ms", failure_delay="none"))
        client = greeted(running, "pop3s", ca)
        client.send(LOGINS["pop3s"] + b"QUIT\r\n")
        said = last_words(client).split(b"\r\n")
        assert said[2].startswith(b"-ERR [")
        assert said[3].startswith(b"+OK")  # what was pipelined behind the refused login is answered here
        running.log.wait_for("auth_failed", reason=reason)
        upstream.forget_failures()


def test_what_is_pipelined_behind_a_login_reaches_the_mail_server_after_it(
    gateway: StartGateway, ca: CertificateAuthority
) -> None:
    with FakeUpstream(*POP3_LOGIN, say(b"+OK in\r\n"), echo()) as upstream:
        running = gateway(pop3s=mail_server(upstream.port))
        client = greeted(running, "pop3s", ca)
        client.send(LOGINS["pop3s"] + b"STAT\r\nLIST\r\n")
        client.expect_line(rb"\+OK.*")
        client.expect_line(rb"\+OK.*")
        client.expect(b"STAT\r\nLIST\r\n")
        client.close()


def test_a_client_that_leaves_while_the_mail_server_is_silent_ends_both(
    gateway: StartGateway, ca: CertificateAuthority
) -> None:
    with FakeUpstream(silence()) as upstream:
        running = gateway(pop3s=mail_server(upstream.port))
        client = greeted(running, "pop3s", ca)
        client.send(LOGINS["pop3s"])
        upstream.wait_for_connection()
        started = time.monotonic()
        client.reset()
        running.log.wait_for("session_end")
        assert time.monotonic() - started < 5
        upstream.wait_until_played()
