"""The raw connection of the tests, both ends of it, plain and TLS."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fakes import FakeUpstream
from tests.support.fakes import Step
from tests.support.fakes import echo
from tests.support.fakes import expect
from tests.support.fakes import expect_end
from tests.support.fakes import ignore_everything
from tests.support.fakes import say
from tests.support.fakes import say_slowly
from tests.support.fakes import silence
from tests.support.fakes import start_tls
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority
from tests.support.wire import End
from tests.support.wire import Wire
from tests.support.wire import WireError
from tests.support.wire import connect
from tests.support.wire import connect_tls

TIMEOUT_S = 2.0


@pytest.fixture(params=["plain", "tls"])
def ends(request: pytest.FixtureRequest, ca: CertificateAuthority, certificate: Certificate) -> Iterator["Ends"]:
    """Makes a client and the fake server it is connected to."""
    ends = Ends(ca, certificate.server_context() if request.param == "tls" else None)
    yield ends
    ends.close()


class Ends:
    def __init__(self, ca: CertificateAuthority, context: ssl.SSLContext | None) -> None:
        self.ca, self.context = ca, context
        self.upstream: FakeUpstream | None = None
        self.client: Wire | None = None

    def of(self, *script: Step) -> Wire:
        self.upstream = FakeUpstream(*script, context=self.context, timeout_s=TIMEOUT_S)
        if self.context is None:
            self.client = connect(self.upstream.port, timeout_s=TIMEOUT_S)
        else:
            self.client = connect_tls(self.upstream.port, self.ca.client_context(), timeout_s=TIMEOUT_S)
        return self.client

    def close(self) -> None:
        assert self.client is not None
        assert self.upstream is not None
        self.client.close()
        self.upstream.close()


def test_read_until_when_octets_come_one_by_one_then_the_line(ends: Ends) -> None:
    client = ends.of(say_slowly(b"* OK hello\r\n* more\r\n", 0.001), silence())
    assert client.read_line() == b"* OK hello\r\n"
    assert client.read(3) == b"* m"
    assert client.read_until(b"\n") == b"ore\r\n"


def test_read_when_nothing_comes_then_error_with_what_there_is(ends: Ends) -> None:
    client = ends.of(say(b"half a li"), silence())
    client.timeout_s = 0.1
    with pytest.raises(WireError, match="half a li"):
        client.read_line()


def test_expect_when_an_octet_differs_then_fails_at_once(ends: Ends) -> None:
    client = ends.of(say(b"* OX"), silence())
    with pytest.raises(AssertionError, match=r"\* OX"):
        client.expect(b"* OK and more that never comes\r\n")


def test_end_when_the_server_closes_then_tells_how(ends: Ends) -> None:
    client = ends.of(say(b"bye\r\n"))
    assert client.read_to_end() == b"bye\r\n"
    assert client.end is (End.FIN if ends.context is None else End.CLOSE_NOTIFY)


def test_end_when_the_server_cuts_then_fin(ends: Ends) -> None:
    client = ends.of(say(b"bye\r\n"), Wire.cut)
    assert client.read_to_end() == b"bye\r\n"
    assert client.end is End.FIN


def test_reset_then_connection_reset(ends: Ends) -> None:
    client = ends.of(say(b"hello\r\n"), expect(b"x"), Wire.reset)
    client.read_line()
    client.send(b"x")
    with pytest.raises(ConnectionResetError):
        client.read_to_end()


def test_half_close_then_answers_are_still_read(ends: Ends) -> None:
    client = ends.of(expect(b"all I say"), expect_end(), say(b"understood"))
    client.send(b"all I say")
    client.half_close()
    assert client.read_to_end() == b"understood"


def test_echo_when_more_than_the_buffers_hold_then_equal(ends: Ends) -> None:
    client = ends.of(echo())
    data = bytes(range(256)) * 256
    for _ in range(8):
        client.send(data)
        assert client.read(len(data)) == data


def test_expect_silence_when_something_comes_then_fails(ends: Ends) -> None:
    client = ends.of(expect(b"x"), say(b"y"), silence())
    client.expect_silence(0.05)
    client.send(b"x")
    with pytest.raises(AssertionError, match="expected silence"):
        client.expect_silence(TIMEOUT_S)


def test_ignoring_server_then_writes_stop(ends: Ends) -> None:
    client = ends.of(ignore_everything())
    client.timeout_s = 0.2
    with pytest.raises(TimeoutError):
        client.send(bytes(64 << 20))


def test_handshake_octet_by_octet_then_works(ca: CertificateAuthority, certificate: Certificate) -> None:
    upstream = FakeUpstream(echo(), context=certificate.server_context())
    with upstream, connect_tls(upstream.port, ca.client_context(), octet_by_octet=True) as client:
        client.send_octet_by_octet(b"hello")
        assert client.read(5) == b"hello"


def test_certificate_when_the_name_is_another_then_refused(ca: CertificateAuthority, certificate: Certificate) -> None:
    with FakeUpstream(silence(), context=certificate.server_context()) as upstream:
        with pytest.raises(ssl.SSLCertVerificationError):
            connect_tls(upstream.port, ca.client_context(), server_name="other.example.test")
        with pytest.raises(AssertionError, match="script of a fake upstream failed"):
            upstream.wait_until_played()
        upstream.forget_failures()


def test_start_tls_when_octets_are_injected_behind_the_answer_then_they_are_not_tls(
    ca: CertificateAuthority, certificate: Certificate
) -> None:
    injected = (expect(b"a STARTTLS\r\n"), say(b"a OK\r\n* injected\r\n"))
    upstream = FakeUpstream(*injected, start_tls(certificate.server_context()), say(b"inside"))
    with upstream, connect(upstream.port) as client:
        client.send(b"a STARTTLS\r\n")
        client.expect(b"a OK\r\n* injected\r\n")
        client.start_tls(ca.client_context(), server_name="localhost")
        assert client.read_to_end() == b"inside"


def test_failing_script_then_close_raises_it() -> None:
    upstream = FakeUpstream(expect(b"LOGIN"))
    with connect(upstream.port) as client:
        client.send(b"LOGOUT")
        assert client.read_to_end() == b""
    with pytest.raises(AssertionError, match="LOGO"):
        upstream.close()


def test_client_certificate_then_the_server_sees_its_name(ca: CertificateAuthority, certificate: Certificate) -> None:
    context = certificate.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.path)
    user = ca.issue_client("alice", email="alice@example.test")
    upstream = FakeUpstream(echo(), context=context)
    with upstream, connect_tls(upstream.port, ca.client_context(user)) as client:
        client.send(b"x")
        client.expect(b"x")
        tls = upstream.wires[0].tls
        assert tls is not None
        shown = tls.getpeercert()
        assert shown is not None
        assert shown["subject"] == ((("commonName", "alice"),),)


def test_revoked_client_certificate_then_refused(
    ca: CertificateAuthority, certificate: Certificate, tmp_path: Path
) -> None:
    context = certificate.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.load_verify_locations(ca.path)
    revoked, good = ca.issue_client("mallory"), ca.issue_client("alice")
    context.load_verify_locations(ca.revoke([revoked], tmp_path / "crl.pem"))
    with FakeUpstream(say(b"in"), context=context) as upstream:
        with connect_tls(upstream.port, ca.client_context(good)) as client:
            assert client.read_to_end() == b"in"
        with pytest.raises(ssl.SSLError, match="revoked"):
            read_two_octets(upstream.port, ca.client_context(revoked))
        upstream.wait_for_connection(2)
        upstream.forget_failures()


def read_two_octets(port: int, context: ssl.SSLContext) -> None:
    """TLS 1.3 reports a refused client certificate only when the client reads."""
    with connect_tls(port, context) as client:
        client.read(2)
