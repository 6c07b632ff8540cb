"""What an IMAP client is told when a login is refused or a session ends: complete tables.

Source: RFC 5530 for the codes. Mail programs take a NO without a code, or with AUTHENTICATIONFAILED, for a wrong
password and ask the user (K-9, Thunderbird for Android); so whatever passes by itself has to say UNAVAILABLE.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.outcome import EndReason
from gateway.outcome import Refusal

_WRONG: Final = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
_DENIED: Final = b"NO [AUTHORIZATIONFAILED] Access denied.\r\n"
_DOWN: Final = b"NO [UNAVAILABLE] Temporarily unavailable, try again later.\r\n"

# To be sent behind the tag.
REFUSALS: Final[Mapping[Refusal, bytes]] = MappingProxyType(
    {
        Refusal.BAD_CREDENTIALS: _WRONG,
        Refusal.UPSTREAM_REJECTED: _WRONG,
        Refusal.EXPIRED: b"NO [EXPIRED] Password expired.\r\n",
        Refusal.POLICY_DENIED: _DENIED,
        Refusal.LOGIN_DISABLED: _DENIED,
        Refusal.SESSION_LIMIT: b"NO [LIMIT] Too many sessions.\r\n",
        Refusal.TEMPORARY: _DOWN,
        Refusal.UPSTREAM_UNAVAILABLE: _DOWN,
    }
)

_SILENCE: Final = b""
_UNAVAILABLE: Final = b"* BYE [UNAVAILABLE] Try again later.\r\n"

# Before login.
FAREWELLS: Final[Mapping[EndReason, bytes]] = MappingProxyType(
    {
        EndReason.HANDSHAKE_FAILED: _SILENCE,
        EndReason.HANDSHAKE_TIMEOUT: _SILENCE,
        EndReason.LOGIN_TIMEOUT: b"* BYE [UNAVAILABLE] No login in time.\r\n",
        EndReason.LOGOUT: b"* BYE Logging out.\r\n",
        EndReason.TOO_MANY_ERRORS: b"* BYE [CLIENTBUG] Too many bad commands.\r\n",
        EndReason.TOO_MANY_FAILURES: b"* BYE Too many failed logins.\r\n",
        EndReason.LINE_TOO_LONG: b"* BYE [CLIENTBUG] Line too long.\r\n",
        EndReason.LITERAL_TOO_LONG: b"* BYE [CLIENTBUG] Literal too long.\r\n",
        EndReason.TOO_MUCH_INPUT: b"* BYE [CLIENTBUG] Too much input before login.\r\n",
        EndReason.TOO_MUCH_OUTPUT: _SILENCE,  # it would not be read
        EndReason.NOT_THIS_PROTOCOL: _SILENCE,
        EndReason.EVICTED: _UNAVAILABLE,
        EndReason.CLIENT_CLOSED: _SILENCE,
        EndReason.CLIENT_LOST: _SILENCE,
        EndReason.LOGGED_OFF: b"* BYE [UNAVAILABLE] Logged off by an administrator.\r\n",
        EndReason.SHUTDOWN: b"* BYE [UNAVAILABLE] Shutting down.\r\n",
        EndReason.INTERNAL_ERROR: b"* BYE [SERVERBUG] Internal error.\r\n",
        EndReason.UPSTREAM_CLOSED: _UNAVAILABLE,
        EndReason.UPSTREAM_LOST: _UNAVAILABLE,
        EndReason.IDLE_TIMEOUT: _UNAVAILABLE,
        EndReason.SESSION_TIMEOUT: _UNAVAILABLE,
    }
)

# After login, when it is not the mail server that says BYE.
RELAY_FAREWELLS: Final[Mapping[EndReason, bytes]] = MappingProxyType(
    {
        EndReason.LOGGED_OFF: b"* BYE Logged off by an administrator.\r\n",
        EndReason.SHUTDOWN: b"* BYE Shutting down.\r\n",
        EndReason.IDLE_TIMEOUT: b"* BYE Idle for too long.\r\n",
        EndReason.SESSION_TIMEOUT: b"* BYE Session time is over.\r\n",
        EndReason.UPSTREAM_LOST: b"* BYE Connection to the mail server lost.\r\n",
    }
)
