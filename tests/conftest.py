"""Fixtures for the tests that need more than functions: real peers, once a run, and the gateway, once a test.

A peer that cannot run here skips its tests and says why; where CI=true it fails them instead.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.availability import require
from tests.support.directories import world_traversable_directory
from tests.support.gateway import RUN
from tests.support.gateway import RunningGateway
from tests.support.gateway import Section
from tests.support.gateway import Sections
from tests.support.gateway import StartGateway
from tests.support.peers import Dovecot
from tests.support.peers import FreeRadius
from tests.support.peers import OpenLdap
from tests.support.peers import Postfix
from tests.support.peers import Redis
from tests.support.peers import SmtpSink
from tests.support.peers import StartPeer
from tests.support.peers.base import PeerType
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority


@pytest.fixture(scope="session")
def peer_directory() -> Iterator[Path]:
    """Where peers keep their files: a daemon under another user can enter it, unlike pytest's `tmp_path`."""
    with world_traversable_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def ca(peer_directory: Path) -> CertificateAuthority:
    return CertificateAuthority(peer_directory)


@pytest.fixture(scope="session")
def certificate(ca: CertificateAuthority) -> Certificate:
    """For 127.0.0.1, localhost and gateway.example.test."""
    return ca.issue()


@pytest.fixture(scope="session")
def dovecot(peer_directory: Path, certificate: Certificate) -> Iterator[Dovecot]:
    """Any user, one password; plain with STARTTLS, and implicit TLS."""
    yield from _running(Dovecot(certificate), peer_directory)


@pytest.fixture(scope="session")
def postfix(peer_directory: Path, certificate: Certificate, dovecot: Dovecot) -> Iterator[Postfix]:
    """Logs in whom `dovecot` does."""
    yield from _running(Postfix(dovecot, certificate), peer_directory)


@pytest.fixture(scope="session")
def smtp_sink(peer_directory: Path) -> Iterator[SmtpSink]:
    yield from _running(SmtpSink(), peer_directory)


@pytest.fixture(scope="session")
def openldap(peer_directory: Path, certificate: Certificate) -> Iterator[OpenLdap]:
    yield from _running(OpenLdap(certificate), peer_directory)


@pytest.fixture(scope="session")
def freeradius(peer_directory: Path) -> Iterator[FreeRadius]:
    yield from _running(FreeRadius(), peer_directory)


@pytest.fixture(scope="session")
def redis(peer_directory: Path) -> Iterator[Redis]:
    yield from _running(Redis(), peer_directory)


@pytest.fixture
def start_peer() -> Iterator[StartPeer]:
    """Starts a peer with settings of its own, or one that a test stops, pauses or restarts; for this test only."""
    with world_traversable_directory() as directory, ExitStack() as stack:

        def start(peer: PeerType) -> PeerType:
            require(type(peer).missing())
            name = f"{len(list(directory.iterdir()))}"
            stack.enter_context(peer.start(directory / name))
            return peer

        yield start


@pytest.fixture
def gateway(certificate: Certificate) -> Iterator[StartGateway]:
    """Starts gateways; each is terminated, with all checks of `RunningGateway.terminate`, when the test ends."""
    with world_traversable_directory() as directory, ExitStack() as stack:

        def start(
            sections: Sections | None = None,
            *,
            command: Sequence[str] = RUN,
            arguments: Sequence[str] = (),
            environment: Mapping[str, str] | None = None,
            **more_sections: Section | None,
        ) -> RunningGateway:
            own = directory / f"{len(list(directory.iterdir()))}"
            own.mkdir()
            everything = {**(sections or {}), **more_sections}
            running = RunningGateway(
                own, certificate, everything, command=command, arguments=arguments, environment=environment
            )
            stack.callback(running.terminate)
            return running

        yield start


def _running(peer: PeerType, parent: Path) -> Iterator[PeerType]:
    require(type(peer).missing())
    with peer.start(parent / type(peer).__name__.lower()):
        yield peer
