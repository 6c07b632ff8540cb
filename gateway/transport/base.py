"""The border between `serve()` and what moves the octets.

`serve()` sees a session from its first line on, as two connections that it reads by frames and writes to, and at last
joins with `hand_over`. What lies behind (who accepts, how TLS is done, how the relay copies) can change without it.

Deadlines are points of `time.monotonic()`; each is a total for the frame, never a time per octet.

Errors: reading and writing raise `SessionEnded` on a ClientConnection (the client left, a deadline passed, somebody
ended the session: `end` makes every later call raise) and `UpstreamLost` on an UpstreamConnection; `read_line` raises
`FrameTooLong` on both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from OpenSSL import SSL

from gateway.outcome import EndReason
from gateway.outcome import State

Address = tuple[str, int]  # numeric host, port; IPv4-mapped IPv6 is written as IPv4


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What the handshake agreed on. server_name: the client's SNI, lower case. certificate_der: the client's."""

    version: str
    cipher: str
    alpn: bytes | None = None
    server_name: str | None = None
    resumed: bool = False
    certificate_der: bytes | None = None


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """idle_s: without an octet in either direction; session_s: from the hand-over. None: no limit."""

    idle_s: float | None
    session_s: float | None


@dataclass(frozen=True, slots=True)
class RelayEnd:
    """octets_in: from the client to the mail server; octets_out: the other way. Both without TLS's own."""

    reason: EndReason
    octets_in: int
    octets_out: int


class Connection(Protocol):
    """One side of a session while its octets have a meaning."""

    @property
    def peer(self) -> Address:
        """Theirs."""

    @property
    def local(self) -> Address:
        """Ours."""

    def read_line(self, limit_octets: int, deadline: float) -> bytes:
        """The octets up to CRLF or LF, without it."""

    def read_octets(self, count: int, deadline: float) -> bytes:
        """Exactly `count` octets."""

    def write(self, data: bytes) -> None:
        """Queue octets and return; what the peer does not read is bounded."""

    def close(self, last_words: bytes = b"") -> None:
        """Send what is queued and `last_words` as far as the peer takes them at once, say close_notify, close.

        Never raises, never waits; works after `end` too. Idempotent.
        """


class ClientConnection(Connection, Protocol):
    """The client's side, TLS done, greeting sent."""

    @property
    def tls(self) -> TlsFacts:
        """The facts of the handshake."""

    @property
    def accepted_at(self) -> float:
        """Monotonic."""

    def advance(self, state: State) -> None:
        """The session reached `state`; counted where sessions are counted."""

    def admit(self, user: str, limit: int | None, by_address: bool) -> None:
        """Count the session as an authenticated one of `user`, who may have `limit` (None: any number).

        by_address: his sessions from one address count as one. Raises Refused(SESSION_LIMIT), SessionEnded.
        """

    def describe(self, *, vpn_user: str, mail_user: str, server: str, group_policy: str) -> None:
        """Note what others are shown of the session."""

    def end(self, reason: EndReason) -> None:
        """End the session from outside: whoever reads, writes or waits in it gets `SessionEnded(reason)`."""

    def pause(self, seconds: float) -> None:
        """Let time pass before an answer (guessing slows down). Raises SessionEnded as reading does."""

    def hand_over(
        self,
        upstream: "UpstreamConnection",
        limits: RelayLimits,
        farewells: Callable[[EndReason], bytes],
        on_end: Callable[[RelayEnd], None],
    ) -> None:
        """Join the two and return at once. What either has read ahead goes first.

        From here both belong to the relay, which closes them and then calls `on_end`, once. `farewells` gives the
        octets for the client when we end the session ourselves; they are sent only where a line may begin.
        """


class UpstreamConnection(Connection, Protocol):
    """The mail server's side."""

    def start_tls(self, context: SSL.Context, server_name: str, deadline: float) -> None:
        """Do the TLS handshake as the client; verify chain and name. Raises UpstreamLost if octets wait unread."""


class Connector(Protocol):
    """Opens connections to mail servers."""

    def connect(self, address: Address, deadline: float) -> UpstreamConnection:
        """Connect to one numeric address. Raises UpstreamLost."""
