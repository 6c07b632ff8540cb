"""The protocols there are, by their name in the configuration."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.protocol import imap
from gateway.protocol import pop3
from gateway.protocol import smtp
from gateway.protocol.base import ProtocolSpec

PROTOCOLS: Final[Mapping[str, ProtocolSpec]] = MappingProxyType(
    {spec.name: spec for spec in (imap.SPEC, pop3.SPEC, smtp.SPEC)}
)
# What stands for a protocol in shared memory. The order is part of that memory's layout.
NUMBERS: Final[Mapping[str, int]] = MappingProxyType({name: number for number, name in enumerate(PROTOCOLS)})
