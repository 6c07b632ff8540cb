"""Everything the demo needs, brought up in order and taken down in reverse: a directory, mail servers, the gateway."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gateway.config.model.words import ProtocolName
from gateway.demo.certificates import write_certificates
from gateway.demo.configuration import AUTHORITY
from gateway.demo.configuration import CHAIN
from gateway.demo.configuration import KEY
from gateway.demo.configuration import MailServers
from gateway.demo.configuration import write_configuration
from gateway.demo.letters import letters_for
from gateway.demo.mail_servers.connection import Connection
from gateway.demo.mail_servers.imap.dispatch import converse
from gateway.demo.mail_servers.listener import HOST
from gateway.demo.mail_servers.listener import MailServer
from gateway.demo.mail_servers.pop3 import Pop3Session
from gateway.demo.mail_servers.smtp import SmtpSession
from gateway.demo.mail_servers.store import Account
from gateway.demo.mail_servers.store import PostOffice
from gateway.demo.news import NewsQueue
from gateway.demo.people import ALICE
from gateway.demo.people import BOB
from gateway.demo.people import PEOPLE
from gateway.demo.people import Person
from gateway.demo.ports import Ports
from gateway.demo.process import GatewayProcess
from gateway.demo.terminal import complain
from gateway.demo.terminal import show_log

LETTER: Final = "letter.txt"
_LETTER: Final = f"""\
From: {BOB.address}
To: {ALICE.address}
Subject: Hello from curl

Sent through the gateway.
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is on it. `directory` holds all the files there are, and goes when the demo does."""

    directory: Path
    ports: Ports
    gateway: GatewayProcess

    @property
    def authority(self) -> Path:
        """The file with the certificate that a mail program has to trust."""
        return self.directory / AUTHORITY

    @property
    def letter(self) -> Path:
        """A mail to send."""
        return self.directory / LETTER


@contextmanager
def set_up(ports: Ports, news: NewsQueue) -> Iterator[Stage]:
    """The gateway is started; whether it gets ready is news."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-demo-")))
        write_certificates(directory / AUTHORITY, directory / CHAIN, directory / KEY)
        (directory / LETTER).write_text(_LETTER, newline="\r\n")
        mail_servers = {name: stack.enter_context(server) for name, server in _mail_servers(_post_office()).items()}
        upstream = MailServers(HOST, {name: server.port for name, server in mail_servers.items()})
        configuration = write_configuration(directory, ports, upstream, PEOPLE)
        yield Stage(directory, ports, stack.enter_context(GatewayProcess(configuration, news, show_log)))


def _mail_servers(post_office: PostOffice) -> dict[ProtocolName, MailServer]:
    def imap(connection: Connection) -> None:
        converse(connection, post_office)

    def pop3(connection: Connection) -> None:
        Pop3Session(connection, post_office).run()

    def smtp(connection: Connection) -> None:
        SmtpSession(connection, post_office).run()

    start = partial(MailServer, complain=complain)
    return {
        ProtocolName.IMAP4S: start(imap),
        ProtocolName.POP3S: start(pop3),
        ProtocolName.SMTPS: start(smtp),
    }


def _post_office() -> PostOffice:
    return PostOffice(map(_account, PEOPLE))


def _account(person: Person) -> Account:
    account = Account(person.mail_user, person.mail_password)
    friend = next(other for other in PEOPLE if other is not person)
    for received_at, octets in letters_for(person.mail_user, friend.mail_user):
        account.inbox.append(octets, received_at=received_at)
    return account
