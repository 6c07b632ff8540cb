"""Certificates, loopback connections and a hub that tells of every exception nobody caught."""

import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import gevent
import pytest

from gateway.transport.tls import CertificateFiles
from gateway.transport.tls import ServerTls
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: CertificateAuthority) -> Certificate:
    return authority.issue()


@pytest.fixture(scope="session")
def server_tls(certificate: Certificate) -> ServerTls:
    return ServerTls(b"imap", [CertificateFiles(certificate.chain, certificate.key)])


@pytest.fixture
def open_descriptors() -> Iterator[None]:
    """As many at the end as at the beginning."""
    gevent.sleep(0)
    before = set(Path("/proc/self/fd").iterdir())
    yield
    gevent.sleep(0)
    assert len(set(Path("/proc/self/fd").iterdir())) <= len(before)


@pytest.fixture(autouse=True)
def uncaught() -> Iterator[list[BaseException]]:
    """What greenlets died of."""
    hub = gevent.get_hub()
    errors: list[BaseException] = []

    def collect(_: object, __: type, value: BaseException, ___: TracebackType) -> None:
        errors.append(value)

    hub.print_exception = collect
    yield errors
    del hub.print_exception
    assert errors == []


@pytest.fixture
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of one connection over loopback, both non-blocking."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    one.setblocking(False)
    other.setblocking(False)
    yield one, other
    one.close()
    other.close()
