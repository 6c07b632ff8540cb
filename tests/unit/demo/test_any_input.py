"""Whatever octets come, before a login or after it: no thread of a mail server meets what nobody foresaw."""

import contextlib
from datetime import UTC
from datetime import datetime

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gateway.demo.mail_servers.imap.fetch import parse_items
from gateway.demo.mail_servers.imap.fetch import render
from gateway.demo.mail_servers.imap.syntax import Arguments
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.mime import Part
from gateway.demo.mail_servers.mime import parse_part
from gateway.demo.mail_servers.store import Message
from tests.support.wire import connect
from tests.unit.demo.conftest import MailServers

NEAR = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = (
    b'() "\\ {3}\r\nabc {3+}\r\nabc {9999999999} [ ] < > * % , : + - . 0 1 4294967296 NIL INBOX'
    b" BODY[ BODY.PEEK[1.TEXT]<0.1> ALL NOT OR UID FLAGS (\\Seen) CHARSET \r\n \n \0 \xff \xc3\xa4"
    b" FROM:<a@b> TO:<bob@x> . .. \t"
).split(b" ")
COMMANDS = {
    "imap": (
        b"LOGIN AUTHENTICATE ID LIST LSUB CREATE DELETE RENAME STATUS SELECT EXAMINE APPEND FETCH STORE SEARCH "
        b"COPY MOVE EXPUNGE UID NOOP ENABLE IDLE CLOSE"
    ),
    "pop3": b"USER PASS STAT LIST UIDL RETR TOP DELE RSET CAPA NOOP",
    "smtp": b"EHLO HELO MAIL RCPT DATA RSET VRFY NOOP",
}
LOGINS = {
    "imap": b"a LOGIN alice mail\r\nb SELECT INBOX\r\n",
    "pop3": b"USER alice\r\nPASS mail\r\n",
    "smtp": b"EHLO a\r\n",
}


def lines(protocol: str) -> st.SearchStrategy[bytes]:
    verb = st.sampled_from([b"", *COMMANDS[protocol].split()])
    words = st.lists(st.sampled_from(WORDS) | st.binary(max_size=6), max_size=5)
    prefix = b"t " if protocol == "imap" else b""
    return st.builds(lambda verb, words: prefix + b" ".join([verb, *words]) + b"\r\n", verb, words)


@pytest.mark.parametrize("protocol", list(COMMANDS))
@given(data=st.data())
@NEAR
def test_any_commands_are_answered_or_end_the_connection(
    servers: MailServers, protocol: str, data: st.DataObject
) -> None:
    sent = b"".join(data.draw(st.lists(lines(protocol), max_size=6)))
    login = data.draw(st.sampled_from([b"", LOGINS[protocol]]))
    with connect(getattr(servers, protocol)) as wire:
        wire.send(login + sent)
        wire.half_close()
        wire.read_to_end()


@given(octets=st.lists(st.sampled_from(WORDS) | st.binary(max_size=20)).map(b" ".join))
@NEAR
def test_any_arguments_are_taken_apart_or_bad(octets: bytes) -> None:
    with contextlib.suppress(Bad):
        Arguments(octets).values()


PIECES = (
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: multipart/mixed; boundary*0*=utf-8''b; boundary*1=x\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: ; =\r\n",
    b"Content-Disposition: attachment; filename*=utf-8'x'%ff\r\n",
    b"Content-Disposition: ;;\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b'From: =?x?y?z?= <a@b>, group: c@d;, "\r\n',
    b"Date: yesterday\r\n",
    b" folded\r\n",
    b"\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"\n",
    b":\r\n",
)
messages = st.lists(st.sampled_from(PIECES) | st.binary(max_size=10), max_size=20).map(b"".join)


def leaves(part: Part) -> list[Part]:
    return [leaf for inside in part.parts for leaf in leaves(inside)] if part.parts else [part]


@given(octets=messages)
@settings(max_examples=300, deadline=None)
def test_any_octets_are_a_message_whose_parts_are_in_it(octets: bytes) -> None:
    part = parse_part(octets)
    assert part.octets == octets
    assert all(leaf.octets in octets for leaf in leaves(part))
    for leaf in leaves(part):
        leaf.text()


@given(octets=messages)
@settings(max_examples=300, deadline=None)
def test_any_octets_are_described_in_a_response_that_can_be_read(octets: bytes) -> None:
    message = Message(1, octets, datetime.now(UTC))
    response = render(1, message, parse_items(["ENVELOPE", "BODYSTRUCTURE", "BODY[1.1]"], with_uid=True))
    name, items = Arguments(response.removeprefix(b"* 1 ")).values()
    assert name == "FETCH"
    assert isinstance(items, list)
    assert items[0::2] == ["UID", "ENVELOPE", "BODYSTRUCTURE", "BODY[1.1]"]
    assert isinstance(items[3], list)
    assert len(items[3]) == 10
