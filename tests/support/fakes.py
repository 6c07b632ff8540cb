"""A scripted mail server: says what a real one would not say, and checks every octet it is sent.

A script is a sequence of steps; each is a function of the connection. Every connection plays the script from its
beginning in a thread of its own; its failures are raised by `FakeUpstream.close` (the end of the `with` block).

    with FakeUpstream(say(b"* OK hello\r\n"), expect_line(rb"(\\S+) LOGIN .*"), answer(rb"\\1 OK\r\n")) as upstream:
        ...
    assert upstream.wires[0].received == b"..."

`Wire.close`, `Wire.cut` and `Wire.reset` are steps as they are; the end of the script closes, too.
What a step may not return from (`silence`, `ignore_everything`) ends when the other side does, or with the fake.
"""

import contextlib
import itertools
import select
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK
from tests.support.ports import free_port
from tests.support.waiting import wait_until
from tests.support.wire import TIMEOUT_S
from tests.support.wire import Wire
from tests.support.wire import WireError

Step = Callable[[Wire], None]


class FakeUpstream:
    """Listens on loopback from construction on. `wires` are its connections so far.

    `context`: implicit TLS. `receive_buffer_octets`: what the kernel takes from a connection nobody reads (about the
    double of it, says socket(7)).
    """

    def __init__(
        self,
        *script: Step,
        context: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        receive_buffer_octets: int | None = None,
    ) -> None:
        self._script = script
        self._context = context
        self._timeout_s = timeout_s
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self.wires: list[Wire] = []
        self.host = LOOPBACK
        self._listener = socket.create_server((LOOPBACK, free_port()))
        self.port: int = self._listener.getsockname()[1]
        if receive_buffer_octets is not None:  # connections inherit it
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_octets)
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def wait_for_connection(self, number: int = 1, timeout_s: float = TIMEOUT_S) -> Wire:
        """The `number`th connection, counted from one."""
        wait_until(lambda: len(self.wires) >= number, timeout_s, f"connection {number} to the fake upstream")
        return self.wires[number - 1]

    def wait_until_played(self, number: int = 1, timeout_s: float = TIMEOUT_S) -> None:
        """The scripts of `number` connections have come to their end; raises what failed in any of them."""
        wait_until(lambda: self._played() >= number or self._failures, timeout_s, f"the end of {number} script(s)")
        self._raise_failures()

    def forget_failures(self) -> None:
        """For a test where the script cannot but fail, as when the client refuses the certificate."""
        wait_until(lambda: self._played() == len(self._threads), TIMEOUT_S, "the end of all scripts")
        self._failures.clear()

    def close(self) -> None:
        """End all connections. Raises what failed in a script."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        self._acceptor.join(TIMEOUT_S)
        for wire in self.wires:
            with contextlib.suppress(OSError):
                wire.connection.shutdown(socket.SHUT_RDWR)  # wakes recv() of the script's thread
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        self._raise_failures()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            wire = Wire(connection, self._timeout_s)
            thread = threading.Thread(target=self._play, args=[wire], daemon=True)
            self.wires.append(wire)
            self._threads.append(thread)
            thread.start()

    def _play(self, wire: Wire) -> None:
        try:
            if self._context is not None:
                wire.start_tls(self._context, server_side=True)
            for step in self._script:
                step(wire)
        except (AssertionError, WireError, OSError) as failure:
            if not self._closing:
                self._failures.append(failure)
        finally:
            wire.close()

    def _played(self) -> int:
        return sum(not thread.is_alive() for thread in self._threads)

    def _raise_failures(self) -> None:
        if self._failures:
            raise AssertionError(f"the script of a fake upstream failed: {self._failures[0]}") from self._failures[0]


def refusing_port() -> int:
    """A port where every connection is refused."""
    return free_port()


def say(data: bytes) -> Step:
    return lambda wire: wire.send(data)


def say_slowly(data: bytes, pause_s: float = 1.0) -> Step:
    """One octet at a time."""
    return _until_the_other_side_ends(lambda wire: wire.send_octet_by_octet(data, pause_s))


def expect(data: bytes) -> Step:
    """Byte for byte."""
    return lambda wire: wire.expect(data)


def expect_line(pattern: bytes) -> Step:
    """A whole line without CRLF, as a regular expression; its groups are for `answer`."""

    def step(wire: Wire) -> None:
        wire.expect_line(pattern)

    return step


def answer(template: bytes) -> Step:
    r"""Like `say`, with `\1` or `\g<tag>` from the last `expect_line`."""

    def step(wire: Wire) -> None:
        assert wire.match is not None, "answer without expect_line before it"
        wire.send(wire.match.expand(template))

    return step


def expect_end() -> Step:
    return lambda wire: wire.expect_end()


def start_tls(context: ssl.SSLContext) -> Step:
    """The server's side of the hand-shake, after the script has answered STARTTLS or STLS."""
    return lambda wire: wire.start_tls(context, server_side=True)


def echo() -> Step:
    """What a relay needs behind it: everything comes back, until the other side ends."""

    def step(wire: Wire) -> None:
        while data := wire.read_some():
            wire.send(data)

    return _until_the_other_side_ends(step)


def silence() -> Step:
    """Read everything, say nothing, until the other side ends."""
    return _until_the_other_side_ends(_read_for_ever)


def ignore_everything() -> Step:
    """Never read: the other side's writes fill the buffers of the kernel. Until the other side ends."""

    def step(wire: Wire) -> None:
        poller = select.poll()
        poller.register(wire.connection, select.POLLRDHUP)  # and POLLHUP, always
        poller.poll()

    return step


def endless(piece: bytes) -> Step:
    """`piece` again and again, as long as the other side takes it: a line without end, a reply without end."""

    def step(wire: Wire) -> None:
        for _ in itertools.count():
            wire.send(piece)

    return _until_the_other_side_ends(step)


def _read_for_ever(wire: Wire) -> None:
    wire.timeout_s = 3600.0
    wire.read_to_end()


def _until_the_other_side_ends(step: Step) -> Step:
    def guarded(wire: Wire) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            step(wire)

    return guarded
