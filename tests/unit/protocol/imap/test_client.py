"""IMAP, CLIENT role: the credentials arrive whole and once, and a hostile mail server gets nowhere."""

from itertools import product

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.errors import ProtocolError
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from gateway.protocol.imap import SPEC
from tests.support.conversation import ClientDriver
from tests.support.conversation import ServerDriver

SETTINGS = ClientSettings(b"gateway.example.com")
ALICE = MailLogin(b"alice", b"secret")
READY = UpstreamReady((b"IMAP4rev1", b"IDLE"))
MAIL_SERVERS = [
    ServerSettings(b"mail.example.com", (b"IMAP4rev1", *capabilities), mechanisms)
    for capabilities, mechanisms in product(
        [(), (b"LITERAL+",), (b"SASL-IR",), (b"LITERAL+", b"SASL-IR")], [(), ("LOGIN",), ("PLAIN",)]
    )
]
CREDENTIALS = st.binary(min_size=1, max_size=1500).filter(lambda octets: not frozenset(b"\0\r\n").intersection(octets))
HOSTILE = [b'"', b'\\"', b"\\", b"{5}", b"{5+}", b"a b", b" ", b"\t", b"\xe2\x80\xa8", b"\xff\xfe", b"NIL", b"*"]
HOSTILE += [b"x" * 255, b"x" * 256, b"\xff" * 1024, b'"' * 1024, b")(", b"~{1}", b"%s%n", b"\x7f", b"\x1b[2J"]


def log_in(mail_server: ServerSettings, login: MailLogin) -> tuple[ServerDriver, ClientDriver]:
    """Our client logs in to our server, which accepts."""
    server = ServerDriver(SPEC.server(mail_server))
    client = ClientDriver(SPEC.client(SETTINGS, login))
    heard = sent = 0
    while True:
        said = b"".join(item for item in server.output.items if isinstance(item, bytes))
        client.feed(said[heard:])
        heard = len(said)
        replied = b"".join(item for item in client.output.items if isinstance(item, bytes))
        if sent == len(replied):
            return server, client
        server.feed(replied[sent:])
        sent = len(replied)
        if server.is_deciding:
            server.decide(READY)


def expect_one_login(mail_server: ServerSettings, login: MailLogin) -> None:
    server, client = log_in(mail_server, login)
    events = [item for item in server.output.items if not isinstance(item, bytes | UserNamed)]
    said = b"".join(item for item in server.output.items if isinstance(item, bytes))
    assert len(events) == 1
    assert isinstance(events[0], LoginAttempt)
    assert (events[0].authcid, events[0].password, events[0].authzid) == (login.user, login.password, b"")
    assert b" BAD " not in said
    assert b" NO " not in said
    assert server.unread == b""
    assert client.output.items[-1] == LoggedIn(READY)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(MAIL_SERVERS), CREDENTIALS, CREDENTIALS)
@example(MAIL_SERVERS[0], b"u" * 1024, b"p" * 4096)
@example(MAIL_SERVERS[-1], b"\xff" * 1024, b"\xff" * 4096)
@example(MAIL_SERVERS[0], b'"' * 1024, b"\\" * 4096)
def test_a_mail_server_gets_exactly_one_login_with_exactly_these_octets(
    mail_server: ServerSettings, user: bytes, password: bytes
) -> None:
    expect_one_login(mail_server, MailLogin(user, password))


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: repr(hostile[:12]))
def test_hostile_credentials_are_octets_like_others(hostile: bytes) -> None:
    for mail_server in MAIL_SERVERS:
        expect_one_login(mail_server, MailLogin(hostile, b"secret"))
        expect_one_login(mail_server, MailLogin(b"alice", hostile))


@pytest.mark.parametrize("octets", [b"a\r\nNOOP", b"a\nb", b"a\rb", b"a\0b", b"{5+}\r\n", b""], ids=repr)
def test_nul_cr_lf_and_nothing_are_refused_before_anything_is_sent(octets: bytes) -> None:
    for login in (MailLogin(octets, b"secret"), MailLogin(b"alice", octets)):
        with pytest.raises(Refused) as refused:
            SPEC.client(SETTINGS, login)
        assert refused.value.refusal is Refusal.BAD_CREDENTIALS


def test_a_login_without_a_password_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        SPEC.client(SETTINGS, MailLogin(b"alice", None))
    assert refused.value.refusal is Refusal.UPSTREAM_UNAVAILABLE


FRAGMENTS = st.sampled_from(
    [
        b"* OK ready\r\n",
        b"* OK [CAPABILITY LITERAL+] ready\r\n",
        b"* OK [CAPABILITY AUTH=PLAIN] ready\r\n",
        b"* OK " + b"x" * 8000 + b"\r\n",
        b"* CAPABILITY SASL-IR AUTH=PLAIN\r\n",
        b"* CAPABILITY LOGINDISABLED\r\n",
        b"* NO\r\n" * 30,
        b"* BYE\r\n",
        b"* PREAUTH x\r\n",
        b"* X {3}\r\n",
        b"g1 OK x\r\n",
        b"g2 OK x\r\n",
        b"g2 NO\r\n",
        b"g3 OK x\r\n",
        b"g3 OK [CAPABILITY IMAP4rev1] in\r\n",
        b"g3 NO\r\n",
        b"g3 NO [LIMIT] x\r\n",
        b"g4 OK x\r\n",
        b"+ \r\n",
        b"+\r\n",
        b"\r\n",
        b"\0",
        b"* ",
        b"g3 ",
        b"[",
        b"]",
        b"x" * 9000,
    ]
)
LOGINS = [ALICE, MailLogin(b"\xc3\xa4lice", b'sec"ret')]


@settings(deadline=None, max_examples=400)
@given(
    st.lists(FRAGMENTS | st.binary(max_size=12), max_size=20).map(lambda rest: b"".join([b"* OK ready\r\n", *rest])),
    st.integers(1, 40),
    st.sampled_from(LOGINS),
)
def test_any_mail_server_in_any_pieces_leads_to_the_same(stream: bytes, size: int, login: MailLogin) -> None:
    """The driver lets through only Refused, ProtocolError and FrameTooLong."""
    whole, pieces = ClientDriver(SPEC.client(SETTINGS, login)), ClientDriver(SPEC.client(SETTINGS, login))
    whole.feed(stream)
    for start in range(0, len(stream), size):
        pieces.feed(stream[start : start + size])
    assert pieces.output.items == whole.output.items


@pytest.mark.parametrize(
    "answer",
    [
        *(
            b"g3 NO [secret] secret",
            b"g3 BAD secret",
            b"g3 secret",
            b"* BYE [secret] secret",
            b"secret",
            b"* secret {5}",
        ),
        *(b"+ secret", b"secret OK", b"g3 NO [LIMIT] secret"),
    ],
    ids=repr,
)
def test_a_mail_server_cannot_put_the_password_into_an_error(answer: bytes) -> None:
    dialogue = SPEC.client(SETTINGS, ALICE)
    step = dialogue.receive(b"* OK [CAPABILITY IMAP4rev1] ready")
    assert b"secret" in step.send
    assert "secret" not in repr(step)
    with pytest.raises(GatewayError) as error:
        dialogue.receive(answer)
    assert "secret" not in str(error.value)
    assert isinstance(error.value, Refused | ProtocolError)


def test_octets_ahead_of_starttls_are_not_believed() -> None:
    """A man in the middle adds an answer to our LOGIN; it comes before TLS, where that tag was never used."""
    dialogue = SPEC.client(ClientSettings(b"gateway.example.com", start_tls=True), ALICE)
    assert dialogue.receive(b"* OK [CAPABILITY IMAP4rev1] ready").send == b"g1 STARTTLS\r\n"
    assert dialogue.receive(b"g1 OK go").send == b""
    with pytest.raises(ProtocolError):
        dialogue.receive(b"g2 OK [CAPABILITY AUTH=EVIL] x")
