"""Names to addresses to one open connection."""

import time

import gevent
import pytest

from gateway.errors import UpstreamLost
from gateway.transport.base import Address
from gateway.upstream.connect import Dialer
from tests.support.memory import MemoryUpstream


class Names:
    """A resolver with a table; an empty entry has no address."""

    def __init__(self, **table: tuple[str, ...]) -> None:
        self.table = table

    def addresses(self, host: str, deadline: float) -> tuple[str, ...]:
        return self.table[host]


class Network:
    """A connector: the addresses in `down` refuse, those in `silent` wait for their deadline."""

    def __init__(self, down: set[str] | None = None, silent: set[str] | None = None) -> None:
        self.down = down or set()
        self.silent = silent or set()
        self.tried: list[str] = []
        self.shares_s: list[float] = []

    def connect(self, address: Address, deadline: float) -> MemoryUpstream:
        self.tried.append(address[0])
        self.shares_s.append(deadline - time.monotonic())
        if address[0] in self.down:
            raise UpstreamLost("connection refused")
        if address[0] in self.silent:
            gevent.sleep(max(deadline - time.monotonic(), 0))
            raise UpstreamLost("no answer in time")
        return MemoryUpstream(b"", peer=address)


def dial(network: Network, names: Names, dialer: Dialer | None = None) -> MemoryUpstream:
    dialer = dialer or Dialer(network, names)  # type: ignore[arg-type]
    return dialer.dial("mail", 143, time.monotonic() + 0.3)  # type: ignore[return-value]


def test_the_first_address_that_answers_is_taken() -> None:
    network = Network(down={"192.0.2.1"})
    assert dial(network, Names(mail=("192.0.2.1", "192.0.2.2"))).peer == ("192.0.2.2", 143)


def test_a_silent_address_leaves_time_for_the_others() -> None:
    network = Network(silent={"192.0.2.1"})
    assert dial(network, Names(mail=("192.0.2.1", "2001:db8::2"))).peer[0] == "2001:db8::2"
    assert network.shares_s[0] < 0.2


def test_an_address_that_failed_is_tried_last_the_next_time() -> None:
    network = Network(down={"192.0.2.1"})
    names = Names(mail=("192.0.2.1", "192.0.2.2"))
    dialer = Dialer(network, names)  # type: ignore[arg-type]
    dial(network, names, dialer)
    dial(network, names, dialer)
    assert network.tried == ["192.0.2.1", "192.0.2.2", "192.0.2.2"]


def test_every_fault_is_named_when_none_answers() -> None:
    network = Network(down={"192.0.2.1", "192.0.2.2"})
    with pytest.raises(UpstreamLost, match=r"192\.0\.2\.1 port 143: .*refused; 192\.0\.2\.2"):
        dial(network, Names(mail=("192.0.2.1", "192.0.2.2")))
