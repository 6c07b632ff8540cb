"""TLS contexts, by handshakes in memory."""

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from gateway.errors import ConfigError
from gateway.transport.tls import CertificateFiles
from gateway.transport.tls import NoCommonProtocol
from gateway.transport.tls import ServerTls
from gateway.transport.tls import client_context
from gateway.transport.tls import connect
from gateway.transport.tls import facts
from gateway.transport.tls import tls_fault
from gateway.transport.tls import verify_fault
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority
from tests.support.tls import KeyKind
from tests.unit.transport.memory_tls import MemoryPair

TLS12_SUITES = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"


def files(certificate: Certificate, name: str | None = None) -> CertificateFiles:
    return CertificateFiles(certificate.chain, certificate.key, name)


def a_client(
    *, alpn: list[bytes] | None = None, sni: bytes | None = None, context: SSL.Context | None = None
) -> SSL.Connection:
    """A client that trusts everybody, to see what the server does."""
    connection = SSL.Connection(context or SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    connection.set_connect_state()
    if alpn:
        connection.set_alpn_protos(alpn)
    if sni:
        connection.set_tlsext_host_name(sni)
    return connection


def only(version: int, ciphers: bytes = TLS12_SUITES) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_cipher_list(ciphers)
    return context


def shown(pair: MemoryPair) -> int:
    certificate = pair.client.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.serial_number


def with_ticket(tls: ServerTls, context: SSL.Context) -> tuple[MemoryPair, SSL.Session]:
    pair = MemoryPair(a_client(context=context), tls.accept()).shake()
    pair.server.send(b"greeting")  # the tickets travel with it
    pair.carry()
    assert pair.client.recv(100) == b"greeting"
    session = pair.client.get_session()
    assert session is not None
    return pair, session


# ---- application protocols


def test_alpn_of_the_listener_is_chosen(server_tls: ServerTls) -> None:
    pair = MemoryPair(a_client(alpn=[b"http/1.1", b"imap"]), server_tls.accept()).shake()
    assert pair.client.get_alpn_proto_negotiated() == b"imap"
    assert facts(pair.server).alpn == b"imap"


def test_alpn_without_ours_ends_with_alert_120(server_tls: ServerTls) -> None:
    pair = MemoryPair(a_client(alpn=[b"http/1.1", b"h2"]), server_tls.accept())
    with pytest.raises(NoCommonProtocol):
        pair.shake()
    assert pair.to_client == bytes.fromhex("15 0303 0002 02 78")  # alert, fatal, no_application_protocol
    MemoryPair(a_client(alpn=[b"imap"]), server_tls.accept()).shake()  # the next one is not disturbed


def test_no_alpn_is_welcome(server_tls: ServerTls) -> None:
    pair = MemoryPair(a_client(), server_tls.accept()).shake()
    assert facts(pair.server).alpn is None


# ---- certificates


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (None, "default"),
        (b"other.example.test", "default"),
        (b"mail.example.test", "named"),
        (b"MAIL.Example.TEST", "named"),
        (b"x.wild.example.test", "wild"),
        (b"y.x.wild.example.test", "default"),
        (b"*.wild.example.test", "default"),
        (b"a" * 64 + b".wild.example.test", "default"),
    ],
)
def test_certificate_is_chosen_by_sni(authority: CertificateAuthority, asked: bytes | None, chosen: str) -> None:
    certificates = {name: authority.issue(f"{name}.example.test") for name in ("default", "named", "wild")}
    tls = ServerTls(
        b"imap",
        [
            files(certificates["default"]),
            files(certificates["named"], "mail.example.test"),
            files(certificates["wild"], "*.Wild.example.test"),
        ],
    )
    pair = MemoryPair(a_client(sni=asked), tls.accept()).shake()
    assert shown(pair) == certificates[chosen].leaf.serial_number
    with pytest.raises(NoCommonProtocol):
        MemoryPair(a_client(sni=asked, alpn=[b"http/1.1"]), tls.accept()).shake()


@pytest.mark.parametrize(
    ("sni", "written"), [(b"Mail.Example.TEST", "mail.example.test"), (b"mail example\r\n", None), (b"\xff.x", None)]
)
def test_server_name_in_the_facts_is_a_host_name(server_tls: ServerTls, sni: bytes, written: str | None) -> None:
    assert facts(MemoryPair(a_client(sni=sni), server_tls.accept()).shake().server).server_name == written


def test_ecdsa_and_rsa_of_one_name_serve_clients_of_either(authority: CertificateAuthority) -> None:
    by_ecdsa, by_rsa = authority.issue(key_kind=KeyKind.ECDSA), authority.issue(key_kind=KeyKind.RSA)
    tls = ServerTls(b"imap", [files(by_ecdsa), files(by_rsa)])
    for suite, expected in ((b"ECDHE-ECDSA-AES128-GCM-SHA256", by_ecdsa), (b"ECDHE-RSA-AES128-GCM-SHA256", by_rsa)):
        client = a_client(context=only(SSL.TLS1_2_VERSION, suite))
        assert shown(MemoryPair(client, tls.accept()).shake()) == expected.leaf.serial_number


def test_key_may_stand_in_the_file_of_the_chain(certificate: Certificate, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.chain.read_bytes() + certificate.key.read_bytes())
    pair = MemoryPair(a_client(), ServerTls(b"imap", [CertificateFiles(both)]).accept()).shake()
    assert shown(pair) == certificate.leaf.serial_number


def test_files_that_cannot_be_used_are_named(
    certificate: Certificate, authority: CertificateAuthority, tmp_path: Path
) -> None:
    absent, empty = tmp_path / "absent.pem", tmp_path / "empty.pem"
    empty.write_bytes(b"")
    other = authority.issue().key
    for chain, key, words in (
        (absent, certificate.key, f"{absent}: No such file"),
        (certificate.chain, absent, f"{absent}: No such file"),
        (tmp_path, certificate.key, f"{tmp_path}: Is a directory"),
        (empty, certificate.key, f"{empty}: not a PEM certificate chain"),
        (certificate.key, certificate.key, f"{certificate.key}: not a PEM certificate chain"),
        (certificate.chain, other, f"{other}: not the private key of {certificate.chain}"),
        (certificate.chain, certificate.chain, f"{certificate.chain}: not a PEM private key"),
    ):
        with pytest.raises(ConfigError) as raised:
            ServerTls(b"imap", [CertificateFiles(chain, key)])
        assert str(raised.value).startswith(words)


def test_key_with_a_passphrase_is_refused_and_not_asked_for(certificate: Certificate, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    with pytest.raises(ConfigError, match=r"locked\.key: a passphrase"):
        ServerTls(b"imap", [CertificateFiles(certificate.chain, locked)])


def test_reload_shows_the_new_certificate_and_old_tickets_still_resume(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    old, new = authority.issue(), authority.issue()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def install(certificate: Certificate) -> None:
        chain.write_bytes(certificate.chain.read_bytes())
        key.write_bytes(certificate.key.read_bytes())

    install(old)
    tls = ServerTls(b"imap", [CertificateFiles(chain, key)])
    before, session = with_ticket(tls, SSL.Context(SSL.TLS_CLIENT_METHOD))
    assert shown(before) == old.leaf.serial_number
    install(new)
    tls._default._used = False  # the handshake above is a worker's; the master's context has seen none
    tls.reload()
    assert shown(MemoryPair(a_client(), tls.accept()).shake()) == new.leaf.serial_number
    again = a_client(context=before.client.get_context())
    again.set_session(session)
    assert facts(MemoryPair(again, tls.accept()).shake().server).resumed


def test_reload_of_a_bad_file_changes_nothing(authority: CertificateAuthority, tmp_path: Path) -> None:
    good, other = authority.issue(), authority.issue()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(good.chain.read_bytes())
    key.write_bytes(good.key.read_bytes())
    tls = ServerTls(b"imap", [CertificateFiles(chain, key)])
    chain.write_bytes(other.chain.read_bytes())
    with pytest.raises(ConfigError, match="not the private key"):
        tls.reload()
    assert shown(MemoryPair(a_client(), tls.accept()).shake()) == good.leaf.serial_number


# ---- versions, suites, renegotiation, tickets


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
def test_versions_before_1_2_are_refused(server_tls: ServerTls, version: int) -> None:
    client = a_client(context=only(version, b"ALL:@SECLEVEL=0"))
    with pytest.raises(SSL.Error) as raised:
        MemoryPair(client, server_tls.accept()).shake()
    assert tls_fault(raised.value) == "unsupported protocol"


def test_minimum_version_1_3_refuses_1_2(certificate: Certificate) -> None:
    tls = ServerTls(b"imap", [files(certificate)], SSL.TLS1_3_VERSION)
    with pytest.raises(SSL.Error):
        MemoryPair(a_client(context=only(SSL.TLS1_2_VERSION)), tls.accept()).shake()
    assert facts(MemoryPair(a_client(), tls.accept()).shake().server).version == "TLSv1.3"


def test_server_prefers_aes_128_whatever_the_client_prefers(server_tls: ServerTls) -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256")
    assert facts(MemoryPair(a_client(context=context), server_tls.accept()).shake().server).cipher == (
        "TLS_AES_128_GCM_SHA256"
    )
    older = only(SSL.TLS1_2_VERSION, b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256")
    agreed = facts(MemoryPair(a_client(context=older), server_tls.accept()).shake().server)
    assert (agreed.version, agreed.cipher) == ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")


@pytest.mark.parametrize("suite", [b"ECDHE-ECDSA-AES128-SHA", b"ECDHE-ECDSA-AES128-SHA256", b"AES128-GCM-SHA256"])
def test_suites_without_aead_or_forward_secrecy_are_refused(server_tls: ServerTls, suite: bytes) -> None:
    client = a_client(context=only(SSL.TLS1_2_VERSION, suite + b":@SECLEVEL=0"))
    with pytest.raises(SSL.Error) as raised:
        MemoryPair(client, server_tls.accept()).shake()
    assert tls_fault(raised.value) == "no shared cipher"


def test_ciphers_of_the_administrator_are_used_and_nonsense_is_refused(certificate: Certificate) -> None:
    tls = ServerTls(b"imap", [files(certificate)], ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    pair = MemoryPair(a_client(context=only(SSL.TLS1_2_VERSION)), tls.accept()).shake()
    assert facts(pair.server).cipher == "ECDHE-ECDSA-AES256-GCM-SHA384"
    with pytest.raises(ConfigError, match="ciphers 'nonsense'"):
        ServerTls(b"imap", [files(certificate)], ciphers="nonsense")


def test_renegotiation_is_refused(server_tls: ServerTls) -> None:
    pair = MemoryPair(a_client(context=only(SSL.TLS1_2_VERSION)), server_tls.accept()).shake()
    assert pair.client.renegotiate()
    with pytest.raises(SSL.WantReadError):
        pair.client.do_handshake()
    pair.carry()
    with pytest.raises(SSL.WantReadError):
        pair.server.recv(100)
    pair.carry()
    with pytest.raises(SSL.Error) as raised:
        pair.client.do_handshake()
    assert tls_fault(raised.value) == "no renegotiation"
    assert pair.server.total_renegotiations() == 0


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_tickets_resume_a_session_but_not_on_another_listener(
    server_tls: ServerTls, certificate: Certificate, version: int
) -> None:
    def resumed_by(tls: ServerTls) -> bool:
        context = only(version)
        _, session = with_ticket(server_tls, context)
        again = a_client(context=context)
        again.set_session(session)
        return facts(MemoryPair(again, tls.accept()).shake().server).resumed

    assert resumed_by(server_tls)
    assert not resumed_by(ServerTls(b"pop3", [files(certificate)]))


# ---- towards mail servers


def verified(server: ServerTls, authority: CertificateAuthority, name: str) -> str | None:
    """Why the client gives up; None: it does not."""
    client = connect(client_context(authority.path), name)
    try:
        MemoryPair(client, server.accept()).shake()
    except SSL.Error:
        return verify_fault(client)
    return None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("mail.example.test", None),
        ("MAIL.example.test.", None),
        ("a.wild.test", None),
        ("127.0.0.1", None),
        ("::1", None),
        ("a.b.wild.test", "hostname mismatch"),
        ("wild.test", "hostname mismatch"),
        ("partial1.test", "hostname mismatch"),
        ("other.example.test", "hostname mismatch"),
        ("common-name.test", "hostname mismatch"),
        ("127.0.0.2", "IP address mismatch"),
    ],
)
def test_name_is_verified_by_the_alternative_names_alone(
    authority: CertificateAuthority, name: str, fault: str | None
) -> None:
    certificate = authority.issue(
        "mail.example.test",
        "*.wild.test",
        "partial*.test",
        "127.0.0.1",
        "::1",
        subject={NameOID.COMMON_NAME: "common-name.test"},
    )
    assert verified(ServerTls(b"imap", [files(certificate)]), authority, name) == fault


def test_common_name_does_not_count_even_where_there_is_no_other(authority: CertificateAuthority) -> None:
    certificate = authority.issue("192.0.2.1", subject={NameOID.COMMON_NAME: "common-name.test"})
    tls = ServerTls(b"imap", [files(certificate)])
    assert verified(tls, authority, "common-name.test") == "hostname mismatch"
    assert verified(tls, authority, "192.0.2.1") is None


def test_certificate_of_another_authority_or_expired_is_refused(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    stranger = CertificateAuthority(tmp_path, "Another CA")
    foreign = ServerTls(b"imap", [files(stranger.issue("mail.example.test"))])
    assert "unknown authority" in str(verified(foreign, authority, "mail.example.test"))
    expired = authority.issue("mail.example.test", not_after=datetime.now(UTC) - timedelta(days=1))
    assert verified(ServerTls(b"imap", [files(expired)]), authority, "mail.example.test") == "certificate has expired"


def test_client_certificate_does_not_make_a_server(authority: CertificateAuthority) -> None:
    tls = ServerTls(b"imap", [files(authority.issue_client("mail.example.test"))])
    assert verified(tls, authority, "mail.example.test") == "unsuitable certificate purpose"


@pytest.mark.parametrize("name", ["", ".", "a b", "a\0.example.test", "mail.example.test\n", "*.wild.test", "x" * 64])
def test_what_is_no_name_is_not_connected_to(authority: CertificateAuthority, name: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        connect(client_context(authority.path), name)


def test_client_asks_for_the_name_by_sni_but_not_for_an_address(authority: CertificateAuthority) -> None:
    server = ServerTls(b"imap", [files(authority.issue())])
    for name, asked in (("localhost", "localhost"), ("127.0.0.1", None)):
        pair = MemoryPair(connect(client_context(authority.path), name), server.accept()).shake()
        assert facts(pair.server).server_name == asked


def test_client_refuses_old_versions(authority: CertificateAuthority) -> None:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_VERSION)
    context.set_max_proto_version(SSL.TLS1_1_VERSION)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    certificate = authority.issue()
    context.use_certificate_chain_file(str(certificate.chain))
    context.use_privatekey_file(str(certificate.key))
    server = SSL.Connection(context, None)
    server.set_accept_state()
    with pytest.raises(SSL.Error):
        MemoryPair(connect(client_context(authority.path), "localhost"), server).shake()


def test_client_context_names_a_file_it_cannot_use(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_bytes(b"nothing")
    for path in (tmp_path / "absent.pem", empty):
        with pytest.raises(ConfigError, match=path.name):
            client_context(path)
    client_context()  # what the system trusts
