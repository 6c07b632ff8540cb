"""Real mail programs against a port on loopback: imaplib, poplib and smtplib in this process, curl and swaks beside it.

All speak implicit TLS and verify the certificate against the CA of the tests, for 127.0.0.1.
"""

import imaplib
import poplib
import smtplib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tests.support.availability import require
from tests.support.peers.base import find_program
from tests.support.ports import LOOPBACK
from tests.support.tls import CertificateAuthority

TIMEOUT_S: Final = 10.0


def imap(port: int, ca: CertificateAuthority, timeout_s: float = TIMEOUT_S) -> imaplib.IMAP4_SSL:
    """Connected, not logged in; a `with` block logs out."""
    return imaplib.IMAP4_SSL(LOOPBACK, port, ssl_context=ca.client_context(), timeout=timeout_s)


def pop3(port: int, ca: CertificateAuthority, timeout_s: float = TIMEOUT_S) -> poplib.POP3_SSL:
    """Connected, not logged in; `quit` or `close` it."""
    return poplib.POP3_SSL(LOOPBACK, port, context=ca.client_context(), timeout=timeout_s)


def smtp(port: int, ca: CertificateAuthority, timeout_s: float = TIMEOUT_S) -> smtplib.SMTP_SSL:
    """Connected, not logged in; a `with` block quits."""
    return smtplib.SMTP_SSL(LOOPBACK, port, context=ca.client_context(), timeout=timeout_s)


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a program."""

    code: int
    output: str
    errors: str

    def succeeded(self) -> "Run":
        """Itself; AssertionError with all it said when its exit code is another than 0."""
        assert self.code == 0, f"exit code {self.code}\n{self.output}\n{self.errors}"
        return self


def curl(
    url: str,
    ca: CertificateAuthority,
    *options: str,
    user: str = "",
    password: str = "",
    stdin: str = "",
    timeout_s: float = TIMEOUT_S,
) -> Run:
    """`url` is like `imaps://127.0.0.1:9993/INBOX`.

    The credentials go into it percent-encoded: curl's --user would end the name at the first colon.
    """
    scheme, _, rest = url.partition("://")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    common = ("--silent", "--show-error", "--max-time", str(timeout_s), "--cacert", str(ca.path))
    return run("curl", *common, *options, f"{scheme}://{login}{rest}", stdin=stdin, timeout_s=timeout_s + 5)


def swaks(
    port: int, ca: CertificateAuthority, *options: str, user: str, password: str, timeout_s: float = TIMEOUT_S
) -> Run:
    """Sends a message, over implicit TLS and AUTH, from and to addresses of example.test unless `options` say else."""
    connection = ("--server", LOOPBACK, "--port", str(port), "--timeout", str(int(timeout_s)))
    tls = ("--tls-on-connect", "--tls-verify", "--tls-ca-path", str(ca.path))
    login = ("--auth", "PLAIN", "--auth-user", user, "--auth-password", password)
    envelope = ("--from", "a@example.test", "--to", "b@example.test", "--helo", "client.example.test")
    return run("swaks", *connection, *tls, *login, *envelope, *options, timeout_s=timeout_s + 5)


def run(program: str, *arguments: str | Path, stdin: str = "", timeout_s: float = TIMEOUT_S) -> Run:
    """Any program, with a time limit; without it, the test is skipped."""
    path = find_program(program)
    require(None if path else f"{program} is not installed")
    done = subprocess.run(
        [path or program, *map(str, arguments)],
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=timeout_s,
    )
    return Run(done.returncode, done.stdout, done.stderr)
