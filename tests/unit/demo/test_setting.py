"""What surrounds the demo's gateway: certificates, configuration, ports, letters, and what the user is told."""

import socket
import ssl
import stat
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.config.load import load
from gateway.config.model.words import ProtocolName
from gateway.demo.certificates import write_certificates
from gateway.demo.configuration import AUTHORITY
from gateway.demo.configuration import CHAIN
from gateway.demo.configuration import KEY
from gateway.demo.configuration import MailServers
from gateway.demo.configuration import write_configuration
from gateway.demo.letters import letters_for
from gateway.demo.people import ALICE
from gateway.demo.people import BOB
from gateway.demo.people import PEOPLE
from gateway.demo.ports import DEFAULT_PORTS
from gateway.demo.ports import PortTaken
from gateway.demo.ports import choose_ports
from gateway.demo.process import LogLine
from tests.support.ports import LOOPBACK
from tests.unit.demo.ports import free_offset


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """With the certificates in it."""
    write_certificates(tmp_path / AUTHORITY, tmp_path / CHAIN, tmp_path / KEY)
    return tmp_path


def test_certificate_is_for_this_machine_and_verifies(directory: Path) -> None:
    leaf, authority = x509.load_pem_x509_certificates((directory / CHAIN).read_bytes())
    leaf.verify_directly_issued_by(authority)
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.subject.rfc4514_string() == "CN=localhost"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_client_with_strict_verification_accepts_the_certificate(directory: Path, name: str) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / CHAIN, directory / KEY)
    client = ssl.create_default_context(cafile=str(directory / AUTHORITY))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname=name),
    ]
    while ends:
        ends = [end for end in ends if not shaken(end)]


def shaken(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def test_configuration_has_no_problem_and_is_private(directory: Path) -> None:
    mail_servers = MailServers("127.0.0.1", dict(zip(ProtocolName, (1143, 1110, 1587), strict=True)))
    path = write_configuration(directory, DEFAULT_PORTS, mail_servers, PEOPLE)
    result = load(path)
    assert list(result.problems) == []
    assert result.config is not None
    assert {name: settings.port for name, settings in result.config.protocols.items()} == DEFAULT_PORTS
    assert result.config.worker_count == 2
    for private in (path, directory / KEY):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert not any(person.vpn_password in path.read_text() for person in PEOPLE if person is BOB)


def test_login_of_two_identities_is_joined_and_of_one_is_not() -> None:
    assert (ALICE.user_name, ALICE.password) == ("vpn:alice", "portal:mail")
    assert (BOB.user_name, BOB.password) == ("bob", "secret")


def test_letters_are_what_they_promise() -> None:
    welcome, scripts, plan = (message_from_bytes(octets, policy=SMTP) for _, octets in letters_for("alice", "bob"))
    assert welcome["To"] == "alice@demo.example"
    assert "bob@demo.example" in welcome.get_content()
    assert all(len(line) <= 76 for line in welcome.get_content().splitlines())
    assert not scripts["Subject"].isascii()
    assert "你好" in scripts.get_content()
    assert [part.get_filename() for part in plan.iter_attachments()] == ["plan.csv"]


def test_letters_arrived_in_their_order() -> None:
    moments = [moment for moment, _ in letters_for("alice", "bob")]
    assert moments == sorted(moments)


def test_taken_port_is_named_with_a_remedy_that_works() -> None:
    offset = free_offset()
    taken = DEFAULT_PORTS[ProtocolName.POP3S] + offset
    with socket.create_server((LOOPBACK, taken)):
        with pytest.raises(PortTaken, match=rf"port {taken} is taken .*\n  gateway demo --port-offset \d+") as raised:
            choose_ports(offset, or_any=False)
        remedy = int(str(raised.value).rpartition(" ")[2])
        assert choose_ports(remedy, or_any=False)[ProtocolName.IMAP4S] == 9993 + remedy


def test_taken_port_is_replaced_where_any_will_do() -> None:
    offset = free_offset()
    with socket.create_server((LOOPBACK, 9995 + offset)):
        ports = choose_ports(offset, or_any=True)
    assert ports[ProtocolName.IMAP4S] == 9993 + offset
    assert ports[ProtocolName.POP3S] not in (9995 + offset, 0)


def test_log_line_is_not_fooled_by_what_a_user_typed() -> None:
    octets = b'time=2026-01-01T00:00:00Z level=info event=login user="a level=error event=ready b"\n'
    assert LogLine.of(octets) == LogLine(octets.decode().rstrip(), "info", "login")
    assert LogLine.of(b"Traceback level=error\n").level == ""
    assert LogLine.of(b"\xff\n").text == "\\xff"
