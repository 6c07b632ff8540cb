"""Sockets, identifiers, time: against a server that answers late, never, or has gone."""

import gc
import itertools
import random
import socket
import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import gevent
import pytest

from gateway.aaa.base import ServerFailed
from gateway.aaa.radius import multiplexer as multiplexer_module
from gateway.aaa.radius import port as port_module
from gateway.aaa.radius.answers import Answer
from gateway.aaa.radius.answers import Drop
from gateway.aaa.radius.answers import verified
from gateway.aaa.radius.multiplexer import REFUSED_GRACE_S
from gateway.aaa.radius.multiplexer import Endpoint
from gateway.aaa.radius.multiplexer import Multiplexer
from gateway.aaa.radius.multiplexer import Resolve
from gateway.aaa.radius.observer import ServerEvent
from gateway.aaa.radius.observer import Tally
from gateway.aaa.radius.packets import AccessRequest
from gateway.aaa.radius.packets import Sealed
from gateway.aaa.radius.port import Exchange
from gateway.errors import GatewayError
from gateway.errors import SessionEnded
from gateway.errors import UpstreamLost
from gateway.outcome import EndReason
from tests.unit.aaa.radius.fake import CLASS
from tests.unit.aaa.radius.fake import LOOPBACK
from tests.unit.aaa.radius.fake import SECRET
from tests.unit.aaa.radius.fake import Asked
from tests.unit.aaa.radius.fake import FakeRadius
from tests.unit.aaa.radius.fake import attribute
from tests.unit.aaa.radius.fake import reply
from tests.unit.aaa.radius.fake import silent


def by_literal(host: str, deadline: float) -> tuple[str, ...]:
    return (host,)


def draft(user: str = "alice") -> AccessRequest:
    return AccessRequest(SECRET, user.encode(), b"secret", b"")


class Client:
    """A multiplexer with its tally, and the plainest way to use it."""

    def __init__(
        self,
        port: int,
        *,
        timeout_s: float = 2.0,
        retry_interval_s: float = 1.0,
        host: str = LOOPBACK,
        resolve: Resolve = by_literal,
    ) -> None:
        self.tally = Tally()
        self.multiplexer = Multiplexer(
            Endpoint(host, port, timeout_s, retry_interval_s), resolve, self._verify, self.tally
        )

    def _verify(self, datagram: bytes, request: Sealed) -> Answer:
        return verified(datagram, request, SECRET, must_be_signed=True)

    def ask(self, user: str = "alice", seconds: float = 10.0) -> Answer:
        return self.multiplexer.exchange(draft(user), time.monotonic() + seconds)

    def outcome(self, user: str = "alice", seconds: float = 10.0) -> Answer | GatewayError:
        """What `ask` returns or raises."""
        try:
            return self.ask(user, seconds)
        except GatewayError as error:
            return error

    def ask_all(self, users: Iterable[str]) -> list[Answer | GatewayError]:
        """All at once."""
        return [asker.get() for asker in [gevent.spawn(self.outcome, user) for user in users]]


def echo(asked: Asked) -> bytes:
    """An Access-Accept that says whom it was meant for."""
    return reply(asked, attributes=attribute(CLASS, asked.user.encode()))


def meant_for(answer: Answer | GatewayError | None) -> str:
    assert isinstance(answer, Answer), answer
    return answer.values(CLASS)[0].decode()


def soon(condition: Callable[[], object], patience_s: float = 5.0) -> None:
    give_up_at = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up_at
        gevent.sleep(0.002)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class TestIdentifiers:
    def test_inc_C2_a_thousand_authenticators_are_distinct_and_identifiers_are_not_predictable(self) -> None:  # noqa: N802
        with FakeRadius(lambda asked: [reply(asked)]) as fake:
            client = Client(fake.port)
            for _ in range(1024):
                client.ask()
        assert len({asked.authenticator for asked in fake.asked}) == 1024
        by_port = [list(group) for _, group in itertools.groupby(fake.asked, lambda asked: asked.peer)]
        assert len({asked.peer for asked in fake.asked}) == len(by_port) == 4
        orders = [tuple(asked.identifier for asked in group) for group in by_port]
        assert all(sorted(order) == list(range(256)) for order in orders)  # uniform: each once on each socket
        assert len(set(orders)) == 4
        steps = [(second - first) % 256 for order in orders for first, second in itertools.pairwise(order)]
        assert max(map(steps.count, set(steps))) < 40  # of 1,020; a counter would have one step

    def test_a_full_socket_is_joined_by_another(self) -> None:
        with FakeRadius(silent) as fake:
            client = Client(fake.port)
            greenlets = [gevent.spawn(client.ask, f"u{number}") for number in range(1000)]
            soon(lambda: len(fake.asked) == 1000)
            assert client.multiplexer.open_ports == 4
            for asked in fake.asked:
                fake.send(echo(asked), asked.peer)
            gevent.joinall(greenlets, raise_error=True)
            assert [meant_for(greenlet.value) for greenlet in greenlets] == [f"u{number}" for number in range(1000)]
            assert client.multiplexer.open_ports == 1  # the one with room left

    def test_sockets_are_limited(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(multiplexer_module, "MAX_PORTS", 1)
        with FakeRadius(silent) as fake:
            client = Client(fake.port, timeout_s=0.3)
            outcomes = client.ask_all(["u"] * 257)
        assert sum("full" in str(outcome) for outcome in outcomes) == 1

    def test_an_idle_socket_is_closed_and_the_next_request_opens_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(port_module, "IDLE_S", 0.05)
        with FakeRadius() as fake:
            client = Client(fake.port)
            for _ in range(2):
                client.ask()
                soon(lambda: client.multiplexer.open_ports == 0)
        assert len({asked.peer for asked in fake.asked}) == 2

    def test_a_socket_that_waits_for_an_answer_is_not_idle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(port_module, "IDLE_S", 0.05)
        with FakeRadius() as fake:
            client = Client(fake.port)
            client.ask()
            fake.behaviour = lambda asked: [(0.15, reply(asked))]
            client.ask()
            client.ask()
        assert len({asked.peer for asked in fake.asked}) == 1


class TestTime:
    def test_a_request_is_transmitted_again_octet_by_octet_until_it_is_answered(self) -> None:
        with FakeRadius() as fake:
            fake.behaviour = lambda asked: [reply(asked)] if len(fake.asked) == 4 else []
            client = Client(fake.port, retry_interval_s=0.05)
            client.ask()
        assert len({(asked.octets, asked.peer) for asked in fake.asked}) == 1
        assert client.tally.events == {ServerEvent.REQUEST: 1, ServerEvent.RETRANSMISSION: 3}
        assert client.tally.round_trip_s is not None
        assert client.tally.round_trip_s > 0.1

    def test_retransmissions_do_not_go_in_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """RFC 5080 section 2.2.1: 10 % of jitter, so that a hundred lost requests do not come back all at once."""
        pauses: list[float] = []
        wait = Exchange.wait

        def note(exchange: Exchange, seconds: float) -> None:
            pauses.append(seconds)
            wait(exchange, seconds)

        monkeypatch.setattr(Exchange, "wait", note)
        with FakeRadius() as fake:
            Client(fake.port, retry_interval_s=0.2).ask_all(["u"] * 100)
        assert len(set(pauses)) == 100
        assert 0.18 <= min(pauses) < 0.19
        assert 0.21 < max(pauses) <= 0.22

    @pytest.mark.parametrize(("timeout_s", "deadline_s"), [(0.15, 10.0), (10.0, 0.15)])
    def test_a_silent_server_has_failed_when_its_timeout_or_the_deadline_is_over(
        self, timeout_s: float, deadline_s: float
    ) -> None:
        with FakeRadius(silent) as fake:
            client = Client(fake.port, timeout_s=timeout_s, retry_interval_s=0.06)
            started = time.monotonic()
            with pytest.raises(ServerFailed, match=r"no answer .* within 0\.[12] s"):
                client.ask(seconds=deadline_s)
            assert 0.15 <= time.monotonic() - started < 0.5
            soon(lambda: len(fake.asked) == 3)
        assert client.tally.events[ServerEvent.TIMEOUT] == 1
        assert client.multiplexer.open_ports == 0

    def test_without_time_left_nothing_waits(self) -> None:
        with FakeRadius(silent) as fake, pytest.raises(ServerFailed):
            Client(fake.port).ask(seconds=-1.0)

    def test_the_failure_names_why_an_answer_was_dropped(self) -> None:
        with FakeRadius(lambda asked: [reply(asked, is_signed=False)]) as fake:
            client = Client(fake.port, timeout_s=0.1)
            with pytest.raises(ServerFailed, match="it has no Message-Authenticator"):
                client.ask()
        assert client.tally.drops == {Drop.UNSIGNED: 1}


class TestLateAnswers:
    def test_a_late_answer_meets_no_other_request(self) -> None:
        """It comes to its own socket, and to one where another request has its identifier, while hundreds wait."""
        with FakeRadius(silent) as fake:
            client = Client(fake.port, timeout_s=1.0, retry_interval_s=5.0)
            keeper = gevent.spawn(client.outcome, "keeper")  # its socket stays open while it waits
            soon(lambda: len(fake.asked) == 1)
            with pytest.raises(ServerFailed):
                client.ask("late", seconds=0.05)
            late = fake.asked[1]
            fake.send(echo(late), late.peer)
            fake.behaviour = lambda asked: [echo(late), echo(asked)]
            answers = client.ask_all(f"u{number}" for number in range(300))
            assert [meant_for(answer) for answer in answers] == [f"u{number}" for number in range(300)]
            assert isinstance(keeper.get(), ServerFailed)
        assert client.tally.drops[Drop.STRAY] >= 1
        assert client.tally.drops[Drop.AUTHENTICATOR] >= 1
        assert set(client.tally.drops) == {Drop.STRAY, Drop.AUTHENTICATOR}

    def test_the_second_of_two_answers_is_dropped(self) -> None:
        with FakeRadius(lambda asked: [echo(asked), reply(asked, 3), echo(asked)]) as fake:
            client = Client(fake.port)
            assert client.ask().code == 2
            soon(lambda: client.tally.drops[Drop.STRAY] == 2)

    def test_an_answer_from_elsewhere_is_not_even_seen(self) -> None:
        with FakeRadius(silent) as fake, FakeRadius() as stranger:
            fake.behaviour = lambda asked: stranger.send(echo(asked), asked.peer) or []  # type: ignore[func-returns-value]
            client = Client(fake.port, timeout_s=0.1)
            with pytest.raises(ServerFailed):
                client.ask()
        assert client.tally.drops == {}


class TestNetwork:
    def test_a_closed_port_fails_after_one_more_try(self) -> None:
        client = Client(free_udp_port(), timeout_s=10.0, retry_interval_s=5.0)
        started = time.monotonic()
        outcomes = client.ask_all(["u"] * 50)
        assert REFUSED_GRACE_S <= time.monotonic() - started < REFUSED_GRACE_S + 0.5
        assert all("refused" in str(outcome) for outcome in outcomes)
        assert client.tally.events == {
            ServerEvent.REQUEST: 50,
            ServerEvent.RETRANSMISSION: 50,
            ServerEvent.UNREACHABLE: 50,
        }
        assert client.multiplexer.open_ports == 0

    def test_a_server_that_comes_back_within_the_grace_is_not_failed(self) -> None:
        port = free_udp_port()
        client = Client(port)
        asker = gevent.spawn(client.ask)
        gevent.sleep(REFUSED_GRACE_S / 2)
        with FakeRadius() as fake:
            fake._socket.close()
            late = gevent.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            late.bind((LOOPBACK, port))
            fake._socket = late
            assert asker.get(timeout=2).code == 2

    def test_a_refusal_meant_for_an_earlier_request_does_not_fail_a_later_one(self) -> None:
        """An ICMP error is told to the next call on the socket, whichever request that is for."""
        with FakeRadius() as fake:
            client = Client(fake.port, timeout_s=1.0)
            client.ask()
            port = client.multiplexer._current
            assert port is not None
            real = port._socket
            port._socket = Refusing(real, times=1)  # type: ignore[assignment]
            assert client.ask().code == 2
            port._socket = real

    @pytest.mark.parametrize("fails_with", [BlockingIOError(11, "again"), OSError(105, "no buffer space")])
    def test_a_full_socket_buffer_is_a_lost_datagram(self, fails_with: OSError) -> None:
        with FakeRadius() as fake:
            client = Client(fake.port, retry_interval_s=0.05)
            client.ask()
            port = client.multiplexer._current
            assert port is not None
            real = port._socket
            port._socket = Refusing(real, times=1, error=fails_with)  # type: ignore[assignment]
            started = time.monotonic()
            assert client.ask().code == 2
            assert time.monotonic() - started < REFUSED_GRACE_S
            port._socket = real

    def test_an_address_without_a_route_is_a_failed_server(self) -> None:
        with pytest.raises(ServerFailed):
            Client(1812, host="255.255.255.255").ask()

    def test_a_name_without_an_address_is_a_failed_server(self) -> None:
        def unknown(host: str, deadline: float) -> tuple[str, ...]:
            raise UpstreamLost(f"{host} has no address")

        with pytest.raises(ServerFailed, match=r"radius\.example has no address"):
            Client(1812, host="radius.example", resolve=unknown).ask()

    def test_after_a_failure_the_next_address_of_the_name_is_asked(self) -> None:
        with FakeRadius() as fake:
            client = Client(fake.port, timeout_s=0.5, resolve=lambda host, deadline: ("127.0.0.2", LOOPBACK))
            with pytest.raises(ServerFailed):
                client.ask()
            assert client.ask().code == 2

    def test_requests_that_wait_for_the_same_look_up_share_a_socket(self) -> None:
        def slow(host: str, deadline: float) -> tuple[str, ...]:
            gevent.sleep(0.02)
            return (LOOPBACK,)

        with FakeRadius() as fake:
            Client(fake.port, host="radius.example", resolve=slow).ask_all(["u"] * 50)
        assert len({asked.peer for asked in fake.asked}) == 1

    def test_ipv6(self) -> None:
        with FakeRadius(host="::1") as fake:
            assert Client(fake.port, host="::1").ask().code == 2
        assert fake.asked[0].values(95) == [socket.inet_pton(socket.AF_INET6, "::1")]


class Refusing:
    """A socket whose next sends fail as the kernel's do after an ICMP error."""

    def __init__(self, real: socket.socket, times: int, error: OSError | None = None) -> None:
        self._real = real
        self._times = times
        self._error = error or ConnectionRefusedError(111, "Connection refused")

    def send(self, octets: bytes) -> int:
        if self._times:
            self._times -= 1
            raise self._error
        return self._real.send(octets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class TestEnds:
    def test_whenever_a_session_ends_nothing_of_its_request_is_left(self) -> None:
        with FakeRadius(lambda asked: [(random.uniform(0.0, 0.1), echo(asked))]) as fake:  # noqa: S311
            client = Client(fake.port, retry_interval_s=0.03)
            askers = [gevent.spawn(client.outcome, f"u{number}") for number in range(600)]
            gevent.sleep(0)  # all have begun
            for asker in askers:
                gevent.spawn_later(random.uniform(0.0, 0.1), asker.kill, SessionEnded(EndReason.EVICTED), False)  # noqa: S311
            gevent.joinall(askers)
            assert {type(asker.get()) for asker in askers} == {SessionEnded, Answer}
            assert [len(port._waiting) for port in client.multiplexer._ports if port._waiting] == []
            assert client.multiplexer.open_ports <= 1
            assert client.ask("afterwards").values(CLASS) == (b"afterwards",)
            client.multiplexer.close()
            assert client.multiplexer.open_ports == 0

    def test_a_session_that_ends_while_the_name_is_looked_up_leaves_nothing(self) -> None:
        def endless(host: str, deadline: float) -> tuple[str, ...]:
            gevent.sleep(10)
            return ("::1",)

        client = Client(1812, host="radius.example", resolve=endless)
        asker = gevent.spawn(client.outcome)
        gevent.sleep(0.01)
        asker.kill(SessionEnded(EndReason.EVICTED))
        assert client.multiplexer.open_ports == 0

    def test_closing_fails_those_who_wait(self) -> None:
        with FakeRadius(silent) as fake:
            client = Client(fake.port, retry_interval_s=0.05)
            asker = gevent.spawn(client.outcome)
            soon(lambda: fake.asked)
            client.multiplexer.close()
            client.multiplexer.close()
            assert isinstance(asker.get(timeout=1), ServerFailed)

    def test_nothing_is_opened_before_the_first_request(self) -> None:
        assert Client(1812).multiplexer.open_ports == 0

    def test_no_descriptor_is_left_to_the_garbage_collector(self) -> None:
        """pytest turns a ResourceWarning into a failure."""
        with FakeRadius() as fake:
            client = Client(fake.port)
            for _ in range(300):
                client.ask()
            client.multiplexer.close()
        del client
        gc.collect()
