"""The line grammars of POP3 and SMTP: what they read, and that they keep secrets out of sight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProtocolError
from gateway.protocol.pop3 import grammar as pop3
from gateway.protocol.smtp import grammar as smtp


@pytest.mark.parametrize(
    ("line", "keyword", "argument"),
    [
        (b"", b"", b""),
        (b"noop", b"NOOP", b""),
        (b"pass  a b ", b"PASS", b" a b "),
        (b" NOOP", b"", b"NOOP"),
        (b"USER\ta", b"USER\tA", b""),
    ],
)
def test_pop3_command(line: bytes, keyword: bytes, argument: bytes) -> None:
    assert pop3.parse_command(line) == pop3.Command(keyword, argument)


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"", b"", b""),
        (b"ehlo  x \t ", b"EHLO", b" x"),
        (b"quit ", b"QUIT", b""),
        (b"MAIL FROM:<a b> SIZE=1", b"MAIL", b"FROM:<a b> SIZE=1"),
    ],
)
def test_smtp_command(line: bytes, verb: bytes, argument: bytes) -> None:
    assert smtp.parse_command(line) == smtp.Command(verb, argument)


@given(st.binary())
def test_any_line_is_a_command_or_a_reply_or_a_protocol_error(line: bytes) -> None:
    pop3.parse_command(line)
    smtp.parse_command(line)
    for parse_reply in (pop3.parse_reply, smtp.parse_reply_line):
        try:
            parse_reply(line)
        except ProtocolError as error:
            assert str(error).startswith(f"a line of {len(line)} octets")  # noqa: PT017


@pytest.mark.parametrize("line", [b"PASS hunter2", b"AUTH PLAIN hunter2"])
def test_secret_in_a_command_is_not_in_its_repr(line: bytes) -> None:
    assert "hunter2" not in repr(pop3.parse_command(line))
    assert "hunter2" not in repr(smtp.parse_command(line))


def test_multi_line_replies() -> None:
    assert pop3.multi_line(b"+OK", ()) == b"+OK\r\n.\r\n"
    assert pop3.multi_line(b"+OK", (b"TOP", b"UIDL")) == b"+OK\r\nTOP\r\nUIDL\r\n.\r\n"
    assert smtp.multi_line(b"250", (b"host",)) == b"250 host\r\n"
    assert smtp.multi_line(b"250", (b"host", b"SIZE", b"AUTH")) == b"250-host\r\n250-SIZE\r\n250 AUTH\r\n"
