"""One mail server by name to one open connection: every address in turn, the ones that failed lately last.

Errors: `UpstreamLost` with every address and its fault when none could be used.
"""

import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from OpenSSL import SSL

from gateway.errors import UpstreamLost
from gateway.transport.base import Address
from gateway.transport.base import Connector
from gateway.transport.base import UpstreamConnection
from gateway.upstream.resolve import Resolver

# How long an address that failed is tried last; Dovecot's proxy remembers a failed host as long.
FAILED_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """mode: `none`, `starttls` or `implicit`. names: what a host's certificate must say, where not the host itself."""

    mode: str
    context: SSL.Context | None
    names: Mapping[str, str]


class Dialer:
    """Opens connections to mail servers; remembers for a while which addresses failed. One a worker."""

    def __init__(self, connector: Connector, resolver: Resolver) -> None:
        self._connector = connector
        self._resolver = resolver
        self._failed_at: dict[Address, float] = {}

    def dial(self, host: str, port: int, deadline: float) -> UpstreamConnection:
        """Connect to the first address that answers. The time left is shared by the addresses not yet tried."""
        addresses = self._in_order([(address, port) for address in self._resolver.addresses(host, deadline)])
        faults = []
        for tried, address in enumerate(addresses):
            now = time.monotonic()
            share_s = (deadline - now) / (len(addresses) - tried)
            try:
                connection = self._connector.connect(address, now + share_s)
            except UpstreamLost as lost:
                self._failed_at[address] = time.monotonic()
                faults.append(f"{address[0]} port {port}: {lost}")
            else:
                self._failed_at.pop(address, None)
                return connection
        raise UpstreamLost("; ".join(faults))

    def _in_order(self, addresses: Sequence[Address]) -> list[Address]:
        now = time.monotonic()
        self._failed_at = {address: at for address, at in self._failed_at.items() if now - at < FAILED_S}
        return sorted(addresses, key=lambda address: self._failed_at.get(address, 0.0))
