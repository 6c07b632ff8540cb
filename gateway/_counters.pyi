"""What all workers have done, summed; see `_counters.pyx`."""

from typing import Final
from typing import NamedTuple
from typing import final

from gateway._shared import SharedMemory

LOGIN_SECONDS_BOUNDS: Final[tuple[float, ...]]

class CounterTotals(NamedTuple):
    """Sums over all workers, since the memory was made; outer tuples are indexed by protocol.

    evictions: by the state before, unauthenticated, authenticating, authenticated (logged off).
    relay_octets: from the client, to the client. login_times: logins that took at most as long as the bound with the
    same index and longer than the one before it; one more for those above all bounds. login_seconds: their sum.
    """

    logins: tuple[tuple[int, ...], ...]
    evictions: tuple[tuple[int, ...], ...]
    relay_octets: tuple[tuple[int, int], ...]
    login_times: tuple[int, ...]
    login_seconds: float
    restarts: int

@final
class SharedCounters:
    def __new__(cls, memory: SharedMemory) -> SharedCounters: ...
    def login(self, worker: int, protocol: int, result: int) -> None:
        """A login attempt was answered. result: 0 to 15, whatever the caller means by them."""

    def login_time(self, worker: int, seconds: float) -> None: ...
    def relayed(self, worker: int, protocol: int, octets_in: int, octets_out: int) -> None: ...
    def restarted(self, worker: int) -> None:
        """By the master."""

    def totals(self) -> CounterTotals: ...

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
