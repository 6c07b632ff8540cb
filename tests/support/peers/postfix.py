"""Postfix: the submission server behind the gateway, and smtp-sink, a server without AUTH that swallows everything.

Postfix listens on three ports: `port` (submission: AUTH PLAIN and LOGIN by Dovecot, STARTTLS with a certificate),
`tls_port` (the same with implicit TLS) and `trusting_port` (takes mail from loopback without AUTH).
Mail to any address is delivered into one Maildir, which tests read.
"""

import os
import pwd
import shutil
from email import message_from_bytes
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import ClassVar

from tests.support.peers.base import Peer
from tests.support.peers.base import PeerError
from tests.support.peers.base import expect_greeting
from tests.support.peers.dovecot import Dovecot
from tests.support.ports import LOOPBACK
from tests.support.ports import free_port
from tests.support.tls import Certificate
from tests.support.waiting import wait_until

DAEMONS = "/usr/lib/postfix/sbin"
MAIL_USER = "nobody"
HOST_NAME = "mail.example.test"
QUEUE_FOLDERS = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush"),
    *("hold", "incoming", "private", "saved", "trace"),
)


class Postfix(Peer):
    """`sasl` must be running before: Postfix stops serving for a minute when its SASL server is not there."""

    packages: ClassVar = {"postfix": "postfix", f"{DAEMONS}/master": "postfix"}
    needs_root = True

    def __init__(self, sasl: Dovecot, certificate: Certificate | None = None, *, settings: str = "") -> None:
        self.sasl = sasl
        self.certificate = certificate
        self.settings = settings
        self.port, self.tls_port, self.trusting_port = free_port(), free_port(), free_port()

    def configure(self) -> None:
        etc = self.directory / "etc"
        etc.mkdir()
        self._make_folder("data", "postfix")
        self._make_folder("mail", MAIL_USER)
        self._make_queue()
        main = etc / "main.cf"
        main.write_text(self._main())
        os.utime(main, (0, 0))  # Postfix waits until the last change of this file is two seconds old
        services = SERVICES if self.certificate is None else SERVICES + TLS_SERVICE
        (etc / "master.cf").write_text(
            services.format(address=LOOPBACK, port=self.port, tls_port=self.tls_port, trusting_port=self.trusting_port)
        )

    def command(self) -> list[str]:
        # What `postfix start-fg` runs in the end, without the shell in between that would not pass a signal on.
        return [f"{DAEMONS}/master", "-s", "-c", str(self.directory / "etc")]

    def probe(self) -> None:
        expect_greeting(self.port, b"220 ")

    def messages(self) -> list[EmailMessage]:
        """What was delivered, oldest first; X-Original-To tells for which recipient."""
        new = self.directory / "mail" / "inbox" / "new"
        paths = sorted(new.iterdir(), key=lambda path: path.stat().st_mtime_ns) if new.is_dir() else []
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]

    def wait_for_message(self, subject: str, timeout_s: float = 10.0) -> EmailMessage:
        """The delivered message with that Subject."""

        def found() -> list[EmailMessage]:
            return [message for message in self.messages() if message["Subject"] == subject]

        wait_until(found, timeout_s, f"the delivery of {subject!r}")
        return found()[0]

    def _main(self) -> str:
        if not self.sasl.sasl_socket.exists():
            raise PeerError("Postfix needs its Dovecot to be running")
        main = MAIN.format(
            directory=self.directory,
            host_name=HOST_NAME,
            address=LOOPBACK,
            sasl=self.sasl.sasl_socket,
            mail_uid=pwd.getpwnam(MAIL_USER).pw_uid,
            mail_gid=pwd.getpwnam(MAIL_USER).pw_gid,
        )
        if self.certificate is not None:
            main += TLS_MAIN.format(chain=self.certificate.chain, key=self.certificate.key)
        return main + self.settings

    def _make_queue(self) -> None:
        """As `postfix check` does, in a thousandth of its 2.6 s."""
        (self.directory / "spool").mkdir()
        (self.directory / "spool" / "pid").mkdir()
        for name in QUEUE_FOLDERS:
            self._make_folder(f"spool/{name}", "postfix", mode=0o700)
        self._make_folder("spool/public", "postfix", group="postdrop", mode=0o2710)
        self._make_folder("spool/maildrop", "postfix", group="postdrop", mode=0o1730)

    def _make_folder(self, name: str, user: str, *, group: str | None = None, mode: int = 0o755) -> None:
        path = self.directory / name
        path.mkdir()
        shutil.chown(path, user, group)
        path.chmod(mode)


class SmtpSink(Peer):
    """`options` are smtp-sink(1)'s, among them faults: `-q CMD` disconnects, `-r CMD` answers 4xx, `-f CMD` 5xx."""

    packages: ClassVar = {"smtp-sink": "postfix"}

    def __init__(self, *options: str) -> None:
        self.options = options
        self.port = free_port()

    @property
    def dump(self) -> Path:
        """Every message, one after the other, as smtp-sink -D writes them."""
        return self.directory / "messages"

    def configure(self) -> None:
        """Nothing to write: the command line says it all."""

    def command(self) -> list[str]:
        # Refuses to run as root; nobody could not write the dump.
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return ["smtp-sink", *user, "-D", str(self.dump), *self.options, f"{LOOPBACK}:{self.port}", "100"]

    def probe(self) -> None:
        expect_greeting(self.port, b"220 ")


MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/spool
data_directory = {directory}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = {host_name}
mydestination =
inet_interfaces = {address}
inet_protocols = ipv4
mynetworks = 192.0.2.0/32
local_recipient_maps =
alias_maps =
default_transport = virtual
local_transport = virtual
virtual_transport = virtual
virtual_mailbox_base = {directory}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{mail_uid}
virtual_gid_maps = static:{mail_gid}
virtual_minimum_uid = 1
maillog_file = {directory}/maillog.log
maillog_file_prefixes = {directory}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_sasl_authenticated_header = yes
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
"""

TLS_MAIN = """\
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {chain}
"""

SERVICES = """\
{address}:{port} inet n - n - - smtpd
{address}:{trusting_port} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=no
  -o mynetworks=127.0.0.0/8
  -o smtpd_authorized_xclient_hosts=127.0.0.0/8
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

TLS_SERVICE = """\
{address}:{tls_port} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
"""
