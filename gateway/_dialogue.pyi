"""Before the relay: handshake, first line, wishes; only compiled modules use it, see `_dialogue.pyx`."""

from typing import Final

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
