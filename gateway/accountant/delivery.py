"""Reports on the wire: each attempt is one request to one RADIUS server.

An attempt is transmitted once, since a changed Acct-Delay-Time needs a new Identifier (RFC 2866 section 5.2): when to
try again is the stream's to say, and every attempt is a request of its own.

Errors: Undeliverable; a server that gives no answer is False.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gateway.aaa.base import ServerFailed
from gateway.aaa.radius.multiplexer import Resolve
from gateway.aaa.radius.observer import Tally
from gateway.aaa.radius.server import RadiusServer
from gateway.accounting.attributes import Attributes
from gateway.accounting.stream import Undeliverable
from gateway.config.model.aaa import AaaServerSettings

_NEVER_S: Final = 3600.0  # longer than any attempt


class RadiusDelivery:
    """To the servers of one group. A `Deliver`."""

    def __init__(self, servers: Iterable[AaaServerSettings], nas_identifier: str, resolve: Resolve) -> None:
        self._servers = {
            settings.label: RadiusServer(
                replace(settings, timeout_s=_NEVER_S, retry_interval_s=_NEVER_S), nas_identifier, resolve, Tally()
            )
            for settings in servers
        }

    def __call__(self, label: str, attributes: Attributes, timeout_s: float) -> bool:
        """See `Deliver`."""
        try:
            self._servers[label].account(attributes, time.monotonic() + timeout_s)
        except ServerFailed:
            return False
        except ValueError as error:
            raise Undeliverable(str(error)) from None
        return True

    def close(self) -> None:
        for server in self._servers.values():
            server.close()
