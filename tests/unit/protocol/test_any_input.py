"""Any octets in any pieces: replies, events and at worst `Closed` or a planned exception, the same for any pieces."""

from base64 import b64encode
from itertools import pairwise
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
    *(b"* PREAUTH x", b"G1 OK", b"a1 OK x", b"1 NO x", b"{3}"),
)
USER: Final = b"alice-of-long-name"
SECRET: Final = b"hunter2 hunter2"

every_protocol = pytest.mark.parametrize("spec", PROTOCOLS.values(), ids=PROTOCOLS)


def octets_of(words: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    separators = st.sampled_from((b"\r\n", b"\r\n", b"\n", b" ", b"", b"\r", b"\0"))
    parts = st.tuples(st.sampled_from(words) | st.binary(max_size=12), separators)
    return st.lists(parts, max_size=30).map(lambda lines: b"".join(word + end for word, end in lines))


@st.composite
def pieces_of(draw: st.DrawFn, words: tuple[bytes, ...]) -> tuple[bytes, list[bytes]]:
    octets = draw(octets_of(words))
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


def ask(spec: ProtocolSpec, pieces: list[bytes], *, start_tls: bool) -> list[bytes | Happening]:
    """All that a client dialogue says and announces; it stops at StartTls."""
    client_settings = ClientSettings(b"gateway.example.org", start_tls)
    driver = ClientDriver(spec.client(client_settings, MailLogin(USER, SECRET)))
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
@given(stream=pieces_of(SERVER_WORDS), start_tls=st.booleans())
def test_mail_server_may_send_anything_in_any_pieces(
    spec: ProtocolSpec, stream: tuple[bytes, list[bytes]], start_tls: bool
) -> None:
    octets, pieces = stream
    items = ask(spec, [octets], start_tls=start_tls)
    assert ask(spec, pieces, start_tls=start_tls) == items
    if start_tls:
        secrets = (USER, SECRET, b64encode(USER), b64encode(SECRET), b64encode(b"\0" + USER + b"\0" + SECRET))
        assert [secret for secret in secrets if secret in said(items)] == []
        assert all(isinstance(item, bytes | StartTls | Refusal | type) for item in items)


@every_protocol
@pytest.mark.parametrize("template", CLIENT_WORDS)
def test_nothing_of_a_bad_command_is_echoed(spec: ProtocolSpec, template: bytes) -> None:
    canary = b"canary%sd%n{0}"
    for line in (canary, canary + b" " + template, template + canary, template + b" " + canary):
        assert canary not in said(serve(spec, [b"x " + line + b"\r\n", line + b"\r\n"]))


@every_protocol
@settings(deadline=None)
@given(lines=st.lists(st.sampled_from(SERVER_WORDS), max_size=8))
def test_no_exception_repeats_what_the_mail_server_says(spec: ProtocolSpec, lines: list[bytes]) -> None:
    dialogue = spec.client(ClientSettings(b"gateway.example.org"), MailLogin(USER, SECRET))
    told = complaint(dialogue, [line + b" " + SECRET + USER for line in lines])
    assert SECRET.decode() not in told
    assert USER.decode() not in told


def complaint(dialogue: ClientDialogue, lines: list[bytes]) -> str:
    """What the exception says that ends the login; empty: there was none."""
    for line in lines:
        try:
            if dialogue.receive(line).event is not None:
                break
        except (Refused, ProtocolError) as error:
            return f"{error!r} {error}"
    return ""
