"""One descriptor, plain or TLS; only compiled modules use it, see `_stream.pyx`."""

from typing import Final

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
