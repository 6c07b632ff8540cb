"""Addresses, networks, host names, and the list of servers a user may name.

Source: RFC 1123 section 2.1 and RFC 1035 section 2.3.4 for host names (with "_", which Windows networks use)."""

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from ipaddress import IPv4Network
from ipaddress import IPv6Address
from ipaddress import IPv6Network
from typing import Final
from typing import TypeAlias
from typing import TypeVar

from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.kinds import Kind
from gateway.config.kinds import items
from gateway.config.kinds import listed
from gateway.config.problems import quoted

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
T = TypeVar("T")

EVERY_NETWORK: Final[tuple[Network, ...]] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_MAX_NAME: Final = 253


def address_of(text: str) -> Address | None:
    """The address that `text` is, or None: a host name, or something else."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def canonical(server: str) -> str:
    """A host name or address in the form the configuration holds it in."""
    address = address_of(server)
    return server.removesuffix(".").lower() if address is None else str(address)


def is_host_name(text: str) -> bool:
    """A last label of digits only would be an address written badly (RFC 1123 section 2.1)."""
    labels = text.removesuffix(".").split(".")
    named = all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    return named and len(text) <= _MAX_NAME


def _parse_host(text: str, _: Context) -> str:
    if is_host_name(text):
        return text.removesuffix(".").lower()
    hint = ""
    if not text.isascii():
        hint = "write an international name in its ASCII form, xn--..."
    elif ":" in text and is_host_name(text.partition(":")[0]):
        hint = f'did you mean "{text.partition(":")[0]}"? The port is a setting of its own'
    raise BadValue(f"{quoted(text)} is not a host name", hint=hint)


HOST_NAME: Final[Kind[str]] = Kind(word="host name", code="E206", parse=_parse_host, render=str)


def _parse_server(text: str, context: Context) -> str:
    address = address_of(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    if address is not None:
        return str(address)
    try:
        return _parse_host(text, context)
    except BadValue as bad:
        raise BadValue(f"{quoted(text)} is neither a host name nor an address", hint=bad.hint) from None


SERVER: Final[Kind[str]] = Kind(word="host name or address", code="E206", parse=_parse_server, render=str)


def _parse_address(text: str, _: Context) -> Address:
    address = address_of(text)
    if address is None:
        raise BadValue(f"{quoted(text)} is not an IPv4 or IPv6 address")
    return address


ADDRESS: Final[Kind[Address]] = Kind(word="address", code="E206", parse=_parse_address, render=str)


def _parse_network(text: str, _: Context) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        right = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadValue(f"{quoted(text)} is not a network such as 192.0.2.0/24") from None
    raise BadValue(f"{quoted(text)} has bits set to the right of its prefix", hint=f'did you mean "{right}"?')


NETWORK: Final[Kind[Network]] = Kind(word="network", code="E206", parse=_parse_network, render=str)
_NETWORKS: Final = listed(NETWORK, "networks")


def _parse_networks(text: str, context: Context) -> tuple[Network, ...]:
    return EVERY_NETWORK if text == "*" else _NETWORKS.parse(text, context)


def _render_networks(networks: tuple[Network, ...]) -> str:
    return "*" if networks == EVERY_NETWORK else _NETWORKS.render(networks)


NETWORKS: Final[Kind[tuple[Network, ...]]] = Kind(
    word="list of networks, or *", code="E206", parse=_parse_networks, render=_render_networks, is_list=True
)


@dataclass(frozen=True, slots=True)
class ServerList:
    """Servers by name, by suffix (".example.com": its subdomains, not itself) and by network; false when empty."""

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    every: bool = False

    def __bool__(self) -> bool:
        return bool(self.every or self.names or self.suffixes or self.networks)

    def allows(self, server: str) -> bool:
        """`server` as a user typed it. A name is never resolved to look it up in a network: others write the DNS."""
        address = address_of(server)
        if address is not None:
            return self.every or any(address in network for network in self.networks)
        name = canonical(server)
        if not is_host_name(name):
            return False
        return self.every or name in self.names or name.endswith(self.suffixes)


def _parse_server_list(text: str, context: Context) -> ServerList:
    names: set[str] = set()
    suffixes: list[str] = []
    networks: list[Network] = []
    for offset, item in items(text):
        if item == "*":
            continue
        if "/" in item or address_of(item) is not None:
            networks.append(_at(offset, item, NETWORK, context))
        elif item.startswith("."):
            suffixes.append("." + _at(offset + 1, item[1:], HOST_NAME, context))
        else:
            names.add(_at(offset, item, SERVER, context))
    every = any(item == "*" for _, item in items(text))
    return ServerList(frozenset(names), tuple(dict.fromkeys(suffixes)), tuple(dict.fromkeys(networks)), every)


def _at(offset: int, item: str, kind: Kind[T], context: Context) -> T:
    try:
        return kind.parse(item, context)
    except BadValue as bad:
        raise BadValue(bad.text, hint=bad.hint, offset=offset, width=len(item)) from None


def _render_server_list(servers: ServerList) -> str:
    every = ["*"] if servers.every else []
    return " ".join([*every, *sorted(servers.names), *servers.suffixes, *map(str, servers.networks)])


SERVER_LIST: Final[Kind[ServerList]] = Kind(
    word="list of host names, suffixes (.example.com) and networks, or *",
    code="E206",
    parse=_parse_server_list,
    render=_render_server_list,
    is_list=True,
)


@dataclass(frozen=True, slots=True)
class Listen:
    """An address and port to listen on."""

    address: Address
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


def _parse_listen(text: str, _: Context) -> Listen:
    host, _colon, port = text.rpartition(":")
    address = address_of(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    is_port = re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) is not None and 1 <= int(port) <= 65535
    if address is None or not is_port or (address.version == 6 and not host.startswith("[")):
        raise BadValue(f"{quoted(text)} is not an address and port such as 127.0.0.1:9180 or [::1]:9180")
    return Listen(address, int(port))


LISTEN: Final[Kind[Listen]] = Kind(word="address:port", code="E206", parse=_parse_listen, render=str)
