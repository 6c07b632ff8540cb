"""Which mail servers a user may name: `allowed-servers`, a list of names, suffixes (`.example.com`), CIDRs and `*`.

A CIDR matches only an address that the user typed as one: the answer of a name server is not the administrator's word.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from ipaddress import IPv6Network
from ipaddress import ip_address
from ipaddress import ip_network

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ServerList:
    """A list as configured. Empty matches nothing."""

    names: frozenset[str]
    suffixes: tuple[str, ...]
    networks: tuple[Network, ...]
    any_server: bool

    @classmethod
    def of(cls, entries: Iterable[str]) -> "ServerList":
        """Sort the entries of a configured list, which is valid already."""
        names, suffixes, networks = set[str](), list[str](), list[Network]()
        lowered = [entry.lower().rstrip(".") for entry in entries]
        for entry in lowered:
            if entry.startswith("."):
                suffixes.append(entry)
            elif network := _maybe_network(entry):
                networks.append(network)
            else:
                names.add(entry)
        return cls(frozenset(names - {"*"}), tuple(suffixes), tuple(networks), "*" in names)

    def allows(self, server: str) -> bool:
        """Whether a user may name `server`, a host name or an address literal, in any case."""
        server = server.lower().rstrip(".")
        if not is_host(server):
            return False
        if self.any_server or server in self.names or server.endswith(self.suffixes):
            return True
        return self._holds_address(server)

    def _holds_address(self, server: str) -> bool:
        try:
            address = ip_address(server)
        except ValueError:
            return False
        return any(address in network for network in self.networks)


def is_host(text: str) -> bool:
    """Whether the text can be a host name (RFC 1123 section 2.1) or an address: all else stays in the user name."""
    if not text or len(text) > 253 or not text.isascii():
        return False
    try:
        ip_address(text)
    except ValueError:
        return all(_is_label(label) for label in text.split("."))
    return "%" not in text


def _is_label(label: str) -> bool:
    if not label or len(label) > 63 or label[0] == "-" or label[-1] == "-":
        return False
    return all(char.isalnum() or char in "-_" for char in label)


def _maybe_network(entry: str) -> Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None
