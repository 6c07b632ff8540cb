"""Addresses, networks, names, and the servers a user may name."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.network import ADDRESS
from gateway.config.network import EVERY_NETWORK
from gateway.config.network import HOST_NAME
from gateway.config.network import LISTEN
from gateway.config.network import NETWORKS
from gateway.config.network import SERVER
from gateway.config.network import SERVER_LIST
from gateway.config.network import is_host_name

HERE = Context(Path("/"))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("mail", True),
        ("mail.example.com", True),
        ("mail.example.com.", True),
        ("3com.example", True),
        ("xn--bcher-kva.example", True),
        ("win_server.example", True),
        ("a" * 63 + ".example", True),
        ("", False),
        (".", False),
        ("a" * 64 + ".example", False),
        (".".join(["a" * 63] * 4), False),
        ("mail..example", False),
        (".example", False),
        ("-a.example", False),
        ("a-.example", False),
        ("a b", False),
        ("a/b", False),
        ("10.0.0", False),
        ("1", False),
        ("0x7f000001.1", False),
        ("m\u00e4il.example", False),
        ("mail.example\n", False),
    ],
)
def test_what_is_a_host_name(text: str, is_one: bool) -> None:
    assert is_host_name(text) is is_one


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("IMAP.Example.COM.", "imap.example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_a_server_has_one_form(text: str, server: str) -> None:
    assert SERVER.parse(text, HERE) == server


@pytest.mark.parametrize("text", ["", "a b", "10.0.0.256", "http://a", "a@b", "[::1", "imap.example.com:143"])
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        SERVER.parse(text, HERE)


def test_addresses_and_networks_are_of_both_versions() -> None:
    assert ADDRESS.parse("::1", HERE) == ip_address("::1")
    assert [str(one) for one in NETWORKS.parse("10.0.0.0/8 2001:db8::/32, 192.0.2.1", HERE)] == [
        "10.0.0.0/8",
        "2001:db8::/32",
        "192.0.2.1/32",
    ]
    assert NETWORKS.parse("*", HERE) == EVERY_NETWORK
    assert NETWORKS.render(EVERY_NETWORK) == "*"


LIST = SERVER_LIST.parse("imap.example.com .internal.example 10.1.0.0/16 2001:db8::/32 192.0.2.7 Mail", HERE)


@pytest.mark.parametrize(
    ("server", "is_allowed"),
    [
        ("imap.example.com", True),
        ("IMAP.EXAMPLE.COM.", True),
        ("mail", True),
        ("a.internal.example", True),
        ("a.b.internal.example", True),
        ("10.1.255.255", True),
        ("2001:db8::25", True),
        ("192.0.2.7", True),
        ("internal.example", False),
        ("ainternal.example", False),
        ("example.com", False),
        ("imap.example.com.evil.test", False),
        ("10.2.0.1", False),
        ("10.1.0.1.internal.example", True),
        ("192.0.2.8", False),
        ("::ffff:10.1.0.1", False),
        ("0x0a010001", False),
        ("167837697", False),
        ("", False),
        (".internal.example", False),
        ("a b.internal.example", False),
        ("a\r\n.internal.example", False),
        ("127.0.0.1#.internal.example", False),
    ],
)
def test_which_servers_a_list_allows(server: str, is_allowed: bool) -> None:
    assert LIST.allows(server) is is_allowed


def test_an_empty_list_allows_nothing() -> None:
    empty = SERVER_LIST.parse("", HERE)
    assert not empty
    assert not empty.allows("imap.example.com")
    assert not empty.allows("10.0.0.1")


def test_a_star_allows_every_server_that_is_one() -> None:
    every = SERVER_LIST.parse("*", HERE)
    assert every.allows("imap.example.com")
    assert every.allows("10.0.0.1")
    assert not every.allows("a b")
    assert not every.allows("http://evil/")


def test_a_server_list_survives_being_written() -> None:
    assert SERVER_LIST.parse(SERVER_LIST.render(LIST), HERE) == LIST


@pytest.mark.parametrize("text", ["127.0.0.1:9180", "[::1]:9180"])
def test_a_listener_is_an_address_and_a_port(text: str) -> None:
    assert str(LISTEN.parse(text, HERE)) == text


@pytest.mark.parametrize("text", ["", "9180", ":9180", "::1:9180", "127.0.0.1", "localhost:1", "127.0.0.1:0", "[::1]"])
def test_what_is_no_listener_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        LISTEN.parse(text, HERE)


def test_a_forgotten_setting_for_the_port_is_recognized() -> None:
    with pytest.raises(BadValue) as caught:
        HOST_NAME.parse("mail.example.com:993", HERE)
    assert 'did you mean "mail.example.com"?' in caught.value.hint
