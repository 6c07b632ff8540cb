"""Our login at the mail server, driven with a scripted one: what the client is told for each of its faults."""

import pytest
from OpenSSL import SSL

from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol import imap
from gateway.protocol import pop3
from gateway.protocol import smtp
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ProtocolSpec
from gateway.upstream.connect import Dialer
from gateway.upstream.connect import UpstreamTls
from gateway.upstream.login import MAX_FRAMES
from gateway.upstream.login import MailServers
from gateway.upstream.login import UpstreamSettings
from gateway.upstream.resolve import Resolver
from tests.support.memory import MemoryConnector

ALICE = MailLogin(b"alice", b"secret")
HOST = "192.0.2.5"


def servers(
    spec: ProtocolSpec, *scripts: bytes, mode: str = "none", names: dict[str, str] | None = None
) -> tuple[MailServers, MemoryConnector]:
    connector = MemoryConnector(list(scripts))
    tls = UpstreamTls(mode, SSL.Context(SSL.TLS_CLIENT_METHOD), names or {})
    settings = UpstreamSettings(25, tls, b"gw.example", 1.0, 1.0)
    return MailServers(spec, settings, Dialer(connector, Resolver())), connector


@pytest.mark.parametrize(
    ("spec", "script", "refusal"),
    [
        (pop3.SPEC, b"", Refusal.UPSTREAM_UNAVAILABLE),
        (pop3.SPEC, b"+OK\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        (pop3.SPEC, b"-ERR busy\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        (pop3.SPEC, b"HTTP/1.1 400 Bad Request\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        (pop3.SPEC, b"x" * 20_000, Refusal.UPSTREAM_UNAVAILABLE),
        (pop3.SPEC, b"+OK\r\n+OK\r\n-ERR no\r\n", Refusal.UPSTREAM_REJECTED),
        (pop3.SPEC, b"+OK\r\n+OK\r\n-ERR [SYS/TEMP] later\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        (imap.SPEC, b"* PREAUTH hello\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        (imap.SPEC, b"* BYE\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        (imap.SPEC, b"* OK\r\n" + b"* 1 EXISTS\r\n" * (MAX_FRAMES + 10), Refusal.UPSTREAM_UNAVAILABLE),
        (smtp.SPEC, b"421 busy\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        (smtp.SPEC, b"220-x\r\n" * (MAX_FRAMES + 10), Refusal.UPSTREAM_UNAVAILABLE),
        (smtp.SPEC, b"220 x\r\n250-x\r\n250 AUTH PLAIN\r\n535 5.7.8 no\r\n", Refusal.UPSTREAM_REJECTED),
        (smtp.SPEC, b"220 x\r\n250 x\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    ],
)
def test_every_fault_of_the_mail_server_is_a_refusal_and_closes(
    spec: ProtocolSpec, script: bytes, refusal: Refusal
) -> None:
    mail_servers, connector = servers(spec, script)
    with pytest.raises(Refused) as refused:
        mail_servers.log_in(HOST, ALICE)
    assert refused.value.refusal is refusal
    assert b"secret" not in str(refused.value).encode()
    assert all(upstream.closed for upstream in connector.opened)


def test_a_login_leaves_the_connection_open() -> None:
    mail_servers, connector = servers(pop3.SPEC, b"+OK\r\n+OK\r\n+OK\r\nleft")
    upstream, _ready = mail_servers.log_in(HOST, ALICE)
    assert upstream is connector.opened[0]
    assert not connector.opened[0].closed
    assert connector.opened[0].unread.take_all() == b"left"


def test_implicit_tls_comes_before_the_greeting_with_the_configured_name() -> None:
    mail_servers, connector = servers(pop3.SPEC, b"+OK\r\n+OK\r\n+OK\r\n", mode="implicit", names={HOST: "mx.example"})
    with pytest.raises(Refused):  # in this bench octets wait already, as they must not
        mail_servers.log_in(HOST, ALICE)
    assert connector.opened[0].written == b""


def test_starttls_with_octets_behind_the_agreement_says_nothing_secret() -> None:
    mail_servers, connector = servers(pop3.SPEC, b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n", mode="starttls")
    with pytest.raises(Refused) as refused:
        mail_servers.log_in(HOST, ALICE)
    assert refused.value.refusal is Refusal.UPSTREAM_UNAVAILABLE
    assert b"alice" not in connector.opened[0].written
    assert b"secret" not in connector.opened[0].written


def test_starttls_that_is_refused_is_never_a_login_in_clear() -> None:
    mail_servers, connector = servers(pop3.SPEC, b"+OK\r\n-ERR what\r\n+OK\r\n+OK\r\n", mode="starttls")
    with pytest.raises(Refused):
        mail_servers.log_in(HOST, ALICE)
    assert b"alice" not in connector.opened[0].written
