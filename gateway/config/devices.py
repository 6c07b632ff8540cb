"""The addresses of a network device, asked of the kernel over netlink: getifaddrs without a C library.

Errors: none is raised; a device that does not exist, or a kernel that does not answer, gives no addresses.
Source: rtnetlink(7), RTM_GETADDR; structures nlmsghdr, ifaddrmsg and rtattr."""

import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import Final

from gateway.config.network import Address

_RTM_GETADDR: Final = 22
_RTM_NEWADDR: Final = 20
_NLMSG_DONE: Final = 3
_NLMSG_ERROR: Final = 2
_NLM_F_REQUEST_DUMP: Final = 0x301
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_IFADDRMSG: Final = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_OCTETS: Final = {socket.AF_INET: 4, socket.AF_INET6: 16}
_TIMEOUT_S: Final = 2.0


def addresses_of(device: str) -> tuple[Address, ...]:
    """IPv4 before IPv6. Without link-local addresses: a mail program cannot be told one, it needs a scope."""
    try:
        index = socket.if_nametoindex(device)
        messages = _dump()
    except OSError:
        return ()
    found = {address for body in messages if (address := _address(body, index)) is not None}
    return tuple(sorted(found, key=lambda one: (one.version, one.packed)))


def _dump() -> list[bytes]:
    """The bodies of all RTM_NEWADDR messages."""
    bodies: list[bytes] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as link:
        link.settimeout(_TIMEOUT_S)
        request = _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        link.send(_HEADER.pack(_HEADER.size + len(request), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + request)
        while True:
            for kind, body in _messages(link.recv(65536)):
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    return bodies
                if kind == _RTM_NEWADDR:
                    bodies.append(body)


def _messages(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while len(octets) >= _HEADER.size:
        length, kind = _HEADER.unpack_from(octets)[:2]
        yield kind, octets[_HEADER.size : length]
        octets = octets[_aligned(max(length, _HEADER.size)) :]


def _address(body: bytes, index: int) -> Address | None:
    family, _prefix, _flags, _scope, its_index = _IFADDRMSG.unpack_from(body)
    if its_index != index or family not in _OCTETS:
        return None
    attributes = dict(_attributes(body[_IFADDRMSG.size :]))
    # On a point-to-point link IFA_ADDRESS is the other side, and IFA_LOCAL is ours.
    octets = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS, b""))
    if len(octets) != _OCTETS[family]:
        return None
    address = ipaddress.ip_address(octets)
    return None if address.version == 6 and address.is_link_local else address


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while len(octets) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(octets)
        yield kind, octets[_ATTRIBUTE.size : length]
        octets = octets[_aligned(max(length, _ATTRIBUTE.size)) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
