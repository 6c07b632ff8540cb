"""The three mail servers of the demo over one store, running; none of their threads may meet what nobody foresaw."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.demo.mail_servers.connection import Connection
from gateway.demo.mail_servers.imap.dispatch import converse
from gateway.demo.mail_servers.listener import MailServer
from gateway.demo.mail_servers.pop3 import Pop3Session
from gateway.demo.mail_servers.smtp import SmtpSession
from gateway.demo.mail_servers.store import Account
from gateway.demo.mail_servers.store import Folder
from gateway.demo.mail_servers.store import PostOffice

FIRST = (
    b"From: Bob <bob@demo.example>\r\nTo: alice@demo.example\r\nSubject: First\r\n"
    b"Date: Sun, 01 Feb 2026 09:00:00 +0100\r\n\r\none\r\n.two\r\n"
)
SECOND = (
    b"From: carol@demo.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQsOkcmNoZW4K\r\n"
)
LETTERS = (FIRST, SECOND)


@dataclass(frozen=True, slots=True)
class MailServers:
    """Ports, and the mail of alice (password `mail`) and bob (password `secret`)."""

    imap: int
    pop3: int
    smtp: int
    alice: Account
    bob: Account

    @property
    def inbox(self) -> Folder:
        return self.alice.inbox


@pytest.fixture
def servers() -> Iterator[MailServers]:
    alice, bob = Account("alice", "mail"), Account("bob", "secret")
    for octets in LETTERS:
        alice.inbox.append(octets)
    post_office = PostOffice([alice, bob])

    def imap(connection: Connection) -> None:
        converse(connection, post_office)

    def pop3(connection: Connection) -> None:
        Pop3Session(connection, post_office).run()

    def smtp(connection: Connection) -> None:
        SmtpSession(connection, post_office).run()

    complaints: list[str] = []
    with (
        MailServer(imap, complaints.append) as imap_server,
        MailServer(pop3, complaints.append) as pop3_server,
        MailServer(smtp, complaints.append) as smtp_server,
    ):
        yield MailServers(imap_server.port, pop3_server.port, smtp_server.port, alice, bob)
    assert complaints == []
