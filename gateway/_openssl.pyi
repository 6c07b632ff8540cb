"""Function pointers into the OpenSSL that pyOpenSSL uses; only compiled modules use it, see `_openssl.pyx`.

ImportError: this cryptography lacks a function, or has it with another signature.
"""

from typing import Final

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
