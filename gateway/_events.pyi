"""What epoll and the clock bring; only compiled modules use it, see `_events.pyx`."""

from typing import Final

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
