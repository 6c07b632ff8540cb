"""The addresses of a device, asked of the running kernel."""

import socket

from gateway.config.devices import addresses_of


def test_the_loopback_device_has_its_address() -> None:
    assert "127.0.0.1" in [str(address) for address in addresses_of("lo")]


def test_every_address_of_every_device_can_be_bound() -> None:
    """What is found is the machine's own, and not the other end of a point-to-point link, or a link-local one."""
    found = [address for _, device in socket.if_nameindex() for address in addresses_of(device)]
    assert found
    for address in found:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family) as bound:
            bound.bind((str(address), 0))


def test_ipv4_comes_before_ipv6_and_nothing_twice() -> None:
    for _, device in socket.if_nameindex():
        versions = [address.version for address in addresses_of(device)]
        assert versions == sorted(versions)
        assert len(set(addresses_of(device))) == len(addresses_of(device))


def test_a_device_that_does_not_exist_has_no_address() -> None:
    assert addresses_of("nosuchdevice0") == ()
    assert addresses_of("x" * 100) == ()
