"""The sockets themselves: what the kernel was told, and what is said when it refuses."""

import dataclasses
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import Config
from gateway.config.model import InterfaceSettings
from gateway.config.model.words import ProtocolName
from gateway.errors import ConfigError
from gateway.master.listeners import bind_all
from gateway.worker.inheritance import Bound
from tests.support.ports import free_port
from tests.support.tls import CertificateAuthority


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """imap4s on a free port, on no interface yet."""
    certificate = CertificateAuthority(tmp_path).issue()
    path = tmp_path / "gateway.ini"
    path.write_text(
        f"[tls]\ncertificate = {certificate.chain}\nprivate-key = {certificate.key}\n"
        f"[interface x]\naddress = 127.0.0.1\nenable = imap4s\n"
        f"[imap4s]\nserver = mail.example.test\nport = {free_port()}\n"
    )
    loaded = load(path).config
    assert loaded is not None
    return loaded


def on(config: Config, **interfaces: str) -> Config:
    """With these interfaces: name -> a device, or addresses."""
    return dataclasses.replace(config, interfaces={name: _interface(name, of) for name, of in interfaces.items()})


def _interface(name: str, of: str) -> InterfaceSettings:
    enable = frozenset({ProtocolName("imap4s")})
    if of == "lo":
        return InterfaceSettings(name=name, device=of, enable=enable)
    return InterfaceSettings(name=name, address=tuple(map(ip_address, of.split())), enable=enable)


class Open:
    """The sockets of a configuration, closed in the end."""

    def __init__(self) -> None:
        self.bound: list[Bound] = []

    def __call__(self, config: Config) -> tuple[Bound, ...]:
        bound = bind_all(config)
        self.bound += bound
        return bound


@pytest.fixture
def listen() -> Iterator[Open]:
    opened = Open()
    yield opened
    for one in opened.bound:
        one.socket.close()


def device_of(one: socket.socket) -> str:
    return one.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()


def test_each_address_of_each_interface_has_a_socket_that_no_program_inherits(config: Config, listen: Open) -> None:
    bound = listen(on(config, outside="127.0.0.1 ::1", inside="127.0.0.2"))
    assert [(one.interface, one.address) for one in bound] == [
        ("outside", "127.0.0.1"),
        ("outside", "::1"),
        ("inside", "127.0.0.2"),
    ]
    for one in bound:
        assert one.socket.getsockname()[:2] == (one.address, one.port)
        assert one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert not one.socket.get_inheritable()
        assert device_of(one.socket) == ""


def test_a_socket_for_ipv6_takes_no_ipv4(config: Config, listen: Open) -> None:
    (one,) = listen(on(config, outside="::1"))
    assert one.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_a_device_is_all_its_addresses_and_no_other_device(config: Config, listen: Open) -> None:
    bound = listen(on(config, outside="lo"))
    assert {one.address for one in bound} >= {"0.0.0.0"}
    assert [device_of(one.socket) for one in bound] == ["lo"] * len(bound)


def test_a_refusal_names_the_place_and_leaves_nothing_open(config: Config, listen: Open) -> None:
    (taken,) = listen(on(config, first="127.0.0.2"))
    with pytest.raises(ConfigError, match=r"\[interface outside\] imap4s: .*127\.0\.0\.2 port \d+: .* another program"):
        listen(on(config, outside="127.0.0.1 127.0.0.2"))
    with pytest.raises(ConfigError, match="does not have that address"):
        listen(on(config, outside="192.0.2.1"))
    taken.socket.close()
    listen(on(config, outside="127.0.0.1 127.0.0.2"))
