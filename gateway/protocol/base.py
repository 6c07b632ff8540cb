"""What the three protocols have in common: the shape of a dialogue, before login, in both roles.

A dialogue is pulled: its driver reads the frame that `want` asks for (a line, or exactly n octets), hands it to
`receive`, writes the reply of the returned step and acts on its event. That is all of its contact with the world.

SERVER role (`ServerDialogue`): we are the server, the client's program talks to us.
CLIENT role (`ClientDialogue`): we are the client of the mail server, and log in with the mail credentials.

Errors: a ServerDialogue never raises on a client's input: a bad line is a reply, a flood is `Closed`.
A ClientDialogue raises `Refused` (the mail server's no, or not able) and `ProtocolError` (not a mail server's answer).
"""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Final
from typing import Protocol

from gateway.outcome import EndReason
from gateway.outcome import Refusal

# Octets of a line without its CRLF. RFC 9051 section 4 leaves it to us; 8 KiB is what Dovecot and nginx accept.
MAX_LINE_OCTETS: Final = 8192
# An AUTH line may be this long (RFC 4954 section 4): room for bearer tokens.
MAX_AUTH_LINE_OCTETS: Final = 12288


@dataclass(frozen=True, slots=True)
class Line:
    """Wanted: the octets up to CRLF (or a bare LF), which are not part of the frame."""

    limit_octets: int = MAX_LINE_OCTETS


@dataclass(frozen=True, slots=True)
class Octets:
    """Wanted: exactly `count` octets, an IMAP literal (RFC 9051 section 4.3). Zero is a frame too."""

    count: int


Want = Line | Octets


@dataclass(frozen=True, slots=True)
class UserNamed:
    """A user name was given, the password not yet: the session is now authenticating."""


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """All that the client gave; nothing of it is split or trusted yet.

    authcid is the user field as typed, authzid that of SASL PLAIN or EXTERNAL (empty: none). `password` is None for a
    mechanism that has none (EXTERNAL). The dialogue waits for `accept` or `refuse` before its next frame.
    """

    mechanism: str
    authcid: bytes
    password: bytes | None = field(repr=False)
    authzid: bytes = b""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; the step's reply, if any, is the last thing the client gets."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from one frame: octets to write (perhaps none), then perhaps an event."""

    reply: bytes = b""
    event: UserNamed | LoginAttempt | Closed | None = None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What a ServerDialogue has to know of the configuration.

    hostname: for greetings. capabilities: what is announced before login, in the protocol's own words and order
    (IMAP capability atoms, POP3 CAPA lines, SMTP EHLO keywords), without SASL mechanisms: those are `mechanisms`.
    max_errors: bad commands after which the session ends. max_commands: all commands before login.
    """

    hostname: bytes
    capabilities: tuple[bytes, ...]
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    max_errors: int = 3
    max_commands: int = 50


@dataclass(frozen=True, slots=True)
class UpstreamReady:
    """The mail server accepted the login. capabilities: what it announces now; None: it has not said."""

    capabilities: tuple[bytes, ...] | None = None


class ServerDialogue(Protocol):
    """The SERVER role before login. After `accept` nothing more is called."""

    @property
    def want(self) -> Want:
        """The next frame to read."""

    def greeting(self) -> bytes:
        """The first octets, sent once TLS is up."""

    def receive(self, frame: bytes) -> Step:
        """Take the frame that `want` asked for."""

    def too_long(self) -> Step:
        """The line that `want` asked for has no end within its limit. The step closes."""

    def accept(self, upstream: UpstreamReady, banner: str | None = None) -> bytes:
        """The answer to a login attempt that succeeded, with the capabilities that hold from now on.

        banner: a text for the user, where the protocol has a place for one (IMAP's ALERT).
        """

    def refuse(self, refusal: Refusal) -> bytes:
        """The answer to a login attempt that failed; the client may try again."""

    def farewell(self, reason: EndReason) -> bytes:
        """The last words of a session that is ended from outside before its login; empty: none are due."""


@dataclass(frozen=True, slots=True)
class MailLogin:
    """What the mail server gets. password None: it is not asked to authenticate (SMTP without `mailhost`)."""

    user: bytes
    password: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """hostname: ours, for EHLO. start_tls: STARTTLS is done before anything secret is said, or nothing is."""

    hostname: bytes
    start_tls: bool = False


@dataclass(frozen=True, slots=True)
class StartTls:
    """The mail server agreed to STARTTLS: the driver makes the connection TLS, then calls `tls_started`.

    The driver must find nothing buffered behind the agreement (CVE-2011-0411), else the connection is abandoned.
    """


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Octets may flow now."""

    ready: UpstreamReady


@dataclass(frozen=True, slots=True)
class ClientStep:
    """What follows from one frame of the mail server: octets to send it, then perhaps an event."""

    send: bytes = field(default=b"", repr=False)
    event: StartTls | LoggedIn | None = None


class ClientDialogue(Protocol):
    """The CLIENT role, from the mail server's greeting to the end of our login."""

    @property
    def want(self) -> Want:
        """The next frame to read."""

    def receive(self, frame: bytes) -> ClientStep:
        """Take the frame that `want` asked for. Raises Refused or ProtocolError."""

    def tls_started(self) -> ClientStep:
        """TLS is up after `StartTls`: everything said before it is forgotten (RFC 3501 section 6.2.1)."""


@dataclass(frozen=True, slots=True)
class ProtocolSpec:
    """One mail protocol as the rest of the gateway sees it.

    name: the ASA's word, section of the configuration and value in logs. alpn: the TLS protocol id, RFC 7301.
    relay_farewells: what is written to a client that is logged in when the gateway ends its session; a missing key
    means a plain close.
    """

    name: str
    alpn: bytes
    server: Callable[[ServerSettings], ServerDialogue]
    client: Callable[[ClientSettings, MailLogin], ClientDialogue]
    relay_farewells: Mapping[EndReason, bytes]
