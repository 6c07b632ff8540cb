"""Dovecot: the mail server behind the gateway for IMAP and POP3, and the SASL server of Postfix.

One instance serves plain ports and, when it has a certificate, ports with implicit TLS; STARTTLS is offered then too.
Run by root it drops to nobody; run by anyone else it keeps that user ("rootless", as its manual describes).

Mailboxes are Maildirs named after the SHA-256 of the user, so any octets a client can send as a name are a valid name
here, and none is a path.
"""

import base64
import grp
import hashlib
import os
import pwd
import time
from collections.abc import Mapping
from enum import Enum
from itertools import count
from pathlib import Path
from typing import ClassVar

from tests.support.peers.base import Peer
from tests.support.peers.base import expect_greeting
from tests.support.ports import LOOPBACK
from tests.support.ports import free_port
from tests.support.tls import Certificate

PASSWORD = "secret"
"""The password of every user of an instance without `users`."""
MAIL_USER = "nobody"
OTHER_LOOPBACK = "127.0.0.2"


class Tls(Enum):
    """Dovecot's `ssl` setting."""

    NO = "no"
    YES = "yes"
    REQUIRED = "required"


class Dovecot(Peer):
    """Without `users`, any name is accepted with `PASSWORD`; with it, just these names with these passwords.

    `tls` other than NO needs `certificate`. With REQUIRED, a login without TLS is refused. `host` is the address it
    listens on. `settings` are appended to the configuration as they are.
    """

    packages: ClassVar = {
        "dovecot": "dovecot-core",
        "/usr/lib/dovecot/imap": "dovecot-imapd",
        "/usr/lib/dovecot/pop3": "dovecot-pop3d",
    }

    def __init__(
        self,
        certificate: Certificate | None = None,
        *,
        tls: Tls | None = None,
        users: Mapping[str, str | bytes] | None = None,
        settings: str = "",
    ) -> None:
        self.certificate = certificate
        self.tls = tls or (Tls.YES if certificate else Tls.NO)
        if self.tls is not Tls.NO and certificate is None:
            raise ValueError("TLS needs a certificate")
        # Dovecot takes a connection from its own address for safe without TLS; from 127.0.0.1 to this one it does not.
        self.host = OTHER_LOOPBACK if self.tls is Tls.REQUIRED else LOOPBACK
        self.users = users
        self.settings = settings
        self.imap_port, self.pop3_port = free_port(), free_port()
        self.imaps_port, self.pop3s_port = free_port(), free_port()
        self._serial = count(1)

    @property
    def sasl_socket(self) -> Path:
        """Where Postfix asks for authentication."""
        return self.directory / "run" / "sasl"

    def configure(self) -> None:
        (self.directory / "mail").mkdir()
        self._give_to_mail_user(self.directory / "mail")
        if self.users is not None:
            lines = (_passwd_line(user, password) for user, password in self.users.items())
            users = self.directory / "users"
            users.write_text("".join(lines))
            users.chmod(0o644)  # read by the auth process under its own user
        (self.directory / "dovecot.conf").write_text(self._configuration())

    def command(self) -> list[str]:
        return ["dovecot", "-F", "-c", str(self.directory / "dovecot.conf")]

    def probe(self) -> None:
        expect_greeting(self.imap_port, b"* OK", host=self.host)
        expect_greeting(self.pop3_port, b"+OK", host=self.host)

    def maildir(self, user: str) -> Path:
        return self.directory / "mail" / hashlib.sha256(user.encode()).hexdigest() / "Maildir"

    def deliver(self, user: str, message: bytes) -> None:
        """Put `message` into the inbox of `user`, as a delivery agent does: written aside, then renamed into `new`."""
        maildir = self.maildir(user)
        for folder in (maildir.parent, maildir, *(maildir / name for name in ("cur", "new", "tmp"))):
            folder.mkdir(exist_ok=True)
            self._give_to_mail_user(folder)
        name = f"{time.time_ns()}.P{os.getpid()}Q{next(self._serial)}.localhost"
        path = maildir / "tmp" / name
        path.write_bytes(message)
        self._give_to_mail_user(path)
        path.rename(maildir / "new" / name)

    def messages(self, user: str) -> list[bytes]:
        """All messages in the inbox of `user`, oldest first."""
        folders = (self.maildir(user) / name for name in ("new", "cur"))
        paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
        return [path.read_bytes() for path in sorted(paths, key=lambda path: path.name)]

    def _give_to_mail_user(self, path: Path) -> None:
        if os.geteuid() == 0:
            account = pwd.getpwnam(MAIL_USER)
            os.chown(path, account.pw_uid, account.pw_gid)

    def _configuration(self) -> str:
        user, group = _account()
        return CONFIGURATION.format(
            directory=self.directory,
            user=user,
            group=group,
            rootless="" if os.geteuid() == 0 else ROOTLESS.format(user=user, group=group),
            tls=self._tls_settings(),
            passdb=self._passdb(),
            imap=self.imap_port,
            pop3=self.pop3_port,
            imaps=self.imaps_port if self.certificate else 0,
            pop3s=self.pop3s_port if self.certificate else 0,
            address=self.host,
            settings=self.settings,
        )

    def _tls_settings(self) -> str:
        if self.certificate is None:
            return f"ssl = {self.tls.value}"
        return f"ssl = {self.tls.value}\nssl_cert = <{self.certificate.chain}\nssl_key = <{self.certificate.key}"

    def _passdb(self) -> str:
        if self.users is None:
            return f"driver = static\n  args = password={PASSWORD}"
        return f"driver = passwd-file\n  args = {self.directory}/users"


def _passwd_line(user: str, password: str | bytes) -> str:
    """Base64 carries what the format itself cannot: colons, blanks, 8-bit octets."""
    octets = password.encode() if isinstance(password, str) else password
    return f"{user}:{{PLAIN.b64}}{base64.b64encode(octets).decode()}\n"


def _account() -> tuple[str, str]:
    account = pwd.getpwnam(MAIL_USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    return account.pw_name, grp.getgrgid(account.pw_gid).gr_name


# auth_failure_delay and the penalty socket: Dovecot slows down an address after failures; the tests all come from one.
# Half a second is left: failures wait for a timer of that interval, which has no setting.
CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap pop3
listen = {address}
{tls}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_save_crlf = yes
mail_max_userip_connections = 0
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  {passdb}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={directory}/mail/%{{sha256:user}}
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service auth {{
  unix_listener sasl {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{rootless}
{settings}
"""

ROOTLESS = """\
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service pop3-login {{
  chroot =
}}
"""
