"""Names to addresses: a name server that fails or is silent costs one login its time, and no more."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest

from gateway.errors import UpstreamLost
from gateway.upstream import resolve
from gateway.upstream.resolve import MAX_LOOKUPS
from gateway.upstream.resolve import Resolver
from gateway.upstream.resolve import Said


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


class NameServer:
    """Answers what `says` holds, once it is let; counts the questions."""

    def __init__(self, **says: tuple[str, ...]) -> None:
        self.says = says
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, host: str) -> Said:
        self.asked.append(host)
        self.may_answer.wait(10)
        addresses = self.says.get(host, ())
        return Said(addresses, "" if addresses else "unknown")

    @contextmanager
    def silent(self) -> Iterator[None]:
        self.may_answer.clear()
        try:
            yield
        finally:
            self.may_answer.set()


def test_an_address_is_not_looked_up() -> None:
    name_server = NameServer()
    assert Resolver(name_server).addresses("2001:db8::1", soon()) == ("2001:db8::1",)
    assert name_server.asked == []


def test_the_systems_resolver_knows_localhost() -> None:
    assert "127.0.0.1" in Resolver().addresses("localhost", soon())


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "a..invalid"])
def test_an_unknown_name_is_an_error_and_leaves_stderr_alone(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UpstreamLost, match="has no address"):
        Resolver().addresses(host, soon(20.0))
    assert capfd.readouterr().err == ""


def test_an_answer_is_kept() -> None:
    name_server = NameServer(mail=("192.0.2.1",))
    resolver = Resolver(name_server)
    assert [resolver.addresses("mail", soon()) for _ in range(2)] == [("192.0.2.1",)] * 2
    assert name_server.asked == ["mail"]


def test_an_old_answer_serves_while_the_name_server_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    name_server = NameServer(mail=("192.0.2.1",))
    resolver = Resolver(name_server)
    resolver.addresses("mail", soon())
    monkeypatch.setattr(resolve, "FRESH_S", -1.0)
    name_server.says = {}
    assert resolver.addresses("mail", soon()) == ("192.0.2.1",)
    assert len(name_server.asked) == 2
    monkeypatch.setattr(resolve, "STALE_S", -1.0)
    with pytest.raises(UpstreamLost):
        resolver.addresses("mail", soon())


def test_many_who_ask_for_one_name_ask_once() -> None:
    name_server = NameServer(mail=("192.0.2.1",))
    resolver = Resolver(name_server)
    with name_server.silent():
        clients = [gevent.spawn(resolver.addresses, "mail", soon()) for _ in range(20)]
        gevent.sleep(0.05)
    assert [client.get(timeout=5) for client in clients] == [("192.0.2.1",)] * 20
    assert name_server.asked == ["mail"]


def test_the_deadline_holds_when_all_lookups_hang() -> None:
    name_server = NameServer(mail=("192.0.2.1",))
    resolver = Resolver(name_server)
    with name_server.silent():
        for number in range(MAX_LOOKUPS + 1):
            gevent.spawn(resolver.addresses, f"mail{number}", soon(0.1)).join(timeout=1)
        began = time.monotonic()
        waiting = gevent.spawn(resolver.addresses, "mail", soon(0.2))
        waiting.join(timeout=3)
        assert isinstance(waiting.exception, UpstreamLost)
        assert time.monotonic() - began < 2
    assert resolver.addresses("mail", soon()) == ("192.0.2.1",)


def test_the_hub_goes_on_while_a_name_server_is_silent() -> None:
    name_server = NameServer()
    with name_server.silent():
        waiting = gevent.spawn(Resolver(name_server).addresses, "mail", soon(0.2))
        began = time.monotonic()
        gevent.sleep(0.01)
        assert time.monotonic() - began < 0.1
        waiting.join(timeout=3)
    assert isinstance(waiting.exception, UpstreamLost)


def test_names_that_wait_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "MAX_WAITING", 1)
    name_server = NameServer(mail=("192.0.2.1",))
    resolver = Resolver(name_server)
    with name_server.silent():
        waiting = gevent.spawn(resolver.addresses, "mail", soon())
        gevent.sleep(0.01)
        with pytest.raises(UpstreamLost, match="too many"):
            resolver.addresses("other", soon())
    assert waiting.get(timeout=5) == ("192.0.2.1",)
