"""Rules about modes, interfaces, devices and ports. The ASA's: routed mode, single context, no subinterface."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

from gateway.config.checks.subject import Subject
from gateway.config.devices import addresses_of
from gateway.config.kinds import did_you_mean
from gateway.config.model import InterfaceSettings
from gateway.config.model.words import FirewallMode
from gateway.config.model.words import SecurityContext
from gateway.config.network import Address
from gateway.config.problems import Problem
from gateway.config.problems import quoted


def check_modes(subject: Subject) -> Iterator[Problem]:
    section, gateway = ("gateway",), subject.config.gateway
    if gateway.firewall_mode is FirewallMode.TRANSPARENT:
        text = "the e-mail proxy exists in routed mode only"
        yield from subject.problem("E301", section, "firewall-mode", text, 'use "routed"')
    if gateway.security_context is SecurityContext.MULTIPLE:
        text = "the e-mail proxy exists in single context mode only"
        yield from subject.problem("E302", section, "security-context", text, 'use "single"')


def check_interfaces(subject: Subject) -> Iterator[Problem]:
    for interface in subject.config.interfaces.values():
        section = ("interface", interface.name)
        if interface.device is None and not interface.address and not subject.is_broken(section, "device", "address"):
            text = f"[interface {interface.name}] needs a device or an address"
            yield from subject.problem("E317", section, "", text)
        if interface.enable:
            yield from _check_may_enable(subject, interface)
        if interface.device is not None:
            yield from _check_device(subject, interface, interface.device)
    if not any(interface.enable for interface in subject.config.interfaces.values()):
        yield from _nothing_enabled(subject)


def _check_may_enable(subject: Subject, interface: InterfaceSettings) -> Iterator[Problem]:
    section = ("interface", interface.name)
    if interface.management_only:
        text = "no protocol can be enabled on a management-only interface"
        yield from subject.problem("E303", section, "enable", text)
    if interface.device is not None and is_subinterface(interface.device):
        text = f"no protocol can be enabled on a subinterface ({quoted(interface.device)})"
        yield from subject.problem("E304", section, "enable", text)


def is_subinterface(device: str) -> bool:
    """By its name, as eth0.100, or because the kernel knows it as a VLAN under another name."""
    return re.search(r"\.[0-9]+$", device) is not None or Path("/proc/net/vlan", device).is_file()


def _check_device(subject: Subject, interface: InterfaceSettings, device: str) -> Iterator[Problem]:
    section = ("interface", interface.name)
    known = [name for _, name in socket.if_nameindex()]
    if device not in known:
        hint = did_you_mean(device, known) or f"there are {', '.join(known)}"
        yield from subject.problem("E318", section, "device", f"there is no device {quoted(device)}", hint)
    elif not interface.address and not addresses_of(device):
        text = f"the device {quoted(device)} has no address"
        yield from subject.problem("E318", section, "device", text)


def _nothing_enabled(subject: Subject) -> Iterator[Problem]:
    if any(key == "enable" for _, key in subject.broken):
        return
    text = "no protocol is enabled on any interface: there is nothing to listen on"
    hint = "add a section such as [interface outside] with an address and enable = imap4s"
    yield from subject.problem("E328", ("interface", *subject.names("interface")[:1]), "enable", text, hint)


def check_ports(subject: Subject) -> Iterator[Problem]:
    """Two listeners on one address and port; a wildcard address overlaps every other of its version."""
    taken: list[tuple[Address, int, str]] = []
    for section, key, address, port, name in _listeners(subject):
        for other, other_port, other_name in taken:
            if port == other_port and overlap(address, other):
                text = f"{name} and {other_name} would both listen on {address} port {port}"
                yield from subject.problem("E310", section, key, text)
                break
        taken.append((address, port, name))


def check_devices_beside_addresses(subject: Subject) -> Iterator[Problem]:
    """A socket for a whole device and one for a single address cannot share a port: socket(7)."""
    taken: dict[int, InterfaceSettings] = {}
    for interface in subject.config.interfaces.values():
        for protocol in (one for name, one in subject.config.protocols.items() if name in interface.enable):
            other = taken.setdefault(protocol.port, interface)
            if _is_whole_device(other) is not _is_whole_device(interface):
                text = f"[interface {other.name}] and this one cannot both have port {protocol.port}"
                hint = "give both a device, or both an address"
                yield from subject.problem("E329", ("interface", interface.name), "enable", text, hint)
                break


def _is_whole_device(interface: InterfaceSettings) -> bool:
    return interface.device is not None and not interface.address


def overlap(one: Address, other: Address) -> bool:
    return one.version == other.version and (one == other or one.is_unspecified or other.is_unspecified)


def _listeners(subject: Subject) -> Iterator[tuple[tuple[str, ...], str, Address, int, str]]:
    config = subject.config
    for interface in config.interfaces.values():
        section = ("interface", interface.name)
        for protocol in (one for name, one in config.protocols.items() if name in interface.enable):
            for address in listen_addresses(interface):
                yield section, "enable", address, protocol.port, f"{protocol.name} on {interface.name}"
    for name, listen in (("console", config.console.listen), ("metrics", config.metrics.listen)):
        if listen is not None:
            yield (name,), "listen", listen.address, listen.port, f"[{name}]"


def listen_addresses(interface: InterfaceSettings) -> tuple[Address, ...]:
    """The addresses to bind: those that are named, else all that the device has now."""
    if interface.address or interface.device is None:
        return interface.address
    return addresses_of(interface.device)
