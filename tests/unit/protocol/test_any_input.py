"""Any octets in any pieces: replies, events and at worst `Closed` or a planned exception, the same for any pieces."""

from base64 import b64encode
from itertools import pairwise
from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gateway.errors import ProtocolError
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol.base import ClientDialogue
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import Closed
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import StartTls
from gateway.protocol.registry import PROTOCOLS
from tests.support.conversation import ClientDriver
from tests.support.conversation import Happening
from tests.support.conversation import ServerDriver

PLAIN_MESSAGE: Final = b64encode(b"\0alice\0secret")
CLIENT_WORDS: Final = (
    *(b"USER alice", b"PASS secret", b"AUTH", b"CAPA", b"STLS", b"QUIT", b"NOOP", b"RSET", b"STARTTLS", b"BDAT 5"),
    *(b"EHLO x", b"HELO x", b"MAIL FROM:<>", b"AUTH PLAIN ", b"AUTH LOGIN", b"*", b"=", PLAIN_MESSAGE),
    *(b"a LOGIN alice secret", b'b LOGIN "al\\"ice" {6}', b"c LOGIN {5+}", b"alice", b" {6+}", b"secret", b"("),
    *(b"d AUTHENTICATE PLAIN", b"e AUTHENTICATE LOGIN", b"f CAPABILITY", b"g ID (", b'"', b"{0}", b"GET / HTTP/1.1"),
)
SERVER_WORDS: Final = (
    *(b"+OK", b"-ERR", b"+ ", b"SASL PLAIN", b".", b"-ERR [IN-USE]"),
    *(b"220 x", b"220-x", b"250 x", b"250-AUTH PLAIN", b"250 AUTH LOGIN", b"250-STARTTLS", b"334 ", b"235 x", b"535 x"),
    *(b"* OK x", b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x", b"* CAPABILITY IMAP4rev1 STARTTLS", b"* BYE"),
    *(b"* PREAUTH x", b"g1 OK", b"g3 OK x", b"g3 NO x", b"{3}", b"", b" ", b"-"),
)
# How far a login may have come before the mail server says anything.
SERVER_BEGINNINGS: Final = (
    b"",
    b"+OK\r\n",
    b"+OK\r\n+OK\r\n",
    b"+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n",
    b"220 x\r\n",
    b"220 x\r\n250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
    b"220 x\r\n250-x\r\n250 AUTH LOGIN\r\n334 x\r\n",
    b"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED] x\r\n",
)
USER: Final = b"alice-of-long-name"
SECRET: Final = b"hunter2 hunter2"
LOGINS: Final = (MailLogin(USER, SECRET), MailLogin(USER, SECRET + b"\xff"), MailLogin(USER, SECRET * 40))
REPEATING: Final = (
    b"%s",
    b"-ERR [%s] x",
    b"-ERR [IN-USE] %s",
    b"535-%s",
    b"* NO [%s] x",
    b"* BYE [%s] x",
    b"g3 NO [%s] x",
)

every_protocol = pytest.mark.parametrize("spec", PROTOCOLS.values(), ids=PROTOCOLS)


def octets_of(words: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    separators = st.sampled_from((b"\r\n", b"\r\n", b"\n", b" ", b"", b"\r", b"\0"))
    parts = st.tuples(st.sampled_from(words) | st.binary(max_size=12), separators)
    return st.lists(parts, max_size=30).map(lambda lines: b"".join(word + end for word, end in lines))


@st.composite
def pieces_of(
    draw: st.DrawFn, words: tuple[bytes, ...], beginnings: tuple[bytes, ...] = (b"",)
) -> tuple[bytes, list[bytes]]:
    octets = draw(st.sampled_from(beginnings)) + draw(octets_of(words))
    places = draw(st.lists(st.integers(0, len(octets)), max_size=10))
    return octets, [octets[start:end] for start, end in pairwise(sorted((0, *places, len(octets))))]


def serve(spec: ProtocolSpec, pieces: list[bytes]) -> list[bytes | Happening]:
    """All that a server dialogue says and announces when every login is refused."""
    driver = ServerDriver(spec.server(ServerSettings(b"mail.example.org", (b"SIZE",))))
    for piece in pieces:
        driver.feed(piece)
        while driver.is_deciding:
            driver.decide(Refusal.BAD_CREDENTIALS)
    return driver.output.items


def ask(spec: ProtocolSpec, login: MailLogin, pieces: list[bytes], *, start_tls: bool) -> list[bytes | Happening]:
    """All that a client dialogue says and announces; it stops at StartTls."""
    client_settings = ClientSettings(b"gateway.example.org", start_tls)
    driver = ClientDriver(spec.client(client_settings, login))
    for piece in pieces:
        driver.feed(piece)
    return driver.output.items


def said(items: list[bytes | Happening]) -> bytes:
    return b"".join(item for item in items if isinstance(item, bytes))


@every_protocol
@settings(deadline=None)
@given(stream=pieces_of(CLIENT_WORDS))
def test_client_may_send_anything_in_any_pieces(spec: ProtocolSpec, stream: tuple[bytes, list[bytes]]) -> None:
    octets, pieces = stream
    items = serve(spec, [octets])
    assert serve(spec, pieces) == items
    assert all(not isinstance(item, Closed) for item in items[:-1])
    assert all(line.isascii() and line.decode().isprintable() for line in said(items).split(b"\r\n"))


@every_protocol
@settings(deadline=None)
@given(stream=pieces_of(SERVER_WORDS, SERVER_BEGINNINGS), login=st.sampled_from(LOGINS), start_tls=st.booleans())
def test_mail_server_may_send_anything_in_any_pieces(
    spec: ProtocolSpec, stream: tuple[bytes, list[bytes]], login: MailLogin, start_tls: bool
) -> None:
    octets, pieces = stream
    items = ask(spec, login, [octets], start_tls=start_tls)
    assert ask(spec, login, pieces, start_tls=start_tls) == items
    if start_tls:
        beginnings = (USER, SECRET, b64encode(USER), b64encode(SECRET), b64encode(b"\0" + USER + b"\0")[:24])
        assert [beginning for beginning in beginnings if beginning in said(items)] == []
        assert all(isinstance(item, bytes | StartTls | Refusal | type) for item in items)


@every_protocol
@pytest.mark.parametrize("beginning", SERVER_BEGINNINGS)
@pytest.mark.parametrize("start_tls", [False, True])
def test_mail_server_may_say_any_word_at_any_point(spec: ProtocolSpec, beginning: bytes, start_tls: bool) -> None:
    for login, word in product(LOGINS, SERVER_WORDS):
        octets = beginning + word + b"\r\n"
        items = ask(spec, login, [octets], start_tls=start_tls)
        assert ask(spec, login, [beginning, word, b"\r", b"\n"], start_tls=start_tls) == items


@every_protocol
@pytest.mark.parametrize("template", CLIENT_WORDS)
def test_nothing_of_a_bad_command_is_echoed(spec: ProtocolSpec, template: bytes) -> None:
    canary = b"canary%sd%n{0}"
    for line in (canary, canary + b" " + template, template + canary, template + b" " + canary):
        assert canary not in said(serve(spec, [b"x " + line + b"\r\n", line + b"\r\n"]))


@every_protocol
@pytest.mark.parametrize("beginning", SERVER_BEGINNINGS)
def test_no_exception_repeats_what_the_mail_server_says(spec: ProtocolSpec, beginning: bytes) -> None:
    secret = "hunter2"
    for login, last in product(LOGINS, (*SERVER_WORDS, *REPEATING)):
        dialogue = spec.client(ClientSettings(b"gateway.example.org"), login)
        told = complaint(dialogue, [*beginning.split(b"\r\n")[:-1], last.replace(b"%s", SECRET) + SECRET])
        assert secret not in told.lower()
        assert USER.decode() not in told.lower()


def complaint(dialogue: ClientDialogue, lines: list[bytes]) -> str:
    """What the exception says that ends the login; empty: there was none."""
    for line in lines:
        try:
            if dialogue.receive(line).event is not None:
                break
        except (Refused, ProtocolError) as error:
            return f"{error!r} {error}"
    return ""
