"""The demo's POP3 server, by poplib, and by hand where poplib is too polite."""

import contextlib
import poplib
from collections.abc import Iterator

import pytest

from tests.support.ports import LOOPBACK
from tests.support.wire import connect
from tests.unit.demo.conftest import LETTERS
from tests.unit.demo.conftest import MailServers

TIMEOUT_S = 5.0


@pytest.fixture
def pop3(servers: MailServers) -> Iterator[poplib.POP3]:
    """Logged in as alice."""
    client = poplib.POP3(LOOPBACK, servers.pop3, timeout=TIMEOUT_S)
    client.user("alice")
    client.pass_("mail")
    with contextlib.closing(client):
        yield client


def test_messages_are_listed_and_retrieved(pop3: poplib.POP3) -> None:
    sizes = [len(octets) for octets in LETTERS]
    assert pop3.stat() == (2, sum(sizes))
    assert pop3.list()[1] == [b"1 %d" % sizes[0], b"2 %d" % sizes[1]]
    assert pop3.uidl(2) == b"+OK 2 2"
    assert pop3.uidl()[1] == [b"1 1", b"2 2"]
    assert b"\r\n".join([*pop3.retr(1)[1], b""]) == LETTERS[0]
    assert pop3.top(1, 1)[1][-2:] == [b"", b"one"]
    assert pop3.top(1, 0)[1][-1] == b""


def test_deletion_takes_place_at_quit(servers: MailServers, pop3: poplib.POP3) -> None:
    pop3.dele(1)
    assert pop3.stat()[0] == 1
    with pytest.raises(poplib.error_proto, match="no such message"):
        pop3.retr(1)
    assert len(servers.inbox.messages) == 2
    pop3.quit()
    assert [message.uid for message in servers.inbox.messages] == [2]


def test_reset_and_a_lost_connection_delete_nothing(servers: MailServers, pop3: poplib.POP3) -> None:
    pop3.dele(1)
    pop3.rset()
    assert pop3.stat()[0] == 2
    pop3.dele(2)
    pop3.close()
    assert len(servers.inbox.messages) == 2


def test_capabilities_are_said_before_and_after_the_login(servers: MailServers, pop3: poplib.POP3) -> None:
    assert {"TOP", "UIDL", "USER"} <= set(pop3.capa())
    with connect(servers.pop3) as wire:
        wire.read_line()
        wire.send(b"CAPA\r\n")
        assert b"\r\nUIDL\r\n" in wire.read_until(b"\r\n.\r\n")


@pytest.mark.parametrize(("user", "password"), [(b"alice", b"wrong"), (b"nobody", b"mail"), (b"\xff", b"\xff")])
def test_wrong_password_is_refused_and_a_right_one_may_follow(
    servers: MailServers, user: bytes, password: bytes
) -> None:
    with connect(servers.pop3) as wire:
        wire.read_line()
        wire.send(b"USER " + user + b"\r\nPASS " + password + b"\r\n")
        wire.expect_line(rb"\+OK")
        wire.expect_line(rb"-ERR \[AUTH\] .*")
        wire.send(b"USER alice\r\nPASS mail\r\n")
        wire.expect_line(rb"\+OK")
        wire.expect_line(rb"\+OK 2 messages")


def test_after_five_wrong_passwords_the_connection_ends(servers: MailServers) -> None:
    with connect(servers.pop3) as wire:
        wire.read_line()
        wire.send(b"USER alice\r\n" + b"PASS wrong\r\n" * 5)
        assert wire.read_to_end().count(b"-ERR [AUTH]") == 5


@pytest.mark.parametrize("command", [b"STAT", b"RETR 1", b"XYZ", b"", b"\xff\x00"])
def test_what_cannot_be_done_before_the_login_is_refused(servers: MailServers, command: bytes) -> None:
    with connect(servers.pop3) as wire:
        wire.read_line()
        wire.send(command + b"\r\nNOOP\r\n")
        wire.expect_line(rb"-ERR .*")
        wire.expect_line(rb"\+OK")


@pytest.mark.parametrize("command", ["RETR", "RETR 0", "RETR 3", "RETR x", "DELE -1", "TOP 1", "TOP 1 x", "LIST 9"])
def test_bad_argument_is_refused(pop3: poplib.POP3, command: str) -> None:
    with pytest.raises(poplib.error_proto, match="-ERR"):
        pop3._shortcmd(command)  # type: ignore[attr-defined]


def test_too_long_a_line_ends_the_connection(servers: MailServers) -> None:
    with connect(servers.pop3) as wire, contextlib.suppress(ConnectionError):
        wire.read_line()
        wire.send(b"x" * 100_000)
        wire.expect_line(rb"-ERR .*")
        wire.read_to_end()
