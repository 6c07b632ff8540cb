"""What is measured: the gateway, its peers with the best configurations known, and the mail server behind them all.

Each runs in the foreground from a template of `perf/peers`, on free ports of loopback, with one certificate and one
mail server for all. They are ended by SIGKILL, even when the suite itself is killed.

Errors: PeerError, with the end of the server's own log, when it does not answer.
"""

import os
import re
import resource
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from typing import Final

from perf.suite import machine
from perf.suite.paths import BUILD
from perf.suite.paths import ROOT
from perf.suite.paths import TEMPLATES
from tests.support.peers.base import Peer
from tests.support.peers.base import PeerError
from tests.support.peers.base import run_program
from tests.support.ports import LOOPBACK
from tests.support.ports import free_ports

SERVICES: Final = ("imap", "pop3", "smtp")
ANSWER_TIMEOUT_S: Final = 5.0
SPARE_DESCRIPTORS: Final = 200
TOOL_PACKAGES: Final = {"gcc": "gcc", "openssl": "openssl", "/usr/include/openssl/ssl.h": "libssl-dev"}
STATS: Final = re.compile(r"(\w+) (\d+)")


def make_certificate(directory: Path) -> Path:
    """One file with a certificate for an ECDSA P-256 key, signed by itself, and that key."""
    key, certificate, both = directory / "key.pem", directory / "certificate.pem", directory / "both.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    files = ("-keyout", str(key), "-out", str(certificate))
    run_program("openssl", "req", "-x509", *curve, "-days", "2", "-subj", "/CN=mail.test", *files)
    both.touch(mode=0o600)
    both.write_text(certificate.read_text() + key.read_text())
    return both


def use_all_descriptors() -> int:
    """Raises the limit of this process and those it starts as far as it may; how many that is."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class MailServer(Peer):
    """Something that speaks the three protocols. `name` is what tables call it; `ports` is service -> port."""

    name: str
    host: str = LOOPBACK
    login_options: ClassVar[str] = ""
    """What the load generator must know to log in here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))

    @classmethod
    def missing(cls) -> str | None:
        absent = machine.missing(cls.packages)  # modules and headers too, which are no programs
        if absent:
            return f"the Debian package(s) {' '.join(absent)} are not installed"
        return "it must be started by root" if cls.needs_root and os.geteuid() != 0 else None

    def port_arguments(self) -> list[str]:
        return ["-i", str(self.ports["imap"]), "-p", str(self.ports["pop3"]), "-s", str(self.ports["smtp"])]


class Backend(MailServer):
    """The mail server behind the proxies: takes any login, serves and swallows bodies, counts everything."""

    packages: ClassVar = TOOL_PACKAGES

    def __init__(self, *, verify: bool = False, host: str = LOOPBACK, like: "Backend | None" = None) -> None:
        """`verify`: uploads are compared octet by octet. `like`: on the ports of that one, at another address."""
        super().__init__("backend")
        self.verify, self.host = verify, host
        if like is not None:
            self.ports = like.ports

    def configure(self) -> None:
        pass

    def command(self) -> list[str]:
        verify = ["-V"] if self.verify else []
        return [str(BUILD / "sinkd"), "-a", self.host, *verify, *self.port_arguments()]

    def probe(self) -> None:
        self.counts()

    def counts(self) -> dict[str, int]:
        """Since it started: sessions, logins, noops, octets of bodies out and in. live: sessions now, with this one."""
        with socket.create_connection((self.host, self.ports["imap"]), timeout=ANSWER_TIMEOUT_S) as connection:
            connection.sendall(b"x STATS\r\nx LOGOUT\r\n")
            with connection.makefile() as answer:
                stats = next((line for line in answer if line.startswith("* STATS ")), "")
        if not stats:
            raise PeerError("the mail server does not count")
        return {name: int(number) for name, number in STATS.findall(stats)}


class TlsServer(MailServer):
    """Speaks TLS from the start."""

    def probe(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for port in self.ports.values():
            with (
                socket.create_connection((self.host, port), timeout=ANSWER_TIMEOUT_S) as plain,
                context.wrap_socket(plain) as tls,
            ):
                if not tls.recv(1):
                    raise PeerError(f"port {port} was closed without a word")


class Direct(TlsServer):
    """The mail server speaking TLS itself: no proxy, no second connection. What TLS alone costs."""

    packages: ClassVar = TOOL_PACKAGES

    def __init__(self, certificate: Path) -> None:
        super().__init__("direct")
        self.certificate = certificate

    def configure(self) -> None:
        pass

    def command(self) -> list[str]:
        return [str(BUILD / "sinkd"), "-c", str(self.certificate), *self.port_arguments()]


class Proxy(TlsServer):
    """In front of a backend, configured by a template: @NAME@ stands for a value."""

    template: ClassVar[str]
    tool: Sequence[str] = ()
    """The command line of a tool that runs the proxy, such as valgrind."""

    def __init__(self, name: str, backend: Backend, certificate: Path, *, workers: int, **values: str | int) -> None:
        super().__init__(name)
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self._values: dict[str, str | int] = {
            "CERTIFICATE": str(certificate),
            "WORKERS": workers,
            "DESCRIPTORS": descriptors,
            "SESSIONS": (descriptors - SPARE_DESCRIPTORS) // 2,
            **{service.upper(): port for service, port in self.ports.items()},
            **{f"BACKEND_{service.upper()}": port for service, port in backend.ports.items()},
            **values,
        }

    @property
    def configuration(self) -> Path:
        return self.directory / self.template.removesuffix(".in")

    def configure(self) -> None:
        text = (TEMPLATES / self.template).read_text()
        for name, value in {**self._values, "RUN": self.directory}.items():
            text = text.replace(f"@{name}@", str(value))
        self.configuration.touch(mode=0o600)
        self.configuration.write_text(text)


class Gateway(Proxy):
    """`outstanding`: the cap on sessions that have not logged in."""

    packages: ClassVar = TOOL_PACKAGES
    template = "gateway.ini.in"
    login_options = "-u vpn%{4}:user%d@backend"  # two names in one; "backend" is no server that it allows, so a domain

    def __init__(
        self,
        name: str,
        backend: Backend,
        certificate: Path,
        *,
        workers: int,
        log_level: str = "warning",
        outstanding: int | None = None,
    ) -> None:
        cap = "none" if outstanding is None else outstanding
        super().__init__(name, backend, certificate, workers=workers, LOG_LEVEL=log_level, OUTSTANDING=cap)

    def command(self) -> list[str]:
        path = f"PYTHONPATH={ROOT}"  # this work tree's gateway, whatever is installed
        return ["env", path, *self.tool, sys.executable, "-m", "gateway", "run", "-c", str(self.configuration)]


class Nginx(Proxy):
    """`buffer`: its proxy_buffer; 4k is its default, 64k its best for large mail."""

    packages: ClassVar = {"nginx": "nginx-light", "/usr/lib/nginx/modules/ngx_mail_module.so": "libnginx-mod-mail"}
    template = "nginx.conf.in"

    def __init__(self, name: str, backend: Backend, certificate: Path, *, workers: int, buffer: str) -> None:
        super().__init__(name, backend, certificate, workers=workers, BUFFER=buffer)

    def command(self) -> list[str]:
        return [*self.tool, "nginx", "-e", str(self.directory / "nginx.log"), "-c", str(self.configuration)]


class DovecotProxy(Proxy):
    packages: ClassVar = {
        "dovecot": "dovecot-imapd",
        "/usr/lib/dovecot/pop3-login": "dovecot-pop3d",
        "/usr/lib/dovecot/submission-login": "dovecot-submissiond",
    }
    needs_root: ClassVar = True  # its login processes have users of their own
    template = "dovecot.conf.in"

    def command(self) -> list[str]:
        return [*self.tool, "dovecot", "-F", "-c", str(self.configuration)]


class Haproxy(Proxy):
    packages: ClassVar = {"haproxy": "haproxy"}
    template = "haproxy.cfg.in"

    def command(self) -> list[str]:
        return [*self.tool, "haproxy", "-db", "-f", str(self.configuration)]


class Stunnel(Proxy):
    packages: ClassVar = {"stunnel4": "stunnel4"}
    template = "stunnel.conf.in"

    def command(self) -> list[str]:
        return [*self.tool, "stunnel4", str(self.configuration)]
