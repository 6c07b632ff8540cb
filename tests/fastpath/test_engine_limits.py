"""What the engine holds: no Python object for a session that says nothing or relays, and nothing at all afterwards."""

import gc
import os
import random
import resource
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from greenlet import greenlet

from gateway.outcome import EndReason
from gateway.transport.base import RelayEnd
from gateway.transport.engine import MAX_IDLE_GREENLETS
from gateway.transport.engine import EngineClientConnection
from tests.fastpath.sessions import UNLIMITED
from tests.fastpath.sessions import Joined
from tests.fastpath.sessions import Worker
from tests.fastpath.sessions import connections
from tests.support.tls import Certificate
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import cooperative
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import reset
from tests.unit.transport.peers import soon

MakeWorker = Callable[..., Worker]
ROOT = Path(__file__).resolve().parents[2]


def greenlets() -> int:
    gc.collect()
    return sum(isinstance(one, greenlet) and not one.dead for one in gc.get_objects())


# ---- no Python object


def test_silent_and_relaying_sessions_have_neither_object_nor_greenlet(make_worker: MakeWorker) -> None:
    server = cooperative(socket.create_server(("127.0.0.1", 0)))
    ends: list[RelayEnd] = []

    def serve(client: EngineClientConnection) -> None:
        client.read_line(100, after(1))
        upstream = worker.transport.connect(server.getsockname(), after(1))
        client.write(b"OK\r\n")
        client.hand_over(upstream, UNLIMITED, lambda _: b"", ends.append)

    def relaying() -> tuple[TlsPeer, Any]:
        peer = worker.greeted()
        peer.send(b"a\r\n")
        far, _ = server.accept()
        assert peer.receive() == b"OK\r\n"
        return peer, far

    worker = make_worker(on_session=serve)
    pairs = [relaying()]
    before = greenlets()
    pairs += [relaying() for _ in range(9)]
    connected = [worker.connect() for _ in range(10)]
    silent = [worker.greeted() for _ in range(10)]
    gevent.sleep(0.01)
    assert worker.transport.live == 30
    assert connections() == 0
    assert greenlets() == before
    for peer, far in pairs:
        peer.send(b"a NOOP\r\n")
        assert far.recv(100) == b"a NOOP\r\n"
    assert connections() == 0
    assert greenlets() == before
    for end in (*connected, *silent, server):
        end.close()
    for peer, far in pairs:
        peer.close()
        far.close()
    soon(lambda: len(ends) == 10)


def test_greenlets_are_used_again_and_do_not_pile_up(make_worker: MakeWorker) -> None:
    worker = make_worker(on_session=lambda client: client.close(b"* BYE\r\n"))

    def visit(_: int) -> None:
        peer = worker.greeted()
        peer.send(b"a\r\n")
        assert peer.receive_all() == b"* BYE\r\n"
        peer.close()

    visit(0)
    before = greenlets()
    for number in range(50):
        visit(number)
    assert greenlets() == before
    gevent.joinall([gevent.spawn(visit, number) for number in range(2 * MAX_IDLE_GREENLETS)], raise_error=True)
    assert greenlets() <= before + MAX_IDLE_GREENLETS


def test_session_that_fails_leaves_its_greenlet_usable(make_worker: MakeWorker, uncaught: list[BaseException]) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    worker = make_worker(on_session=fail)
    for _ in range(3):
        peer = worker.greeted()
        peer.send(b"a\r\n")
        assert peer.receive_all() == b""
        peer.close()
    assert [type(error) for error in uncaught] == [ZeroDivisionError] * 3
    uncaught.clear()


def test_late_switch_into_an_idle_greenlet_does_no_harm(make_worker: MakeWorker) -> None:
    """A callback of gevent's may come after the session that waited for it is over."""
    seen: list[greenlet] = []

    def serve(client: Any) -> None:
        seen.append(gevent.getcurrent())
        client.close(b"* BYE\r\n")

    worker = make_worker(on_session=serve)

    def visit() -> None:
        peer = worker.greeted()
        peer.send(b"a\r\n")
        assert peer.receive_all() == b"* BYE\r\n"
        peer.close()

    visit()
    hub = gevent.get_hub()
    hub.loop.run_callback(seen[0].switch)
    hub.loop.run_callback(seen[0].switch, "late")
    gevent.sleep(0.01)
    visit()
    hub.loop.run_callback(seen[0].throw, ZeroDivisionError)
    gevent.sleep(0.01)
    visit()
    assert seen[0] is seen[1]
    assert seen[1].dead
    assert not seen[2].dead


# ---- keys


def test_key_of_a_session_ends_it_wherever_it_is_and_no_other(worker: Worker) -> None:
    joined = Joined.make(worker)
    key = joined.client.key
    joined.relay()
    assert worker.transport.end(key, EndReason.LOGGED_OFF)
    assert joined.program.receive_all() == b"* BYE logged-off\r\n"
    assert joined.ended().reason is EndReason.LOGGED_OFF
    assert not worker.transport.end(key, EndReason.LOGGED_OFF)
    joined.close()
    soon(lambda: worker.transport.live == 0)
    another = worker.serve_by_hand(worker.greeted())
    assert another.client.key != key
    assert another.client.key & 0xFFFFFFFF == key & 0xFFFFFFFF  # in the same place
    for stale in (key, 0, 1 << 63, (1 << 64) - 1):
        assert not worker.transport.end(stale, EndReason.LOGGED_OFF)
    another.client.write(b"still here\r\n")
    another.close()


# ---- nothing is left


def at_random(rng: random.Random, worker: Worker, server: socket.socket) -> None:
    """One session that goes wrong, or well, at a random point."""

    def leave(end: Any) -> bool:
        choice = rng.random()
        if choice < 0.15:
            reset(end)
        elif choice < 0.3:
            end.close()
        return choice < 0.3

    end = worker.connect()
    if leave(end):
        return
    if rng.random() < 0.1:
        end.sendall(rng.randbytes(rng.randrange(1, 600)))
    peer = TlsPeer(end)
    if fault(peer.handshake) is not None or leave(end):
        end.close()
        return
    fault(lambda: peer.send(b"a LOGIN\r\n" * rng.randrange(1, 4)))
    if leave(end):
        return
    for _ in range(rng.randrange(6)):
        if fault(lambda: (peer.send(rng.randbytes(rng.randrange(1, 50_000))), peer.receive(rng.randrange(1, 9999)))):
            break
        if leave(end):
            return
    fault(peer.finish if rng.random() < 0.5 else lambda: None)
    end.close()


def test_sessions_that_end_at_random_points_leave_nothing_behind(make_worker: MakeWorker) -> None:
    rng = random.Random(os.environ.get("GATEWAY_SEED", "7"))  # noqa: S311  to repeat a run
    server = cooperative(socket.create_server(("127.0.0.1", 0)))
    reports: list[RelayEnd] = []
    handed_over = 0

    def echo(end: Any) -> None:
        """A mail server that leaves at random points too."""

        def converse() -> None:
            while data := end.recv(1 << 16):
                end.sendall(data[: rng.randrange(len(data) + 1)] or b"* OK\r\n")
                if rng.random() < 0.1:
                    return reset(end)
            return None

        fault(converse)
        end.close()

    def accept() -> None:
        while True:
            gevent.spawn(echo, server.accept()[0])

    def serve(client: Any) -> None:
        nonlocal handed_over
        line = client.read_line(100, after(1))
        if rng.random() < 0.3:
            client.pause(rng.random() * 0.05)
        upstream = worker.transport.connect(server.getsockname(), after(1))
        try:
            client.write(line + b" OK\r\n")
        except BaseException:
            upstream.close()
            raise
        client.hand_over(upstream, UNLIMITED, lambda _: b"* BYE\r\n", reports.append)
        handed_over += 1
        if rng.random() < 0.2:
            gevent.spawn_later(rng.random() * 0.1, worker.transport.end, client.key, EndReason.LOGGED_OFF)

    def guarded(client: Any) -> None:
        fault(lambda: serve(client))

    accepting = gevent.spawn(accept)
    worker = make_worker(on_session=guarded)
    visits = [gevent.spawn(at_random, rng, worker, server) for _ in range(150)]
    gevent.joinall(visits, timeout=30, raise_error=True)
    soon(lambda: worker.transport.live == 0)
    soon(lambda: len(reports) == handed_over)
    assert handed_over > 30
    counters = worker.transport.counters()
    assert counters["accepted"] == 150
    assert counters["served"] + sum(counters["unserved"].values()) == 150
    accepting.kill()
    server.close()
    fresh = worker.greeted()
    fresh.close()


LEAK_SCRIPT = """
    import gc, os, resource, socket, ssl, sys, threading
    from pathlib import Path
    import gevent
    from gateway.outcome import EndReason
    from gateway.transport.base import RelayLimits
    from gateway.transport.engine import Endpoint, Transport
    from gateway.transport.tls import CertificateFiles, ServerTls
    from gateway._sessions import SessionTable

    chain, key, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    backend = socket.create_server(("127.0.0.1", 0), backlog=512)
    def echo():
        while True:
            end, _ = backend.accept()
            end.sendall(end.recv(100))
            end.close()
    for _ in range(4):
        threading.Thread(target=echo, daemon=True).start()

    table = SessionTable.create(slots=1000, workers=1)
    transport = Transport(print, table)
    ended = []
    def serve(client):
        client.read_line(100, client.accepted_at + 10)
        upstream = transport.connect(backend.getsockname(), client.accepted_at + 10)
        client.write(b"OK" + bytes([13, 10]))
        client.hand_over(upstream, RelayLimits(None, None), lambda _: b"", count)
    total = [0, 0]
    def count(end):
        total[0] += 1
    def early(*_):
        total[1] += 1
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    transport.listen(listener, Endpoint(
        tls=ServerTls(b"imap", [CertificateFiles(chain, key)]), greeting=b"* OK" + bytes([13, 10]),
        farewell=lambda _: b"", handshake_timeout_s=10, login_timeout_s=10, on_session=serve, on_end_early=early))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def visit(number):
        end = socket.create_connection(listener.getsockname())
        if number % 4:
            return end.close()
        with context.wrap_socket(end) as tls:
            tls.recv(100)
            tls.sendall(b"a LOGIN" + bytes([13, 10]))
            tls.recv(100)
            tls.sendall(b"ping")
            assert tls.recv(100) == b"ping"
            assert tls.recv(100) == b""

    def many(first, count):
        threads = [threading.Thread(target=lambda n=n: [visit(i) for i in range(first + n, first + count, 8)])
                   for n in range(8)]
        for one in threads:
            one.start()
        while any(one.is_alive() for one in threads):
            gevent.sleep(0.05)
        while transport.live:
            gevent.sleep(0.01)

    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    many(0, rounds // 4)
    descriptors, memory = len(os.listdir("/proc/self/fd")), resident()
    many(0, rounds)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert list(table.sessions()) == [] and table.free_slots() == 1000, table.free_slots()
    assert sum(total) == rounds + rounds // 4, total
    print("grown", resident() - memory)
"""


def run_leak_script(certificate: Certificate, rounds: int, timeout_s: float) -> int:
    done = subprocess.run(
        [
            sys.executable,
            "-u",
            "-c",
            textwrap.dedent(LEAK_SCRIPT),
            str(certificate.chain),
            str(certificate.key),
            str(rounds),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])


def test_a_thousand_sessions_leave_descriptors_memory_and_slots_as_before(certificate: Certificate) -> None:
    assert run_leak_script(certificate, 1000, 50) < 1 << 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_thousand_sessions_leave_descriptors_memory_and_slots_as_before(certificate: Certificate) -> None:
    assert run_leak_script(certificate, 100_000, 900) < 2 << 20


# ---- a worker at its limit of descriptors


def test_logins_go_on_at_the_limit_of_descriptors(monkeypatch: pytest.MonkeyPatch, make_worker: MakeWorker) -> None:
    """Accepting pauses while there is still room for mail servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 80, hard))
    try:
        worker = make_worker()
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = worker.greeted()
            session = worker.serve_by_hand(peer)
            flood = []
            while not worker.trouble:
                flood.append(worker.connect())
                gevent.sleep(0.001)
            upstream = worker.transport.connect(server.getsockname(), after(1))
            upstream.close()
            for one in flood:
                one.close()
            session.close()
        soon(lambda: worker.transport.live == 0)
        gevent.sleep(0.6)
        late = worker.greeted()
        late.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
