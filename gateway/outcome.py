"""The words for what may come of a session. They are the questions; each protocol keeps a table with its answers.

A `Refusal` answers one login attempt: the client may try again. An `EndReason` says why a session is over.
Every protocol has a complete reply table for both, and a test that fails when a word is missing from one.
"""

from enum import Enum
from enum import unique


@unique
class Refusal(Enum):
    """Why a login attempt was refused. The value is the word in logs and metrics."""

    BAD_CREDENTIALS = "bad-credentials"  # AAA, or the split of the login, says no
    UPSTREAM_REJECTED = "upstream-rejected"  # the mail server says no; the client cannot tell it from the above
    EXPIRED = "password-expired"
    POLICY_DENIED = "policy-denied"  # hours, network, protocol, server, or no group policy at all
    LOGIN_DISABLED = "login-disabled"
    SESSION_LIMIT = "session-limit"  # simultaneous-logins reached: the newcomer is refused, the others live on
    TEMPORARY = "aaa-unavailable"  # no AAA server answered: never to be taken for a wrong password
    UPSTREAM_UNAVAILABLE = "upstream-unavailable"


@unique
class EndReason(Enum):
    """Why a session ended. The value is the word in logs and metrics."""

    # before the login
    HANDSHAKE_FAILED = "handshake-failed"
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    LOGIN_TIMEOUT = "login-timeout"
    LOGOUT = "logout"  # the client said LOGOUT or QUIT
    TOO_MANY_ERRORS = "too-many-errors"
    TOO_MANY_FAILURES = "too-many-failures"  # login attempts that were refused
    LINE_TOO_LONG = "line-too-long"
    LITERAL_TOO_LONG = "literal-too-long"
    TOO_MUCH_INPUT = "too-much-input"  # octets or commands before the login
    TOO_MUCH_OUTPUT = "too-much-output"  # the client does not read its replies
    NOT_THIS_PROTOCOL = "not-this-protocol"  # an HTTP request, NUL octets: answered by silence
    EVICTED = "evicted"  # the cap on non-authenticated sessions
    # at any time
    CLIENT_CLOSED = "client-closed"
    CLIENT_LOST = "client-lost"  # reset, or a TLS error
    LOGGED_OFF = "logged-off"  # by an administrator
    SHUTDOWN = "shutdown"
    INTERNAL_ERROR = "internal-error"
    # once octets flow
    UPSTREAM_CLOSED = "upstream-closed"
    UPSTREAM_LOST = "upstream-lost"
    IDLE_TIMEOUT = "idle-timeout"
    SESSION_TIMEOUT = "session-timeout"


@unique
class State(Enum):
    """A session's state as the ASA counts it; only the first two count against `outstanding`."""

    UNAUTHENTICATED = "unauthenticated"  # from accept
    AUTHENTICATING = "authenticating"  # a user name was given
    AUTHENTICATED = "authenticated"  # AAA and policy said yes
