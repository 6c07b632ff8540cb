"""Names to addresses to one open connection."""

import itertools
import time
from collections.abc import Callable

import gevent
import pytest

from gateway.errors import UpstreamLost
from gateway.transport.base import Address
from gateway.upstream import resolve
from gateway.upstream.connect import Dialer
from gateway.upstream.resolve import Resolver
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


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], list[str]]], None]:
    def answer_by(answer: Callable[[str], list[str]]) -> None:
        monkeypatch.setattr(resolve, "_ask_system", answer)

    return answer_by


def soon() -> float:
    return time.monotonic() + 2.0


@pytest.mark.parametrize("literal", ["192.0.2.1", "2001:db8::1"])
def test_an_address_is_its_own_answer(literal: str) -> None:
    assert Resolver().addresses(literal, soon()) == (literal,)


def test_localhost_is_found_by_the_system() -> None:
    assert "127.0.0.1" in Resolver().addresses("localhost", soon())


def test_an_unknown_name_is_lost_with_its_name() -> None:
    with pytest.raises(UpstreamLost, match="no-such-host"):
        Resolver().addresses("no-such-host.invalid", soon())


def test_many_who_ask_for_one_name_cause_one_look_up(system: Callable[[Callable[[str], list[str]]], None]) -> None:
    asked: list[str] = []

    def answer(host: str) -> list[str]:
        asked.append(host)
        time.sleep(0.05)
        return ["192.0.2.1"]

    system(answer)
    resolver = Resolver()
    askers = [gevent.spawn(resolver.addresses, "mail", soon()) for _ in range(20)]
    gevent.joinall(askers, raise_error=True)
    assert {asker.value for asker in askers} == {("192.0.2.1",)}
    assert asked == ["mail"]
    assert resolver.addresses("mail", soon()) == ("192.0.2.1",)
    assert asked == ["mail"]


def test_a_silent_name_server_costs_one_asker_its_deadline_and_never_the_hub(
    system: Callable[[Callable[[str], list[str]]], None],
) -> None:
    def answer(host: str) -> list[str]:
        time.sleep(0.3)
        return ["192.0.2.1"]

    system(answer)
    ticks: list[float] = []

    def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            gevent.sleep(0.005)

    ticker = gevent.spawn(tick)
    with pytest.raises(UpstreamLost, match="in time"):
        Resolver().addresses("mail", time.monotonic() + 0.1)
    ticker.kill()
    assert max(later - sooner for sooner, later in itertools.pairwise(ticks)) < 0.08


def test_an_old_answer_serves_while_the_name_server_fails(
    system: Callable[[Callable[[str], list[str]]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    system(lambda host: ["192.0.2.1"])
    resolver = Resolver()
    resolver.addresses("mail", soon())
    monkeypatch.setattr(resolve, "FRESH_S", 0.0)

    def fail(host: str) -> list[str]:
        raise OSError("SERVFAIL")

    system(fail)
    assert resolver.addresses("mail", soon()) == ("192.0.2.1",)
    monkeypatch.setattr(resolve, "STALE_S", 0.0)
    with pytest.raises(UpstreamLost):
        resolver.addresses("mail", soon())
