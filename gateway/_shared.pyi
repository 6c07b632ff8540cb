"""The memory that master and workers share; see `_shared.pyx`."""

from collections.abc import Sequence
from typing import Self

from typing_extensions import disjoint_base

@disjoint_base
class SharedMemory:
    """One mapping, shared by all processes that inherit the object by fork or attach to its descriptors."""

    def __new__(cls, fd: int, eventfds: Sequence[int]) -> Self:
        """Attach to memory made by `create`, here or in another process; the descriptors belong to the object then.

        ValueError, and the descriptors stay the caller's, if it is not such memory or of another layout.
        """

    @classmethod
    def create(cls, slots: int, workers: int, protocols: int = 3) -> Self:
        """New memory for so many sessions, processes at a time, and protocols, which are known by their numbers.

        Its descriptors are close-on-exec; who hands them on to a new program makes them inheritable.
        """

    @property
    def fd(self) -> int: ...
    @property
    def eventfds(self) -> tuple[int, ...]:
        """One for each worker: readable when `next_evicted` has something for it."""

    @property
    def slots(self) -> int: ...
    @property
    def workers(self) -> int: ...
    @property
    def protocols(self) -> int: ...
