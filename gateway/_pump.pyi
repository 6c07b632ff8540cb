"""Octets both ways between two streams; only compiled modules use it, see `_pump.pyx`."""

from typing import Final

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
