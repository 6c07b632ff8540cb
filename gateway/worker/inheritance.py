"""What the master made before the fork and every worker shares. The words both sides use."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from OpenSSL import SSL

from gateway._sessions import SessionTable
from gateway.config.model import Config
from gateway.log import Log
from gateway.transport.tls import ServerTls


@dataclass(frozen=True, slots=True)
class Bound:
    """One listening socket. protocol: `imap4s`, `pop3s` or `smtps`."""

    protocol: str
    interface: str
    address: str
    port: int
    socket: socket.socket


@dataclass(frozen=True, slots=True)
class TlsSetup:
    """By protocol: the contexts towards clients, and towards mail servers where server-tls asks for TLS."""

    server: Mapping[str, ServerTls]
    upstream: Mapping[str, SSL.Context]


@dataclass(frozen=True, slots=True)
class Account:
    """Who the workers are. Looked up by the master, where an error still stops the start."""

    user: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Inheritance:
    """table: the sessions of all workers. account None: the workers stay who the master is.

    life_line: readable (end-of-file) once the master is gone.
    """

    config: Config
    listeners: tuple[Bound, ...]
    tls: TlsSetup
    account: Account | None
    table: SessionTable
    log: Log
    life_line: int
