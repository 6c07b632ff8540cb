"""The facts of one session that the log (later: accounting and metrics) reports. Names and places are those of the
latest attempt.

Errors: none. No field can hold a password.
"""

import secrets
import time

from gateway.credentials import Login
from gateway.errors import Refused
from gateway.log import Log
from gateway.log import fault
from gateway.outcome import EndReason
from gateway.transport.base import RelayEnd
from gateway.transport.base import TlsFacts


class SessionRecord:
    """One session's facts, from its first line to its end."""

    __slots__ = (
        "_auth_ms",
        "_client",
        "_group_policy",
        "_interface",
        "_log",
        "_mail_user",
        "_protocol",
        "_server",
        "_session",
        "_started_at",
        "_tls",
        "_user",
    )

    def __init__(
        self, log: Log, protocol: str, interface: str, client: str, started_at: float, tls: TlsFacts | None = None
    ) -> None:
        """client: numeric address. started_at: monotonic, when the connection was accepted."""
        self._log = log
        self._session = secrets.token_hex(8)
        self._protocol = protocol
        self._interface = interface
        self._client = client
        self._started_at = started_at
        self._tls = tls
        self._user: str | None = None
        self._mail_user: str | None = None
        self._server: str | None = None
        self._group_policy: str | None = None
        self._auth_ms: float | None = None

    def attempt_begins(self) -> None:
        """What was found out in an earlier attempt says nothing of this one."""
        self._user = self._mail_user = self._server = self._group_policy = None

    def named(self, login: Login) -> None:
        """The client gave these names in its latest attempt."""
        self._user = login.vpn_user
        self._mail_user = login.mail_user

    def placed(self, group_policy: str, server: str) -> None:
        """Policy and mail server are chosen."""
        self._group_policy = group_policy
        self._server = server

    def refused(self, refused: Refused) -> None:
        """One login attempt failed."""
        self._log.warning(
            "auth_failed",
            **self._head(),
            reason=refused.refusal.value,
            user=self._user,
            mail_user=self._mail_user,
            server=self._server,
            detail=refused.detail,
        )

    def logged_in(self, attempt_started_at: float) -> None:
        """The login is done; octets are about to flow. attempt_started_at: monotonic."""
        self._auth_ms = (time.monotonic() - attempt_started_at) * 1000
        self._log.info(
            "login",
            **self._head(),
            **self._tls_fields(),
            auth_ms=self._auth_ms,
            group_policy=self._group_policy,
            user=self._user,
            mail_user=self._mail_user,
            server=self._server,
        )
        self._tls = None  # told; an idle session holds no more than it needs

    def relay_ended(self, end: RelayEnd) -> None:
        """The relay's last word."""
        self.ended(end.reason, octets_in=end.octets_in, octets_out=end.octets_out)

    def ended(self, reason: EndReason, detail: str = "", octets_in: int = 0, octets_out: int = 0) -> None:
        """The session is over: its one `session_end` line."""
        self._log.info(
            "session_end",
            **self._head(),
            reason=reason.value,
            duration_s=time.monotonic() - self._started_at,
            octets_in=octets_in,
            octets_out=octets_out,
            auth_ms=self._auth_ms,
            group_policy=self._group_policy,
            user=self._user,
            mail_user=self._mail_user,
            server=self._server,
            detail=detail or None,
        )

    def failed(self, error: Exception) -> None:
        """A fault of ours."""
        self._log.error("internal_error", **self._head(), detail=fault(error))

    def _head(self) -> dict[str, str]:
        return {
            "session": self._session,
            "protocol": self._protocol,
            "client": self._client,
            "interface": self._interface,
        }

    def _tls_fields(self) -> dict[str, str | None]:
        if self._tls is None:
            return {}
        return {"tls_version": self._tls.version, "tls_cipher": self._tls.cipher, "server_name": self._tls.server_name}
