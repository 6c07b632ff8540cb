"""The ports that the demo's gateway listens on."""

import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.config.model.words import ProtocolName
from gateway.errors import GatewayError

ADDRESS: Final = "127.0.0.1"
DEFAULT_PORTS: Final = MappingProxyType({ProtocolName.IMAP4S: 9993, ProtocolName.POP3S: 9995, ProtocolName.SMTPS: 9988})
MAX_OFFSET: Final = 65535 - max(DEFAULT_PORTS.values())
_OFFSETS_TO_TRY: Final = range(100, MAX_OFFSET, 100)

Ports = Mapping[ProtocolName, int]


class PortTaken(GatewayError):
    """The message names the port, and what to type instead."""


def choose_ports(offset: int, *, or_any: bool) -> Ports:
    """The default ports plus `offset`; where one is taken, any free one, or PortTaken."""
    wanted = _shifted(offset)
    taken = [port for port in wanted.values() if not is_free(port)]
    if not taken:
        return wanted
    if or_any:
        return {protocol: port if port not in taken else _any_port() for protocol, port in wanted.items()}
    remedy = next((f"--port-offset {other}" for other in _OFFSETS_TO_TRY if _are_free(other)), "--port-offset N")
    named = f"port {taken[0]} is" if len(taken) == 1 else f"ports {', '.join(map(str, taken))} are"
    raise PortTaken(f"{named} taken on {ADDRESS}, perhaps by another demo. Use other ports:\n  gateway demo {remedy}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the gateway does
        try:
            probe.bind((ADDRESS, port))
            probe.listen()
        except OSError:
            return False
    return True


def _shifted(offset: int) -> Ports:
    return {protocol: port + offset for protocol, port in DEFAULT_PORTS.items()}


def _are_free(offset: int) -> bool:
    return all(map(is_free, _shifted(offset).values()))


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port
