"""One protocol on one interface as a worker serves it: everything `serve()` needs, made once, then only read."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.aaa.chain import Chain
from gateway.credentials import Delimiters
from gateway.log import Log
from gateway.outcome import EndReason
from gateway.policy.rules import Policies
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.base import ServerSettings
from gateway.upstream.login import MailServers


@dataclass(frozen=True, slots=True)
class Service:
    """default_server None: users must name one. mailhost: the mail server authenticates too. Times in seconds,
    handshake_timeout_s and login_timeout_s from accept.

    is_allowed_server says which text behind the server separator is a server.
    """

    spec: ProtocolSpec
    interface: str
    dialogue: ServerSettings
    delimiters: Delimiters
    is_allowed_server: Callable[[str], bool]
    default_server: str | None
    chain: Chain
    policies: Policies
    mail_servers: MailServers
    mailhost: bool
    max_login_attempts: int
    handshake_timeout_s: float
    login_timeout_s: float
    failure_delay_s: float
    idle_timeout_s: float | None
    session_timeout_s: float | None
    log: Log

    def relay_farewell(self, reason: EndReason) -> bytes:
        """The last words to a client that is logged in; empty: a plain close. All sessions share it: they are many."""
        return self.spec.relay_farewells.get(reason, b"")
