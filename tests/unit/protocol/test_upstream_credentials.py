"""Each client dialogue logs in to the server dialogue of its own protocol, with any octets as credentials.

The mail server has to see exactly one login with exactly these octets and no bad command, or nothing of a login at all.
"""

from base64 import b64encode
from typing import Final

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from gateway.protocol.registry import PROTOCOLS
from tests.support.conversation import ClientDriver
from tests.support.conversation import Happening
from tests.support.conversation import ServerDriver

SEEDS: Final = (
    b"a\r\nNOOP",
    b"a\nb",
    b"a\rb",
    b"a\0b",
    b'"',
    b'\\"',
    b"\\",
    b"{5}",
    b"{5+}\r\n",
    b"\t",
    b" ",
    b" a",
    b"a ",
    b"a b",
    b"*",
    b"=",
    b".",
    b"NIL",
    b"(",
    b"\xe2\x80\xa8",
    b"\xff\xfe",
    b"x" * 247,
    b"x" * 248,
    b"x" * 249,
    b"x" * 255,
    b"x" * 256,
    b"x" * 4096,
    b"\xff" * 4096,
)
NAME: Final = b"alice"
CAPABILITIES: Final = {
    "imap4s": (b"IMAP4rev1", b"SASL-IR", b"LITERAL+"),
    "pop3s": (b"USER",),
    "smtps": (b"SIZE",),
}

credential = st.one_of(st.sampled_from(SEEDS), st.binary(min_size=1, max_size=600), st.text(min_size=1).map(str.encode))
every_protocol = pytest.mark.parametrize("spec", PROTOCOLS.values(), ids=PROTOCOLS)


def log_in(
    spec: ProtocolSpec, login: MailLogin, mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
) -> tuple[list[Happening], Happening, bytes]:
    """What the mail server saw, what the gateway made of it, and the octets that the gateway sent."""
    extensions = CAPABILITIES[spec.name]
    server_settings = ServerSettings(b"upstream.example.org", extensions, mechanisms, max_errors=1)
    upstream = ServerDriver(spec.server(server_settings))
    sent: bytes = b""
    seen: list[Happening] = []
    try:
        gateway = ClientDriver(spec.client(ClientSettings(b"gateway.example.org"), login))
    except Refused as refused:
        return seen, refused.refusal, sent
    while True:
        for item in _drain(upstream):
            if isinstance(item, bytes):
                gateway.feed(item)
            else:
                seen.append(item)
        if upstream.is_deciding:
            upstream.decide(UpstreamReady(extensions))
            continue
        for item in _drain(gateway):
            if not isinstance(item, bytes):
                return seen, item, sent
            sent += item
            upstream.feed(item)
        assert upstream.output.items, f"both wait, after {sent!r}"


def _drain(driver: ServerDriver | ClientDriver) -> list[bytes | Happening]:
    items, driver.output.items = driver.output.items, []
    return items


def check(spec: ProtocolSpec, user: bytes, password: bytes, mechanisms: tuple[str, ...]) -> None:
    seen, made, sent = log_in(spec, MailLogin(user, password), mechanisms)
    attempts = [event for event in seen if not isinstance(event, UserNamed)]
    if isinstance(made, LoggedIn):
        (attempt,) = attempts
        assert isinstance(attempt, LoginAttempt)
        assert (attempt.authcid, attempt.password, attempt.authzid) == (user, password, b"")
    else:
        assert isinstance(made, Refusal)
        assert seen == []
        told = (password, b64encode(password), b64encode(b"\0" + user + b"\0" + password))
        assert len(password) < 8 or not any(secret in sent for secret in told)


@every_protocol
@settings(deadline=None)
@given(user=credential, password=credential, mechanisms=st.sampled_from((("PLAIN", "LOGIN"), ("LOGIN",), ("PLAIN",))))
@example(user=b"alice", password=b"secret", mechanisms=("PLAIN",))
def test_mail_server_sees_one_login_with_these_octets_or_none(
    spec: ProtocolSpec, user: bytes, password: bytes, mechanisms: tuple[str, ...]
) -> None:
    check(spec, user, password, mechanisms)


@every_protocol
@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_mail_server_sees_one_login_with_a_hostile_octet_string_or_none(spec: ProtocolSpec, seed: int) -> None:
    check(spec, SEEDS[seed], b"secret-word", ("PLAIN", "LOGIN"))
    check(spec, NAME, SEEDS[seed], ("PLAIN", "LOGIN"))


@every_protocol
@pytest.mark.parametrize(
    "password",
    [b"secret", b"two words", b'qu"o\\te', b"{5}", b"p\xc3\xa4ss", b"x" * 300],
    ids=lambda octets: repr(octets[:12]),
)
def test_mail_server_that_has_sasl_is_told_every_reasonable_password(spec: ProtocolSpec, password: bytes) -> None:
    seen, made, _ = log_in(spec, MailLogin(NAME, password))
    assert isinstance(made, LoggedIn)
    attempt = seen[-1]
    assert isinstance(attempt, LoginAttempt)
    assert attempt.password == password


@every_protocol
@pytest.mark.parametrize(
    "login",
    [MailLogin(b"al\0ice", b"secret"), MailLogin(b"alice", b"sec\r\nret"), MailLogin(b"alice\n", b"secret")],
    ids=("nul", "crlf", "lf"),
)
def test_login_of_nul_or_a_line_end_is_not_said(spec: ProtocolSpec, login: MailLogin) -> None:
    seen, made, _ = log_in(spec, login)
    assert seen == []
    assert made is Refusal.BAD_CREDENTIALS


@pytest.mark.parametrize("name", ["imap4s", "pop3s"])
def test_protocol_that_cannot_do_without_a_password_refuses_to(name: str) -> None:
    with pytest.raises(Refused) as caught:
        PROTOCOLS[name].client(ClientSettings(b"gateway.example.org"), MailLogin(NAME, None))
    assert caught.value.refusal is Refusal.UPSTREAM_UNAVAILABLE
