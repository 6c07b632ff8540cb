"""The compiled part of the gateway; see `_fastpath.pyx`."""

from typing import Final
from typing import final

@final
class FrameBuffer:
    """Cuts a stream of octets into lines and counted runs.

    What was taken, and what `clear` drops, is overwritten in memory.
    """

    def __new__(cls, capacity_octets: int) -> FrameBuffer:
        """At most `capacity_octets` (1 to 2**30) are held; no memory is used before the first `feed`."""

    @property
    def capacity_octets(self) -> int: ...
    @property
    def pending(self) -> int:
        """Octets held and not yet taken."""

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add octets, all or none: OverflowError if more than the capacity would be held."""

    def has_line(self, limit_octets: int) -> bool:
        """Whether `take_line` would now give a line, or raise."""

    def take_line(self, limit_octets: int) -> bytes | None:
        """The next line without its CRLF or LF; None: not yet complete.

        `limit_octets` (at least 1) counts the line end too: FrameTooLong once so many octets are there without an LF,
        and nothing is taken. A bare CR is an octet like any other.
        """

    def take_octets(self, count: int) -> bytes | None:
        """Exactly `count` octets; None: not yet there. ValueError if they could never be."""

    def take_all(self) -> bytes:
        """Whatever is held."""

    def clear(self) -> None:
        """Forget what is held and give the memory back; usable as before."""

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
