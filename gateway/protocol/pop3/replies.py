"""What a POP3 client is told when a login is refused or a session ends before its login: complete tables.

All that AUTH stands for has one text, so that nobody learns why (RFC 3206 section 5). Whatever passes by itself says
SYS/TEMP or IN-USE: mail programs take a bare -ERR for a wrong password and ask the user.
Source: RFC 2449 section 8 (IN-USE), RFC 3206 (AUTH, SYS/TEMP).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.outcome import EndReason
from gateway.outcome import Refusal

_AUTHENTICATION_FAILED: Final = b"-ERR [AUTH] Authentication failed.\r\n"
_TRY_LATER: Final = b"-ERR [SYS/TEMP] Login is not possible at the moment, try again later.\r\n"

REFUSALS: Final[Mapping[Refusal, bytes]] = MappingProxyType(
    {
        Refusal.BAD_CREDENTIALS: _AUTHENTICATION_FAILED,
        Refusal.UPSTREAM_REJECTED: _AUTHENTICATION_FAILED,
        Refusal.EXPIRED: _AUTHENTICATION_FAILED,
        Refusal.POLICY_DENIED: _AUTHENTICATION_FAILED,
        Refusal.LOGIN_DISABLED: _AUTHENTICATION_FAILED,
        Refusal.SESSION_LIMIT: b"-ERR [IN-USE] Too many sessions.\r\n",
        Refusal.TEMPORARY: _TRY_LATER,
        Refusal.UPSTREAM_UNAVAILABLE: _TRY_LATER,
    }
)

# Each stands where the answer to a command is due or may be read as one, hence SYS/TEMP: not a wrong password.
FAREWELLS: Final[Mapping[EndReason, bytes]] = MappingProxyType(
    {
        EndReason.HANDSHAKE_FAILED: b"",
        EndReason.HANDSHAKE_TIMEOUT: b"",
        EndReason.LOGIN_TIMEOUT: b"-ERR [SYS/TEMP] Too slow to log in.\r\n",
        EndReason.LOGOUT: b"+OK Bye.\r\n",
        EndReason.TOO_MANY_ERRORS: b"-ERR Too many bad commands.\r\n",
        EndReason.TOO_MANY_FAILURES: b"",  # the answer to the last PASS was the last word
        EndReason.LINE_TOO_LONG: b"-ERR Line too long.\r\n",
        EndReason.LITERAL_TOO_LONG: b"",
        EndReason.TOO_MUCH_INPUT: b"-ERR Too much input before the login.\r\n",
        EndReason.TOO_MUCH_OUTPUT: b"",
        EndReason.NOT_THIS_PROTOCOL: b"",
        EndReason.EVICTED: b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n",
        EndReason.CLIENT_CLOSED: b"",
        EndReason.CLIENT_LOST: b"",
        EndReason.LOGGED_OFF: b"-ERR [SYS/TEMP] Disconnected by the administrator.\r\n",
        EndReason.SHUTDOWN: b"-ERR [SYS/TEMP] Shutting down, try again later.\r\n",
        EndReason.INTERNAL_ERROR: b"-ERR [SYS/TEMP] Internal error, try again later.\r\n",
        EndReason.UPSTREAM_CLOSED: b"",
        EndReason.UPSTREAM_LOST: b"",
        EndReason.IDLE_TIMEOUT: b"",
        EndReason.SESSION_TIMEOUT: b"",
    }
)

# After login POP3 has no words for a session that ends unasked (RFC 1939 section 3): the connection is closed.
RELAY_FAREWELLS: Final[Mapping[EndReason, bytes]] = MappingProxyType({})
