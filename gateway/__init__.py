"""Gateway: the e-mail proxy. TLS first, then the protocol, then who you are, then the octets flow."""

from typing import Final

__version__: Final = "0.1.0"
