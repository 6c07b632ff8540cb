"""What client and upstream connections have in common: frames with a budget and a deadline, over a channel.

Errors: whatever `_failure` makes of a `Fault`; FrameTooLong from `read_line`.
Limits: INPUT_OCTETS are read in all before the hand-over, OUTPUT_OCTETS may wait for the peer. Nothing is read ahead of
the frame that was asked for, but for what came in the same 64 KiB.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from gateway._fastpath import FrameBuffer
from gateway.errors import GatewayError
from gateway.transport.base import Address
from gateway.transport.channel import Channel
from gateway.transport.channel import ChannelLost
from gateway.transport.waiting import Expired
from gateway.transport.waiting import wait

INPUT_OCTETS: Final = 64 * 1024
OUTPUT_OCTETS: Final = 16 * 1024  # CVE-2025-21605: the output of a client that is not logged in was without a limit


class Fault(Enum):
    """What can happen to a connection; the value is the word for the log."""

    CLOSED = "closed"
    LOST = "lost"
    EXPIRED = "no answer in time"
    TOO_MUCH_INPUT = "too much input"
    TOO_MUCH_OUTPUT = "output is not read"


class Stream:
    """One side of a session until the hand-over. Belongs to one greenlet."""

    def __init__(self, channel: Channel, peer: Address, local: Address) -> None:
        self.peer = peer
        self.local = local
        self._channel = channel
        self._frames = FrameBuffer(INPUT_OCTETS)
        self._budget_octets = INPUT_OCTETS
        self._is_open = True

    def read_line(self, limit_octets: int, deadline: float) -> bytes:
        return self._read(lambda: self._frames.take_line(limit_octets), deadline)

    def read_octets(self, count: int, deadline: float) -> bytes:
        return self._read(lambda: self._frames.take_octets(count), deadline)

    def write(self, data: bytes) -> None:
        self._check()
        try:
            self._channel.queue(data)
            self._channel.flush()
        except ChannelLost as lost:
            raise self._failure(Fault.LOST, str(lost)) from None
        if self._channel.queued > OUTPUT_OCTETS:
            raise self._failure(Fault.TOO_MUCH_OUTPUT)

    def close(self, last_words: bytes = b"") -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._frames.clear()
        self._say(last_words)
        self._channel.close()

    def release(self) -> tuple[Channel, bytes]:
        """Give up the channel, with the octets that were read ahead. What is left of this is closed."""
        self._is_open = False
        read_ahead = self._frames.take_all()
        self._frames.clear()
        return self._channel, read_ahead

    def _check(self) -> None:
        """Raises if the session is over for a reason that lies elsewhere."""

    def _failure(self, fault: Fault, detail: str = "") -> GatewayError:
        raise NotImplementedError

    def _say(self, last_words: bytes) -> None:
        """On a channel that may be broken already."""
        try:
            self._channel.queue(last_words)
        except ChannelLost:
            return

    def _read(self, take: Callable[[], bytes | None], deadline: float) -> bytes:
        self._check()
        while (frame := take()) is None:
            self._fill(deadline)
        return frame

    def _fill(self, deadline: float) -> None:
        """Wait for more octets, as many as there are."""
        if self._budget_octets == 0:
            raise self._failure(Fault.TOO_MUCH_INPUT)
        try:
            data = self._receive(deadline)
        except Expired:
            raise self._failure(Fault.EXPIRED) from None
        except ChannelLost as lost:
            raise self._failure(Fault.LOST, str(lost)) from None
        if not data:
            raise self._failure(Fault.CLOSED)
        self._budget_octets -= len(data)
        self._frames.feed(data)

    def _receive(self, deadline: float) -> bytes:
        while True:
            self._channel.flush()
            data = self._channel.receive(self._budget_octets)
            if data is not None:
                return data
            wait(self._channel.descriptor, self._channel.wanted, deadline)
