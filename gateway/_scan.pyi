"""Looking at the lines of a relay; see `_scan.pyx`."""

from collections.abc import Iterable
from typing import Final
from typing import final

@final
class CommandFilter:
    """Commands that a client must not send once it relays; for `ClientSide.inspect`.

    A message with a line that looks like one is refused as well.
    """

    def __new__(cls, refused: Iterable[str], *, tagged: bool = False) -> CommandFilter:
        """tagged: the command is a line's second word (IMAP)."""

    def judge(self, pieces: Iterable[bytes]) -> int | None:
        """How many of the pieces pass before one is refused; None: all."""

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
