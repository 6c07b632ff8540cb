"""The engine's handshakes: what is agreed on, what is refused, and what clients do that browsers' tests do not."""

import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from typing import Any

import gevent
import gevent.subprocess
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from OpenSSL import SSL
from OpenSSL._util import lib

from gateway.outcome import EndReason
from gateway.transport.tls import CertificateFiles
from gateway.transport.tls import ServerTls
from tests.fastpath.sessions import GREETING
from tests.fastpath.sessions import Worker
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority
from tests.support.tls import KeyKind
from tests.unit.transport.peers import TlsPeer
from tests.unit.transport.peers import after
from tests.unit.transport.peers import fault
from tests.unit.transport.peers import reset
from tests.unit.transport.peers import soon

MakeWorker = Callable[..., Worker]
ROOT = Path(__file__).resolve().parents[2]


def client(adapt: Callable[[SSL.Context], object] = lambda _: None) -> SSL.Connection:
    """A client's connection over memory BIOs that trusts everybody."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    adapt(context)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    return connection


def greeted(worker: Worker, connection: SSL.Connection) -> TlsPeer:
    peer = TlsPeer(worker.connect(), connection).handshake()
    assert peer.receive_exactly(len(GREETING)) == GREETING
    return peer


def names(peer: TlsPeer) -> list[str]:
    """Those in the certificate that the server has shown."""
    certificate = peer.tls.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


@dataclass
class Prepared:
    """Contexts that a test has prepared, as ServerTls shows them to the engine."""

    certificates: list[tuple[SSL.Context, list[str], bytes | None]]
    alpn: bytes = b"imap"


def files(certificate: Certificate, name: str | None = None) -> CertificateFiles:
    return CertificateFiles(certificate.chain, certificate.key, name)


# ---- what is agreed on


@pytest.mark.parametrize(
    ("version", "cipher"),
    [
        (SSL.TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"),
        (SSL.TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ],
)
def test_facts_of_the_handshake(worker: Worker, version: int, cipher: str) -> None:
    connection = client(lambda context: context.set_max_proto_version(version))
    connection.set_alpn_protos([b"http/1.1", b"imap"])
    connection.set_tlsext_host_name(b"Mail.example.test")
    session = worker.serve_by_hand(greeted(worker, connection))
    facts = session.client.tls
    assert facts.version == connection.get_protocol_version_name()
    assert (facts.alpn, facts.server_name) == (b"imap", "mail.example.test")
    assert (facts.cipher, facts.resumed, facts.certificate_der) == (cipher, False, None)
    assert connection.get_alpn_proto_negotiated() == b"imap"
    session.close()


def test_client_without_alpn_and_sni_is_welcome(worker: Worker) -> None:
    session = worker.serve_by_hand(greeted(worker, client()))
    assert (session.client.tls.alpn, session.client.tls.server_name) == (None, None)
    session.close()


def test_foreign_alpn_gets_alert_120(worker: Worker) -> None:
    connection = client()
    connection.set_alpn_protos([b"http/1.1", b"ima", b"imaps"])
    peer = TlsPeer(worker.connect(), connection)
    assert "alert no application protocol" in str(fault(peer.handshake))
    soon(lambda: worker.early == [(EndReason.HANDSHAKE_FAILED, "no common application protocol")])
    peer.close()


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (None, "default.test"),
        (b"other.test", "default.test"),
        (b"mail.example.test", "mail.example.test"),
        (b"MAIL.Example.Test", "mail.example.test"),
        (b"a.wild.test", "*.wild.test"),
        (b"a.b.wild.test", "default.test"),
        (b"wild.test", "default.test"),
        (b".wild.test", "default.test"),
        (b"exact.wild.test", "exact.wild.test"),
    ],
)
def test_certificate_is_chosen_by_sni(
    make_worker: MakeWorker, authority: CertificateAuthority, asked: bytes | None, shown: str
) -> None:
    chosen = ["mail.example.test", "*.wild.test", "exact.wild.test"]
    tls = ServerTls(
        b"imap", [files(authority.issue("default.test")), *(files(authority.issue(name), name) for name in chosen)]
    )
    connection = client()
    if asked is not None:
        connection.set_tlsext_host_name(asked)
    peer = greeted(make_worker(tls=tls), connection)
    assert names(peer) == [shown]
    peer.close()


def test_kind_of_key_follows_the_client(make_worker: MakeWorker, authority: CertificateAuthority) -> None:
    pair = [authority.issue("mail.test", key_kind=kind) for kind in (KeyKind.RSA, KeyKind.ECDSA)]
    worker = make_worker(tls=ServerTls(b"imap", [files(one) for one in pair]))
    for algorithms, kind in ((b"RSA-PSS+SHA256", "RSAPublicKey"), (b"ECDSA+SHA256", "ECPublicKey")):
        peer = greeted(worker, client(lambda context, wanted=algorithms: accept_signatures(context, wanted)))
        certificate = peer.tls.get_peer_certificate(as_cryptography=True)
        assert type(certificate.public_key()).__name__ == kind
        peer.close()


def accept_signatures(context: SSL.Context, algorithms: bytes) -> None:
    assert lib.SSL_CTX_set1_sigalgs_list(context._context, algorithms) == 1


def test_ocsp_response_is_stapled_for_those_who_ask(
    make_worker: MakeWorker, certificate: Certificate, server_tls: ServerTls
) -> None:
    response = an_ocsp_response(certificate)
    ((context, _, _),) = server_tls.certificates
    worker = make_worker(tls=Prepared([(context, [], response)]))
    stapled: list[bytes] = []

    def ask(context: SSL.Context) -> None:
        context.set_ocsp_client_callback(lambda _, octets, __: stapled.append(octets) or True)

    asking = client(ask)
    asking.request_ocsp()
    for connection in (asking, client()):
        greeted(worker, connection).close()
    assert stapled == [response]


def an_ocsp_response(certificate: Certificate) -> bytes:
    issuer, key = certificate.leaf, serialization.load_pem_private_key(certificate.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate.leaf,
        issuer=issuer,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now,
        next_update=now + timedelta(1),
        revocation_time=None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("version", [SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION])
def test_client_certificate_is_given_as_der(
    make_worker: MakeWorker, authority: CertificateAuthority, certificate: Certificate, version: int
) -> None:
    tls = ServerTls(b"imap", [files(certificate)])
    tls.certificates[0][0].load_verify_locations(str(authority.path))
    tls.certificates[0][0].set_verify(SSL.VERIFY_PEER, None)
    user = authority.issue_client("alice")

    def show(context: SSL.Context) -> None:
        context.set_max_proto_version(version)
        context.use_certificate_chain_file(str(user.chain))
        context.use_privatekey_file(str(user.key))

    worker = make_worker(tls=tls)
    session = worker.serve_by_hand(greeted(worker, client(show)))
    assert session.client.tls.certificate_der == user.leaf.public_bytes(serialization.Encoding.DER)
    session.close()


def test_client_certificate_of_another_authority_is_refused(
    make_worker: MakeWorker, authority: CertificateAuthority, certificate: Certificate, tmp_path: Path
) -> None:
    tls = ServerTls(b"imap", [files(certificate)])
    tls.certificates[0][0].load_verify_locations(str(authority.path))
    tls.certificates[0][0].set_verify(SSL.VERIFY_PEER, None)
    stranger = CertificateAuthority(tmp_path, "Another CA").issue_client("mallory")

    def show(context: SSL.Context) -> None:
        context.use_certificate_file(str(stranger.chain))
        context.use_privatekey_file(str(stranger.key))

    worker = make_worker(tls=tls)
    peer = TlsPeer(worker.connect(), client(show))
    fault(lambda: (peer.handshake(), peer.receive()))
    soon(lambda: bool(worker.early))
    reason, detail = worker.early[0]
    assert reason is EndReason.HANDSHAKE_FAILED
    assert "unknown authority" in detail
    peer.close()


# ---- resumption


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_tickets_work_across_workers_and_after_a_reload(
    tmp_path: Path, authority: CertificateAuthority, version: ssl.TLSVersion
) -> None:
    """In a process of its own: workers are forked before there is a hub."""
    script = """
        import os, shutil, socket, ssl, sys
        from pathlib import Path
        import gevent
        from gateway.transport.engine import Endpoint, Transport
        from gateway.transport.tls import CertificateFiles, ServerTls

        directory, version = Path(sys.argv[1]), ssl.TLSVersion[sys.argv[2]]
        tls = ServerTls(b"imap", [CertificateFiles(directory / "chain.pem", directory / "key.pem")])

        def worker():
            listener = socket.create_server(("127.0.0.1", 0))
            if os.fork() == 0:
                transport = Transport(print)
                transport.listen(listener, Endpoint(
                    tls=tls, greeting=b"* OK\\r\\n", farewell=lambda _: b"", handshake_timeout_s=5, login_timeout_s=5,
                    on_session=lambda client: client.close(b"%d\\r\\n" % client.tls.resumed), on_end_early=print))
                gevent.sleep(20)
                os._exit(1)
            return listener.getsockname()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version

        def visit(address, session=None):
            with context.wrap_socket(socket.create_connection(address), session=session) as end:
                greeting = end.recv(100)
                end.sendall(b"a\\r\\n")
                told = end.recv(100)
                assert (told == b"1\\r\\n") is end.session_reused, told
                return end.session_reused, end.session, end.getpeercert(True)

        one, two = worker(), worker()
        reused, session, certificate = visit(one)
        assert not reused
        assert visit(two, session)[0], "another worker"
        for name in ("chain.pem", "key.pem"):
            shutil.copy(directory / f"new-{name}", directory / name)
        tls.reload()
        three = worker()
        reused, session, _ = visit(three, visit(one)[1])
        assert reused, "after a reload"
        assert visit(three)[2] != certificate, "a new certificate"
        print("done")
        os.killpg(0, 9)
    """
    for prefix in ("", "new-"):
        issued = authority.issue("mail.test")
        (tmp_path / f"{prefix}chain.pem").write_bytes(issued.chain.read_bytes())
        (tmp_path / f"{prefix}key.pem").write_bytes(issued.key.read_bytes())
    done = subprocess.run(
        [sys.executable, "-u", "-c", textwrap.dedent(script), str(tmp_path), version.name],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
    )
    assert done.stdout.startswith("done"), done.stdout + done.stderr


# ---- handshakes that are not of the usual shape


@pytest.mark.parametrize("version", [SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION])
@pytest.mark.parametrize("piece_octets", [1, 37])
def test_handshake_that_dribbles_within_the_deadline_succeeds(worker: Worker, version: int, piece_octets: int) -> None:
    class Dribbling:
        """Sends a few octets at a time."""

        def __init__(self, end: Any) -> None:
            self.recv, self.close, self.end = end.recv, end.close, end

        def sendall(self, octets: bytes) -> None:
            for at in range(0, len(octets), piece_octets):
                self.end.sendall(octets[at : at + piece_octets])
                gevent.sleep(0)

    peer = TlsPeer(Dribbling(worker.connect()), client(lambda context: context.set_max_proto_version(version)))
    peer.handshake()
    assert peer.receive_exactly(len(GREETING)) == GREETING
    session = worker.serve_by_hand(peer)
    peer.send(b"a NOOP\r\n")
    assert session.client.read_line(100, after(2)) == b"a NOOP"
    session.close()


def test_handshake_that_dribbles_ends_at_the_deadline(hasty: Worker) -> None:
    end = hasty.connect()

    def dribble() -> None:
        end.sendall(b"\x16\x03\x01\x02\x00")
        while True:
            end.sendall(b"\x01")
            gevent.sleep(0.005)

    dribbling = gevent.spawn(fault, dribble)
    soon(lambda: hasty.early == [(EndReason.HANDSHAKE_TIMEOUT, "")])
    dribbling.kill()
    end.close()


def test_line_in_the_segment_of_finished_is_not_lost(worker: Worker) -> None:
    peer = TlsPeer(worker.connect())
    assert fault(peer.tls.do_handshake) is not None
    peer.flush()
    while fault(peer.tls.do_handshake) is not None:
        peer.tls.bio_write(peer.socket.recv(1 << 16))
    finished = peer.written()
    peer.tls.send(b"a LOGIN u p\r\nb NO")
    peer.socket.sendall(finished + peer.written())
    session_client = worker.next_client()
    session_client.own()
    assert session_client.read_line(100, after(1)) == b"a LOGIN u p"
    peer.send(b"OP\r\n")
    assert session_client.read_line(100, after(1)) == b"b NOOP"
    session_client.close()
    peer.close()


def test_hello_retry_request(make_worker: MakeWorker, certificate: Certificate) -> None:
    tls = ServerTls(b"imap", [files(certificate), files(certificate, "mail.example.test")])
    for context, _, _ in tls.certificates:
        assert lib.SSL_CTX_set1_curves_list(context._context, b"P-256") == 1
    worker = make_worker(tls=tls)
    connection = client(lambda context: lib.SSL_CTX_set1_curves_list(context._context, b"X25519:P-256"))
    connection.set_alpn_protos([b"imap"])
    connection.set_tlsext_host_name(b"mail.example.test")
    peer = greeted(worker, connection)
    assert connection.get_group_name() in ("P-256", "secp256r1", "prime256v1")
    session = worker.serve_by_hand(peer)
    assert session.client.tls.alpn == b"imap"
    session.close()


def test_renegotiation_is_refused(worker: Worker) -> None:
    connection = client(lambda context: context.set_max_proto_version(SSL.TLS1_2_VERSION))
    peer = greeted(worker, connection)
    assert connection.renegotiate()
    assert "no renegotiation" in str(fault(lambda: (peer.handshake(), peer.receive())))
    peer.close()


@pytest.mark.parametrize("command", ["k", "K"], ids=["KeyUpdate", "KeyUpdate with request"])
def test_key_update(worker: Worker, command: str) -> None:
    program = gevent.subprocess.Popen(
        ["openssl", "s_client", "-connect", "{}:{}".format(*worker.address), "-tls1_3", "-noservername"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with program:
        program.stdin.write(b"first\n")
        program.stdin.flush()
        session_client = worker.next_client()
        session_client.own()
        assert session_client.read_line(100, after(2)) == b"first"
        for number in range(3):
            program.stdin.write(f"{command}\n".encode())
            program.stdin.flush()
            gevent.sleep(0.05)  # a command is one only where it is all that s_client reads at once
            program.stdin.write(b"line %d\n" % number)
            program.stdin.flush()
            assert session_client.read_line(100, after(2)) == b"line %d" % number
            session_client.write(b"answer %d\r\n" % number)
        session_client.close(b"* BYE\r\n")
        output = program.stdout.read()
    assert b"KEYUPDATE" in output
    assert output.index(b"answer 0") < output.index(b"answer 2") < output.index(b"* BYE")


@pytest.mark.parametrize(
    ("octets", "detail"),
    [
        (b"a001 LOGIN user password\r\n", "octets that are not TLS"),
        (b"POST /?a HTTP/1.1\r\nHost: x\r\n\r\n", "an HTTP request instead of TLS"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 993\r\n", "a PROXY header instead of TLS"),
        (b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\0\0", "a PROXY header instead of TLS"),
        (b"\0", "octets that are not TLS"),
        (b"\x80\x2e\x01\x03\x01", "octets that are not TLS"),  # a hello of SSL 2
    ],
)
def test_what_is_not_tls_is_answered_by_silence(worker: Worker, octets: bytes, detail: str) -> None:
    end = worker.connect()
    end.sendall(octets)
    soon(lambda: worker.early == [(EndReason.NOT_THIS_PROTOCOL, detail)])
    assert end.recv(100) == b""
    end.close()


@pytest.mark.parametrize(
    "octets",
    [b"\x16\x03\x01\x00\x05abcde", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x16" * 50, b"\x15\x03\x03\0\2\2\x28"],
)
def test_broken_tls_fails_the_handshake(worker: Worker, octets: bytes) -> None:
    end = worker.connect()
    end.sendall(octets)
    soon(lambda: bool(worker.early))
    assert worker.early[0][0] is EndReason.HANDSHAKE_FAILED
    end.close()


def test_old_versions_are_refused(worker: Worker) -> None:
    def adapt(context: SSL.Context) -> None:
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")

    peer = TlsPeer(worker.connect(), client(adapt))
    assert isinstance(fault(peer.handshake), SSL.Error)
    soon(lambda: worker.early == [(EndReason.HANDSHAKE_FAILED, "unsupported protocol")])
    peer.close()


def test_client_that_rejects_the_certificate(worker: Worker) -> None:
    peer = TlsPeer(worker.connect(), client(lambda context: context.set_verify(SSL.VERIFY_PEER)))
    fault(peer.handshake)
    peer.flush()
    soon(lambda: bool(worker.early))
    reason, detail = worker.early[0]
    assert reason is EndReason.HANDSHAKE_FAILED
    assert "alert unknown ca" in detail
    peer.close()


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (lambda far: far.close(), (EndReason.CLIENT_CLOSED, "before the handshake")),
        (lambda far: (far.sendall(b"\x16\x03\x01"), far.close()), (EndReason.CLIENT_CLOSED, "in the handshake")),
        (reset, (EndReason.CLIENT_LOST, "Connection reset by peer")),
        (
            lambda far: (far.sendall(b"\x16\x03\x01"), gevent.sleep(0.01), reset(far)),
            (EndReason.CLIENT_LOST, "Connection reset by peer"),
        ),
    ],
)
def test_client_that_leaves_in_the_handshake(
    worker: Worker, leave: Callable[[Any], object], reason: tuple[EndReason, str]
) -> None:
    end = worker.connect()
    gevent.sleep(0.01)
    leave(end)
    soon(lambda: worker.early == [reason])
    assert worker.transport.live == 0


def test_random_octets_after_a_good_beginning_do_no_harm(worker: Worker) -> None:
    """Every prefix of a hello, then rubbish: the engine answers with an alert or closes, and goes on serving."""
    hello = client()
    assert fault(hello.do_handshake) is not None
    octets = hello.bio_read(1 << 16)
    for at in range(0, len(octets), 7):
        end = worker.connect()
        end.sendall(octets[:at] + bytes(range(256)) * 2)
        end.shutdown(1)
        fault(lambda far=end: [far.recv(1 << 16) for _ in range(3)])
        end.close()
    soon(lambda: worker.transport.live == 0)
    greeted(worker, client()).close()
