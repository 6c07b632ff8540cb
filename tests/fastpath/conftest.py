"""An engine in the test's own hub, whose sessions the test serves itself."""

import gc
import socket
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from OpenSSL import SSL

from gateway._sessions import SessionTable
from gateway.transport.engine import Transport
from gateway.transport.tls import ServerTls
from tests.fastpath.sessions import GREETING
from tests.fastpath.sessions import Joined
from tests.fastpath.sessions import Served
from tests.fastpath.sessions import Worker
from tests.unit.transport.conftest import authority as authority
from tests.unit.transport.conftest import certificate as certificate
from tests.unit.transport.conftest import server_tls as server_tls
from tests.unit.transport.conftest import uncaught as uncaught
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import soon

SMALL_BUFFER_OCTETS = 16 * 1024


@pytest.fixture
def open_descriptors() -> Iterator[None]:
    """As many at the end as at the beginning."""
    gevent.sleep(0)
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    gc.collect()
    soon(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)


@pytest.fixture
def make_worker(open_descriptors: None, server_tls: ServerTls) -> Iterator[Callable[..., Worker]]:
    """A transport with one endpoint; the arguments change the endpoint. All are closed at the end."""
    made: list[Worker] = []

    def make(
        listener: socket.socket | None = None, table: SessionTable | None = None, number: int = 0, **changes: Any
    ) -> Worker:
        worker = Worker(
            listener or socket.create_server(("127.0.0.1", 0)), {"tls": server_tls, **changes}, table, number
        )
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.close()


@pytest.fixture
def worker(make_worker: Callable[..., Worker]) -> Worker:
    return make_worker()


@pytest.fixture
def hasty(make_worker: Callable[..., Worker]) -> Worker:
    """One with short deadlines."""
    return make_worker(handshake_timeout_s=0.1, login_timeout_s=0.4)


@pytest.fixture
def served(worker: Worker) -> Iterator[Served]:
    """A session after its first line, which has been read; the test's greenlet owns it."""
    peer = TlsPeer(worker.connect()).handshake()
    assert peer.receive_exactly(len(GREETING)) == GREETING
    session = worker.serve_by_hand(peer)
    yield session
    session.close()


@pytest.fixture
def transport(worker: Worker) -> Transport:
    return worker.transport


@pytest.fixture
def join(worker: Worker) -> Iterator[Callable[..., Joined]]:
    """Sessions with an open upstream each, not yet relaying."""
    made: list[Joined] = []

    def make(buffer_octets: int | None = None) -> Joined:
        made.append(Joined.make(worker, buffer_octets))
        return made[-1]

    yield make
    for joined in made:
        joined.close()


@pytest.fixture
def joined(join: Callable[..., Joined]) -> Joined:
    return join()


@pytest.fixture
def narrow(join: Callable[..., Joined]) -> Joined:
    """With so little room in the kernel that what the relay holds can be seen."""
    return join(SMALL_BUFFER_OCTETS)


@pytest.fixture
def connection() -> SSL.Connection:
    """A client's, over memory BIOs, that trusts everybody."""
    made = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    made.set_connect_state()
    return made
