"""The structs of sessions and their tables; only compiled modules use it, see `_session.pyx`."""

from typing import Final

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
