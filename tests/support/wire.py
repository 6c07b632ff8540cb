"""One connection under full control of a test, plain or TLS, either end: what is sent, how it is cut, how it ends.

TLS runs over memory BIOs, so that its records, too, can be sent octet by octet, left incomplete, or followed by a
reset. Every wait has a deadline in total, not per octet: a peer that dribbles cannot hold a test.

Errors: WireError for a deadline or an unexpected end, with all that was received; AssertionError from `expect`;
OSError and ssl.SSLError as the socket and OpenSSL raise them.
"""

import contextlib
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from enum import Enum
from types import TracebackType
from typing import Final
from typing import Self

from tests.support.ports import LOOPBACK

TIMEOUT_S: Final = 10.0
LAST_WORD_TIMEOUT_S: Final = 1.0
CHUNK_OCTETS: Final = 65_536
# Linger on, for zero seconds: close() sends RST. socket(7).
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class WireError(Exception):
    """The other side did not say, or do, what was waited for."""


class End(Enum):
    """How the other side ended its direction."""

    CLOSE_NOTIFY = "close_notify"  # TLS: in order
    FIN = "fin"  # plain: in order; TLS: cut off


class Wire:
    """Owns `connection`. `received` is everything (decrypted) that ever came in, `sent` all that went out."""

    def __init__(self, connection: socket.socket, timeout_s: float = TIMEOUT_S) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.timeout_s = timeout_s
        self.received = bytearray()
        self.sent = bytearray()
        self.end: End | None = None
        self.match: re.Match[bytes] | None = None
        self.tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._taken = 0

    def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
        octet_by_octet: bool = False,
    ) -> None:
        """Hand-shake now. What was received but not yet read is taken for the beginning of it."""
        self._incoming.write(self.unread())
        self._taken = len(self.received)
        # Set by default in Python 3.11.2 (Debian 12): a connection cut off would look like one ended in order.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_name, session)
        deadline = self._deadline()
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(octet_by_octet)
                self._pull(deadline)
            except ssl.SSLError:
                self._flush()  # the alert
                raise
            else:
                return self._flush(octet_by_octet)

    def send(self, data: bytes) -> None:
        self.sent += data
        if self.tls is None:
            self._send_raw(data)
        elif data:
            self.tls.write(data)
            self._flush()

    def send_each(self, pieces: Iterable[bytes], pause_s: float = 0.0) -> None:
        """Every piece in a segment (and, with TLS, a record) of its own."""
        for piece in pieces:
            self.send(piece)
            time.sleep(pause_s)

    def send_octet_by_octet(self, data: bytes, pause_s: float = 0.0) -> None:
        self.send_each((data[i : i + 1] for i in range(len(data))), pause_s)

    def send_raw(self, data: bytes) -> None:
        """Octets below TLS: garbage instead of records, say."""
        self._send_raw(data)

    def read(self, count: int) -> bytes:
        """Exactly `count` octets."""
        deadline = self._deadline()
        while len(self.received) - self._taken < count:
            self._need_more(deadline, f"{count} octets")
        return self._take(count)

    def read_some(self) -> bytes:
        """What is there, at least one octet; nothing at the end."""
        if not self.unread():
            self._receive(self._deadline())
        return self._take(len(self.received) - self._taken)

    def read_until(self, marker: bytes) -> bytes:
        """Up to and with the first `marker`."""
        deadline = self._deadline()
        while (at := self.received.find(marker, self._taken)) < 0:
            self._need_more(deadline, repr(marker))
        return self._take(at + len(marker) - self._taken)

    def read_line(self) -> bytes:
        return self.read_until(b"\r\n")

    def read_to_end(self) -> bytes:
        """All that comes until the other side ends; `end` then tells how. A reset is a ConnectionResetError."""
        deadline = self._deadline()
        while self._receive(deadline):
            pass
        return self._take(len(self.received) - self._taken)

    def expect(self, data: bytes) -> None:
        """The next octets are exactly `data`; fails at the first that differs, without waiting for the others."""
        deadline = self._deadline()
        while True:
            got = self.unread()[: len(data)]
            assert data.startswith(got), f"got {got!r}, expected {data!r}"
            if len(got) == len(data):
                self._take(len(data))
                return
            self._need_more(deadline, repr(data))

    def expect_line(self, pattern: bytes) -> re.Match[bytes]:
        """The next line, without its CRLF, matches as a whole; the match is kept as `self.match` too."""
        line = self.read_line()[:-2]
        self.match = re.fullmatch(pattern, line)
        assert self.match is not None, f"got the line {line!r}, expected {pattern!r}"
        return self.match

    def expect_end(self) -> None:
        """Nothing more comes, and the other side ends in order or not."""
        rest = self.read_to_end()
        assert rest == b"", f"got {rest!r}, expected the end"

    def expect_silence(self, seconds: float) -> None:
        """Nothing comes for that long."""
        try:
            arrived = self._receive(time.monotonic() + seconds)
        except WireError:
            return
        raise AssertionError(f"got {self.unread()!r}, expected silence" if arrived else "got the end, expected silence")

    def unread(self) -> bytes:
        """What has been received and not read; does not wait."""
        return bytes(self.received[self._taken :])

    def half_close(self) -> None:
        """End our direction in order (close_notify, FIN); reading goes on."""
        self._say_close_notify()
        self.connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End both directions in order as far as that is still possible."""
        self.timeout_s = min(self.timeout_s, LAST_WORD_TIMEOUT_S)
        with contextlib.suppress(OSError):
            self._say_close_notify()
        self.connection.close()

    def cut(self) -> None:
        """Close the socket with FIN, but without TLS's close_notify."""
        self.connection.close()

    def reset(self) -> None:
        """Close the socket with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _need_more(self, deadline: float, what: str) -> None:
        if not self._receive(deadline):
            raise WireError(f"the end came before {what}; unread: {self.unread()!r}")

    def _receive(self, deadline: float) -> bool:
        """Take in some plaintext; False at the end."""
        while self.end is None:
            data = self._pull(deadline) if self.tls is None else self._decrypt(self.tls, deadline)
            if data:
                self.received += data
                return True
        return False

    def _decrypt(self, tls: ssl.SSLObject, deadline: float) -> bytes:
        """b"" when TLS needed octets and produced none, or at the end."""
        try:
            data = tls.read(CHUNK_OCTETS)
        except ssl.SSLWantReadError:
            self._flush()  # an answer of TLS itself (KeyUpdate)
            self._pull(deadline)
            return b""
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError as error:
            # Python 3.11.2 (Debian 12) has the reason, but not yet the class.
            if not isinstance(error, ssl.SSLEOFError) and error.reason != "UNEXPECTED_EOF_WHILE_READING":
                raise
            self.end = End.FIN
            return b""
        if not data:
            self.end = End.CLOSE_NOTIFY
        return data

    def _pull(self, deadline: float) -> bytes:
        """Octets from the socket: to the caller, and to TLS when it is on. Notes the end."""
        data = self._recv(deadline)
        if self.tls is None:
            self.end = None if data else End.FIN
        elif data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return data

    def _recv(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            return self.connection.recv(CHUNK_OCTETS)
        except TimeoutError:
            raise WireError(f"nothing came in time; unread: {self.unread()!r}") from None

    def _flush(self, octet_by_octet: bool = False) -> None:
        data = self._outgoing.read()
        step = 1 if octet_by_octet else CHUNK_OCTETS
        for start in range(0, len(data), step):
            self._send_raw(data[start : start + step])

    def _send_raw(self, data: bytes) -> None:
        self.connection.settimeout(self.timeout_s)
        self.connection.sendall(data)

    def _say_close_notify(self) -> None:
        if self.tls is None:
            return
        # OpenSSL drops application data it meets in SSL_shutdown: take in first what it already has.
        with contextlib.suppress(ssl.SSLError):
            while data := self.tls.read(CHUNK_OCTETS):
                self.received += data
        # unwrap() wants the other side's close_notify, which may come much later. Ours is in the BIO by then.
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self._flush()

    def _take(self, count: int) -> bytes:
        taken = bytes(self.received[self._taken : self._taken + count])
        self._taken += count
        return taken

    def _deadline(self) -> float:
        return time.monotonic() + self.timeout_s


def connect(port: int, *, host: str = LOOPBACK, timeout_s: float = TIMEOUT_S) -> Wire:
    """A plain connection."""
    return Wire(socket.create_connection((host, port), timeout_s), timeout_s)


def connect_tls(
    port: int,
    context: ssl.SSLContext,
    *,
    host: str = LOOPBACK,
    server_name: str | None = None,
    timeout_s: float = TIMEOUT_S,
    session: ssl.SSLSession | None = None,
    octet_by_octet: bool = False,
) -> Wire:
    """Implicit TLS. `server_name` is what the certificate must be for, and SNI; by default `host`."""
    wire = connect(port, host=host, timeout_s=timeout_s)
    try:
        wire.start_tls(context, server_name=server_name or host, session=session, octet_by_octet=octet_by_octet)
    except BaseException:
        wire.cut()
        raise
    return wire
