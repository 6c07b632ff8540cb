"""What an SMTP client is told when a login is refused or a session ends: complete tables.

Source: RFC 4954 section 6 for AUTH, RFC 5321 section 3.8 for 421, RFC 3463 and RFC 5248 for the enhanced codes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.outcome import EndReason
from gateway.outcome import Refusal

_AUTHENTICATION_FAILED: Final = b"535 5.7.8 Authentication failed\r\n"
_TRY_LATER: Final = b"454 4.7.0 Authentication is not possible at the moment, try again later\r\n"

REFUSALS: Final[Mapping[Refusal, bytes]] = MappingProxyType(
    {
        Refusal.BAD_CREDENTIALS: _AUTHENTICATION_FAILED,
        Refusal.UPSTREAM_REJECTED: _AUTHENTICATION_FAILED,
        Refusal.EXPIRED: _AUTHENTICATION_FAILED,
        Refusal.POLICY_DENIED: _AUTHENTICATION_FAILED,
        Refusal.LOGIN_DISABLED: b"525 5.7.13 Login disabled\r\n",
        Refusal.SESSION_LIMIT: b"454 4.7.0 Too many sessions, try again later\r\n",
        Refusal.TEMPORARY: _TRY_LATER,
        Refusal.UPSTREAM_UNAVAILABLE: _TRY_LATER,
    }
)

FAREWELLS: Final[Mapping[EndReason, bytes]] = MappingProxyType(
    {
        EndReason.HANDSHAKE_FAILED: b"",
        EndReason.HANDSHAKE_TIMEOUT: b"",
        EndReason.LOGIN_TIMEOUT: b"421 4.7.0 Too slow to log in\r\n",
        EndReason.LOGOUT: b"221 2.0.0 Bye\r\n",
        EndReason.TOO_MANY_ERRORS: b"421 4.7.0 Too many bad commands\r\n",
        EndReason.TOO_MANY_FAILURES: b"421 4.7.0 Too many failed logins\r\n",
        EndReason.LINE_TOO_LONG: b"500 5.5.6 Line too long\r\n",
        EndReason.LITERAL_TOO_LONG: b"",
        EndReason.TOO_MUCH_INPUT: b"421 4.7.0 Too much input before the login\r\n",
        EndReason.TOO_MUCH_OUTPUT: b"",
        EndReason.NOT_THIS_PROTOCOL: b"",
        EndReason.EVICTED: b"421 4.7.0 Too many connections, try again later\r\n",
        EndReason.CLIENT_CLOSED: b"",
        EndReason.CLIENT_LOST: b"",
        EndReason.LOGGED_OFF: b"421 4.7.0 Disconnected by the administrator\r\n",
        EndReason.SHUTDOWN: b"421 4.3.2 Shutting down\r\n",
        EndReason.INTERNAL_ERROR: b"421 4.3.0 Internal error\r\n",
        EndReason.UPSTREAM_CLOSED: b"",
        EndReason.UPSTREAM_LOST: b"421 4.4.2 Lost the mail server\r\n",
        EndReason.IDLE_TIMEOUT: b"421 4.7.0 Idle for too long\r\n",
        EndReason.SESSION_TIMEOUT: b"421 4.7.0 Session time is over\r\n",
    }
)

# After login: a server that has to shut a connection says so, whatever the client is about.
_SAID_AFTER_LOGIN: Final = (
    EndReason.LOGGED_OFF,
    EndReason.SHUTDOWN,
    EndReason.IDLE_TIMEOUT,
    EndReason.SESSION_TIMEOUT,
    EndReason.UPSTREAM_LOST,
)
RELAY_FAREWELLS: Final[Mapping[EndReason, bytes]] = MappingProxyType(
    {reason: FAREWELLS[reason] for reason in _SAID_AFTER_LOGIN}
)
