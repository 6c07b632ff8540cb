"""The listening sockets: bound once by the master, shared by all workers, kept while the master lives.

Since the master holds them, a worker that is killed loses no connection that waits to be accepted.
An interface given by `address` listens on these addresses; one given by `device` on every address of the device,
present and future, by SO_BINDTODEVICE (socket(7)).

Errors: `ConfigError` naming interface, address, port and what to do.
"""

import errno
import os
import socket
from collections.abc import Iterator
from typing import Final

from gateway.config.model import Config
from gateway.config.model import InterfaceSettings
from gateway.errors import ConfigError
from gateway.worker.inheritance import Bound

# What the kernel keeps for us between two accepts; it cuts this down to net.core.somaxconn.
BACKLOG: Final = 65535

_REMEDIES: Final = {
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EPERM: "binding to a device needs root or CAP_NET_RAW",
    errno.EADDRINUSE: "another program, or another gateway, listens there",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.ENODEV: "this machine does not have that device",
}


def bind_all(config: Config) -> tuple[Bound, ...]:
    """Bind and listen on every enabled protocol of every interface. All or none."""
    bound: list[Bound] = []
    try:
        for interface in config.interfaces.values():
            for protocol in sorted(interface.enable):
                bound.extend(_bind(interface, protocol, config.protocols[protocol].port))
    except BaseException:
        for one in bound:
            one.socket.close()
        raise
    return tuple(bound)


def _bind(interface: InterfaceSettings, protocol: str, port: int) -> Iterator[Bound]:
    for address in interface.address or _wildcards():
        device = None if interface.address else interface.device
        try:
            listener = _listener(str(address), port, device)
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "see the address and the port")
            where = f"{address} port {port}" + (f" on {device}" if device else "")
            raise ConfigError(
                f"[interface {interface.name}] {protocol}: cannot listen on {where}: {error.strerror}; {remedy}"
            ) from None
        yield Bound(protocol, interface.name, str(address), port, listener)


def _listener(address: str, port: int, device: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if device:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _wildcards() -> tuple[str, ...]:
    return ("0.0.0.0", "::") if os.path.exists("/proc/net/if_inet6") else ("0.0.0.0",)  # noqa: S104
