"""What the engine decides in a TLS handshake; see `_tls.pyx`."""

from collections.abc import Iterable
from typing import Final
from typing import final

from OpenSSL import SSL

@final
class ServerCertificates:
    """The certificates of one listener, the first for clients that ask for no name of ours."""

    def __new__(
        cls, certificates: Iterable[tuple[SSL.Context, Iterable[str], bytes | None]], alpn: bytes = b""
    ) -> ServerCertificates:
        """Each: its context, the names it is for, an OCSP response (DER) to staple. alpn: the one protocol we speak."""

__pyx_capi__: Final[dict[str, object]]  # the C functions, as other compiled modules find them
