"""The demo's SMTP server, by smtplib, and by hand where smtplib is too polite."""

import contextlib
import smtplib
from collections.abc import Iterator

import pytest

from tests.support.ports import LOOPBACK
from tests.support.wire import Wire
from tests.support.wire import connect
from tests.unit.demo.conftest import MailServers

TIMEOUT_S = 5.0


@pytest.fixture
def smtp(servers: MailServers) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(LOOPBACK, servers.smtp, timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture
def wire(servers: MailServers) -> Iterator[Wire]:
    """Greeted, EHLO said."""
    with connect(servers.smtp) as wire:
        wire.expect_line(rb"220 .*")
        wire.send(b"EHLO test\r\n")
        wire.read_until(b"\r\n250 ")
        wire.read_line()
        yield wire


def test_mail_is_in_the_inbox_of_each_recipient_at_once(servers: MailServers, smtp: smtplib.SMTP) -> None:
    smtp.sendmail("carol@elsewhere", ["alice@demo.example", "Bob@any.domain"], "Subject: Hi\r\n\r\n.dot\r\n..\r\nend")
    for account, address in ((servers.alice, b"alice@demo.example"), (servers.bob, b"Bob@any.domain")):
        octets = account.inbox.messages[-1].octets
        header, _, body = octets.partition(b"\r\n\r\n")
        assert body == b".dot\r\n..\r\nend\r\n"
        assert header.startswith(b"Return-Path: <carol@elsewhere>\r\nReceived: from ")
        assert b"\r\nDelivered-To: " + address + b"\r\nSubject: Hi" in header


def test_unknown_recipient_is_refused_and_the_others_are_served(servers: MailServers, smtp: smtplib.SMTP) -> None:
    refused = smtp.sendmail("a@b", ["nobody@demo.example", "bob@demo.example"], "Subject: Hi\r\n\r\n")
    assert refused == {"nobody@demo.example": (550, b"5.1.1 the demo has no such user")}
    assert len(servers.bob.inbox.messages) == 1


def test_extensions_that_a_gateway_in_front_announces_are_there(smtp: smtplib.SMTP) -> None:
    smtp.ehlo()
    assert {"pipelining", "8bitmime", "enhancedstatuscodes", "dsn", "size"} <= set(smtp.esmtp_features)


def test_parameters_of_extensions_are_taken(smtp: smtplib.SMTP, servers: MailServers) -> None:
    smtp.sendmail(
        "a@b", ["bob@x"], b"\xc3\xa4", mail_options=["BODY=8BITMIME", "RET=HDRS"], rcpt_options=["NOTIFY=NEVER"]
    )
    assert servers.bob.inbox.messages[-1].octets.endswith(b"\r\n\xc3\xa4\r\n")


def test_pipelined_commands_are_answered_in_order(wire: Wire, servers: MailServers) -> None:
    wire.send(b"MAIL FROM:<>\r\nRCPT TO:<bob@x>\r\nDATA\r\n")
    wire.expect(b"250 2.1.0 sender taken\r\n250 2.1.5 recipient taken\r\n")
    wire.expect_line(rb"354 .*")
    wire.send(b"Subject: x\r\n\r\n.\r\nQUIT\r\n")
    wire.expect_line(rb"250 2\.0\.0 .*")
    wire.expect_line(rb"221 .*")
    wire.expect_end()
    assert servers.bob.inbox.messages[-1].octets.startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"RCPT TO:<bob@x>", rb"503 .*"),
        (b"DATA", rb"503 .*"),
        (b"MAIL bob", rb"501 .*"),
        (b"MAIL FROM:<a@b", rb"250 .*"),  # strict about nothing
        (b"VRFY bob", rb"252 .*"),
        (b"VRFY nobody", rb"550 .*"),
        (b"AUTH PLAIN", rb"500 .*"),
        (b"NOOP", rb"250 .*"),
        (b"RSET", rb"250 .*"),
        (b"HELO there", rb"250 .*"),
        (b"\xff\xfe\x00", rb"500 .*"),
        (b"", rb"500 .*"),
    ],
)
def test_each_command_has_its_answer(wire: Wire, command: bytes, answer: bytes) -> None:
    wire.send(command + b"\r\n")
    wire.expect_line(answer)


def test_no_octet_of_a_client_can_add_a_header(wire: Wire, servers: MailServers) -> None:
    wire.send(b"EHLO a\rX-Forged: 1\r\nMAIL FROM:<a\rX-Forged: 2@b>\r\nRSET\r\n")
    wire.read_until(b"forgotten\r\n")
    wire.send(b"MAIL FROM:<a\x0bb@c>\r\nRCPT TO:<bob@\x0bd>\r\nDATA\r\n")
    wire.read_until(b"354 ")
    wire.read_line()
    wire.send(b"\r\nbody\r\n.\r\n")
    wire.expect_line(rb"250 .*")
    header = servers.bob.inbox.messages[-1].octets.partition(b"\r\n\r\n")[0]
    assert [line.split(b":")[0] for line in header.split(b"\r\n")] == [b"Return-Path", b"Received", b"Delivered-To"]
    assert all(octet >= 0x20 for octet in header.replace(b"\r\n", b""))


def test_too_large_a_message_is_read_and_refused(
    wire: Wire, servers: MailServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.demo.mail_servers.smtp.MAX_MESSAGE_OCTETS", 1000)
    wire.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@x>\r\nDATA\r\n" + b"x" * 98 + b"\r\n")
    wire.send((b"x" * 98 + b"\r\n") * 20 + b".\r\nNOOP\r\n")
    wire.read_until(b"354 ")
    wire.read_line()
    wire.expect_line(rb"552 5\.3\.4 .*")
    wire.expect_line(rb"250 .*")
    assert servers.bob.inbox.messages == ()


def test_full_folder_is_a_temporary_refusal(wire: Wire, servers: MailServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.demo.mail_servers.store.MAX_MESSAGES", 0)
    wire.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@x>\r\nDATA\r\n\r\n.\r\n")
    wire.read_until(b"354 ")
    wire.read_line()
    wire.expect_line(rb"452 4\.2\.2 .*")


def test_too_long_a_line_ends_the_connection(wire: Wire) -> None:
    with contextlib.suppress(ConnectionError):
        wire.send(b"x" * 2_000_000)
        wire.expect_line(rb"500 .*")
        wire.read_to_end()
