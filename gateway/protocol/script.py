"""The CLIENT role as a script: a generator that says a line, is sent the answer, and goes on.

A script yields each `ClientStep` and is sent the mail server's next line; after a `StartTls` event it is sent an empty
line once TLS is up. Its first step says nothing: the mail server speaks first.

Errors: `Refused` and `ProtocolError` out of the script, and `ProtocolError` from here for a mail server that talks on
and on.
Limits: MAX_LINE_OCTETS a line; MAX_LINES and MAX_OCTETS for all that is said until the login.
"""

from collections.abc import Generator
from typing import Final
from typing import TypeAlias

from gateway.errors import ProtocolError
from gateway.protocol.base import ClientStep
from gateway.protocol.base import Line
from gateway.protocol.base import StartTls

# A mail server with all its capabilities, said twice (before and after STARTTLS), needs about 40 lines and 2 KiB.
MAX_LINES: Final = 100
MAX_OCTETS: Final = 32768

Script: TypeAlias = Generator[ClientStep, bytes, None]


class ScriptedClient:
    """A `ClientDialogue` that follows a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._lines_left = MAX_LINES
        self._octets_left = MAX_OCTETS
        self._is_starting_tls = False
        next(script)

    @property
    def want(self) -> Line:
        return Line()

    def receive(self, frame: bytes) -> ClientStep:
        if self._is_starting_tls:
            raise ProtocolError("the mail server spoke between its agreement to TLS and TLS")
        self._lines_left -= 1
        self._octets_left -= len(frame)
        if self._lines_left < 0 or self._octets_left < 0:
            raise ProtocolError("the mail server says too much before the login")
        return self._advance(frame)

    def tls_started(self) -> ClientStep:
        return self._advance(b"")

    def _advance(self, frame: bytes) -> ClientStep:
        step = self._script.send(frame)
        self._is_starting_tls = isinstance(step.event, StartTls)
        return step
