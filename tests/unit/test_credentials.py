"""How a login is taken apart: the table is the documentation of the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials import MAX_PASSWORD_FIELD_OCTETS
from gateway.credentials import MAX_USER_FIELD_OCTETS
from gateway.credentials import Delimiters
from gateway.credentials import Login
from gateway.credentials import split_login
from gateway.errors import Refused
from gateway.outcome import Refusal

SERVERS = {"mail", "imap.example.com", "192.0.2.7"}
DEFAULTS = Delimiters()


def split(user: str | bytes, password: bytes | None = b"pw", delimiters: Delimiters = DEFAULTS) -> Login:
    octets = user.encode() if isinstance(user, str) else user
    return split_login(octets, password, delimiters, SERVERS.__contains__)


@pytest.mark.parametrize(
    ("typed", "vpn_user", "mail_user", "server"),
    [
        ("alice", "alice", "alice", None),
        ("vpn:alice", "vpn", "alice", None),
        ("vpn:alice@mail", "vpn", "alice", "mail"),
        ("alice@mail", "alice", "alice", "mail"),
        ("alice@example.com", "alice@example.com", "alice@example.com", None),
        ("alice@example.com@mail", "alice@example.com", "alice@example.com", "mail"),
        ("vpn:alice@example.com@imap.example.com", "vpn", "alice@example.com", "imap.example.com"),
        ("vpn@mail:alice", "vpn@mail", "alice", None),
        ("vpn@mail:alice@mail", "vpn@mail", "alice", "mail"),
        ("a:b:c", "a", "b:c", None),
        ("alice@", "alice@", "alice@", None),
        ("alice@MAIL", "alice@MAIL", "alice@MAIL", None),
        ("grüße", "grüße", "grüße", None),
        ("DOMAIN\\alice", "DOMAIN\\alice", "DOMAIN\\alice", None),
    ],
)
def test_names_and_server(typed: str, vpn_user: str, mail_user: str, server: str | None) -> None:
    login = split(typed)
    assert (login.vpn_user, login.mail_user, login.server) == (vpn_user, mail_user, server)


@pytest.mark.parametrize(
    ("user", "password", "vpn_password", "mail_password"),
    [
        ("alice", b"secret", b"secret", b"secret"),
        ("alice", b"se:cret", b"se:cret", b"se:cret"),  # one name: the password is not divided
        ("vpn:alice", b"both", b"both", b"both"),
        ("vpn:alice", b"one:two", b"one", b"two"),
        ("vpn:alice", b"p@ss", b"p@ss", b"p@ss"),
        ("vpn:alice", b"\xfcml\xe4ut", b"\xfcml\xe4ut", b"\xfcml\xe4ut"),
    ],
)
def test_passwords(user: str, password: bytes, vpn_password: bytes, mail_password: bytes) -> None:
    login = split(user, password)
    assert (login.vpn_password, login.mail_password) == (vpn_password, mail_password)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("", b"pw"),
        (":alice", b"pw"),
        ("vpn:", b"pw"),
        ("@mail", b"pw"),
        ("vpn:@mail", b"pw"),
        ("alice", b""),
        ("vpn:alice", b":two"),
        ("vpn:alice", b"one:"),
        ("vpn:alice", b"one:two:three"),
        ("al\0ice", b"pw"),
        ("al\rice", b"pw"),
        ("al\nice", b"pw"),
        ("al\x1bice", b"pw"),
        ("al\x7fice", b"pw"),
        ("al\u0085ice", b"pw"),
        ("al\u2028ice", b"pw"),
        (b"al\xffice", b"pw"),
        ("alice", b"p\0w"),
        ("alice", b"p\r\nw"),
        ("alice", b"p\tw"),
        ("a" * (MAX_USER_FIELD_OCTETS + 1), b"pw"),
        ("alice", b"p" * (MAX_PASSWORD_FIELD_OCTETS + 1)),
    ],
)
def test_hostile_and_empty_parts_are_refused(user: str | bytes, password: bytes) -> None:
    with pytest.raises(Refused) as refused:
        split(user, password)
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


def test_without_separators_nothing_is_divided() -> None:
    login = split("vpn:alice@mail", b"one:two", Delimiters(None, None))
    assert (login.vpn_user, login.mail_user, login.server) == ("vpn:alice@mail", "vpn:alice@mail", None)
    assert login.vpn_password == login.mail_password == b"one:two"


def test_other_separators() -> None:
    login = split("vpn|alice#mail", b"one|two", Delimiters("|", "#"))
    assert login == Login("vpn", "alice", "mail", b"one", b"two")


def test_a_mechanism_without_a_password_keeps_none() -> None:
    login = split("vpn:alice", None)
    assert login.vpn_password is None
    assert login.mail_password is None


@pytest.mark.parametrize("password", [b"tops3cret\0", b"tops3cret:tops3cret:tops3cret", b":tops3cret"])
def test_a_refusal_does_not_repeat_the_password(password: bytes) -> None:
    with pytest.raises(Refused) as refused:
        split("vpn:alice", password)
    assert "tops3cret" not in str(refused.value)


def test_repr_shows_no_password() -> None:
    assert "tops3cret" not in repr(split("vpn:alice", b"tops3cret:m4ilsecret"))


PLAIN_NAME = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@given(vpn=PLAIN_NAME, mail=PLAIN_NAME, server=st.sampled_from(["", *sorted(SERVERS)]))
def test_what_is_joined_is_taken_apart_again(vpn: str, mail: str, server: str) -> None:
    vpn = vpn.replace(":", "_")
    typed = f"{vpn}:{mail}" + (f"@{server}" if server else "")
    login = split(typed)
    if server or mail.rpartition("@")[2] not in SERVERS:
        assert (login.vpn_user, login.mail_user, login.server or "") == (vpn, mail, server)


@given(user=st.binary(max_size=60), password=st.binary(max_size=60))
def test_any_octets_give_a_login_or_a_refusal_and_nothing_is_added(user: bytes, password: bytes) -> None:
    try:
        login = split(user, password)
    except Refused:
        return
    assert login.vpn_user.encode() in user
    assert login.mail_user.encode() in user
    assert login.vpn_password
    assert login.vpn_password in password
    assert login.mail_password
    assert login.mail_password in password
    assert not any(octet < 0x20 for octet in user + password)
