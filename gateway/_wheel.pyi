"""Time limits by the ten thousand; only compiled modules use it, see `_wheel.pyx`."""

from typing import Final
from typing import final

@final
class Timers:
    """For tests: numbered timers on a wheel of their own."""

    def __new__(cls, now: int) -> Timers: ...
    def set(self, number: int, due: int) -> None: ...
    def cancel(self, number: int) -> None: ...
    def advance(self, now: int) -> list[int]:
        """The numbers of those that are due, in the order in which the wheel finds them."""

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
