"""`gateway check --connect`: does each default mail server answer, greet, and do TLS as configured?

Only what an anonymous client may do is done: connect, read the greeting, start TLS, say goodbye. No credential is sent.
Errors: none is raised; what fails is a problem E401 (no connection), E402 (TLS), E403 (greeting).
Limits: connect-timeout for all of it; MAX_LINE_OCTETS, MAX_LINES.
Source: RFC 9051 sections 6.2.1 and 7.1, RFC 1939 section 4, RFC 2595 section 4, RFC 5321 section 3.1, RFC 3207."""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.config.document import Document
from gateway.config.model import Config
from gateway.config.model import ProtocolSettings
from gateway.config.model.words import UpstreamTls
from gateway.config.problems import Place
from gateway.config.problems import Problem
from gateway.config.problems import quoted
from gateway.errors import GatewayError

MAX_LINE_OCTETS: Final = 2048
MAX_LINES: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found out about one server: a line to read, or a problem."""

    text: str
    problem: Problem | None = None


def probe_servers(config: Config, document: Document) -> list[Outcome]:
    """Every protocol's default server, one after the other."""
    return [
        _outcome(protocol, protocol.server, config, document)
        for protocol in config.protocols.values()
        if protocol.server is not None
    ]


def _outcome(protocol: ProtocolSettings, server: str, config: Config, document: Document) -> Outcome:
    what = f"{protocol.name}: {server} port {protocol.server_port}"
    started = time.monotonic()
    try:
        with _Link(protocol, server) as link:
            greeting = _talk(link, protocol, config.hostname)
            how = link.tls_version() or "no TLS"
    except _Failure as failure:
        return Outcome(what, Problem(failure.code, _place(protocol, document), f"server: {failure}"))
    milliseconds = round((time.monotonic() - started) * 1000)
    return Outcome(f"{what}: {how}, {milliseconds} ms, {quoted(greeting.decode('latin-1'))}")


def _place(protocol: ProtocolSettings, document: Document) -> Place:
    section = document.section(protocol.name)
    option = section.option("server") if section is not None else None
    return option.value.place() if option is not None else Place(protocol.name)


class _Failure(GatewayError):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Words:
    """The few words of a protocol that are needed. `is_last` tells an answer's last line from those before it."""

    greeting: bytes
    hello: bytes
    start_tls: bytes
    goodbye: bytes
    ok: bytes
    is_last: Callable[[bytes], bool]
    greets_in_one_line: bool


_WORDS: Final = {
    "imap4s": _Words(b"* OK", b"", b"a STARTTLS", b"a LOGOUT", b"a OK", lambda line: line.startswith(b"a "), True),
    "pop3s": _Words(b"+OK", b"", b"STLS", b"QUIT", b"+OK", lambda _: True, True),
    "smtps": _Words(b"220", b"EHLO ", b"STARTTLS", b"QUIT", b"2", lambda line: line[3:4] != b"-", False),
}


def _talk(link: "_Link", protocol: ProtocolSettings, hostname: str) -> bytes:
    """The greeting, when all went as configured."""
    words = _WORDS[protocol.name]
    if protocol.server_tls is UpstreamTls.IMPLICIT:
        link.start_tls()
    greeting = link.line() if words.greets_in_one_line else link.answer(words)
    if not greeting.startswith(words.greeting):
        raise _Failure("E403", f"the greeting is {quoted(greeting.decode('latin-1'))}")
    if protocol.server_tls is UpstreamTls.STARTTLS:
        if words.hello:
            link.ask(words, words.hello + hostname.encode())
        answer = link.ask(words, words.start_tls)
        if not answer.startswith(words.ok):
            raise _Failure("E402", f"the server refuses STARTTLS: {quoted(answer.decode('latin-1'))}")
        link.start_tls()
    link.send(words.goodbye)
    return greeting


class _Link:
    """A connection to a mail server with one deadline for all of it; what fails is a `_Failure`."""

    def __init__(self, protocol: ProtocolSettings, server: str) -> None:
        self._protocol = protocol
        self._server = server
        self._deadline = time.monotonic() + protocol.connect_timeout_s
        self._buffer = b""
        try:
            self._socket = socket.create_connection((server, protocol.server_port), protocol.connect_timeout_s)
        except OSError as error:
            raise _Failure("E401", f"no connection to {server} port {protocol.server_port}: {_reason(error)}") from None

    def __enter__(self) -> "_Link":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def tls_version(self) -> str:
        return self._socket.version() or "" if isinstance(self._socket, ssl.SSLSocket) else ""

    def start_tls(self) -> None:
        """What was received before is thrown away: it may be an attacker's (CVE-2011-0411)."""
        self._buffer = b""
        ca = self._protocol.server_ca
        try:
            context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._expect_time()
            self._socket = context.wrap_socket(self._socket, server_hostname=self._protocol.server_name or self._server)
        except OSError as error:
            raise _Failure("E402", f"TLS with {self._server} fails: {_reason(error)}") from None

    def _expect_time(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)

    def send(self, line: bytes) -> None:
        try:
            self._expect_time()
            self._socket.sendall(line + b"\r\n")
        except OSError as error:
            raise _Failure("E403", f"the connection ended: {_reason(error)}") from None

    def ask(self, words: _Words, line: bytes) -> bytes:
        self.send(line)
        return self.answer(words)

    def answer(self, words: _Words) -> bytes:
        """The last line of an answer."""
        for _ in range(MAX_LINES):
            line = self.line()
            if words.is_last(line):
                return line
        raise _Failure("E403", f"an answer of more than {MAX_LINES} lines")

    def line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE_OCTETS:
                raise _Failure("E403", f"a line of more than {MAX_LINE_OCTETS} octets")
            self._buffer += self._receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def _receive(self) -> bytes:
        try:
            self._expect_time()
            octets = self._socket.recv(4096)
        except OSError as error:
            raise _Failure("E403", f"no answer from the server: {_reason(error)}") from None
        if not octets:
            raise _Failure("E403", "the server closed the connection")
        return octets


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.strerror or str(error)
