"""Our login at the mail server: a connection and a `ClientDialogue`, driven to the point where octets may flow.

Errors: `Refused(UPSTREAM_REJECTED …)` as the mail server says; `Refused(UPSTREAM_UNAVAILABLE)` when it cannot be
reached, breaks its protocol or its TLS, or is silent past the deadline. The connection is closed on every error.
Limits: MAX_FRAMES from the mail server before the login is done (reliability against endless greetings).
"""

import time
from dataclasses import dataclass
from typing import Final

from gateway.errors import FrameTooLong
from gateway.errors import ProtocolError
from gateway.errors import Refused
from gateway.errors import UpstreamLost
from gateway.outcome import Refusal
from gateway.protocol.base import ClientDialogue
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import Line
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.base import StartTls
from gateway.protocol.base import UpstreamReady
from gateway.transport.base import UpstreamConnection
from gateway.upstream.connect import Dialer
from gateway.upstream.connect import UpstreamTls

MAX_FRAMES: Final = 200


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """How this protocol's mail servers are reached. Times in seconds."""

    port: int
    tls: UpstreamTls
    hostname: bytes
    connect_timeout_s: float
    login_timeout_s: float


class MailServers:
    """The mail servers of one protocol."""

    def __init__(self, spec: ProtocolSpec, settings: UpstreamSettings, dialer: Dialer) -> None:
        self._spec = spec
        self._settings = settings
        self._dialer = dialer

    def log_in(self, host: str, login: MailLogin) -> tuple[UpstreamConnection, UpstreamReady]:
        """Connect, be TLS where it is configured, log in."""
        settings = self._settings
        now = time.monotonic()
        try:
            connection = self._dialer.dial(host, settings.port, now + settings.connect_timeout_s)
        except UpstreamLost as lost:
            raise _unavailable(host, str(lost)) from None
        try:
            return connection, self._converse(connection, host, login)
        except (UpstreamLost, ProtocolError, FrameTooLong) as fault:
            connection.close()
            raise _unavailable(host, str(fault)) from None
        except BaseException:
            connection.close()
            raise

    def _converse(self, connection: UpstreamConnection, host: str, login: MailLogin) -> UpstreamReady:
        settings = self._settings
        deadline = time.monotonic() + settings.login_timeout_s
        if settings.tls.mode == "implicit":
            self._start_tls(connection, host, deadline)
        start_tls = settings.tls.mode == "starttls"
        dialogue = self._spec.client(ClientSettings(settings.hostname, start_tls), login)
        for _ in range(MAX_FRAMES):
            step = dialogue.receive(_read_frame(connection, dialogue, deadline))
            if step.send:
                connection.write(step.send)
            if isinstance(step.event, StartTls):
                self._start_tls(connection, host, deadline)
                connection.write(dialogue.tls_started().send)
            elif isinstance(step.event, LoggedIn):
                return step.event.ready
        raise ProtocolError(f"no end of the login within {MAX_FRAMES} replies")

    def _start_tls(self, connection: UpstreamConnection, host: str, deadline: float) -> None:
        tls = self._settings.tls
        if tls.context is None:
            raise UpstreamLost("TLS is asked for and there is no context for it")
        connection.start_tls(tls.context, tls.names.get(host, host), deadline)


def _read_frame(connection: UpstreamConnection, dialogue: ClientDialogue, deadline: float) -> bytes:
    want = dialogue.want
    if isinstance(want, Line):
        return connection.read_line(want.limit_octets, deadline)
    return connection.read_octets(want.count, deadline)


def _unavailable(host: str, fault: str) -> Refused:
    return Refused(Refusal.UPSTREAM_UNAVAILABLE, f"mail server {host}: {fault}")
