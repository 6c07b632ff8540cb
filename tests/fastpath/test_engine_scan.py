"""What a client must not say while it relays: found in any chunking, before the mail server has it whole."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._scan import CommandFilter
from gateway.outcome import EndReason
from tests.fastpath.sessions import Joined
from tests.unit.transport.peers import fault

REFUSED = ("UNAUTHENTICATE", "STARTTLS")
HEAD_OCTETS = 96
LINES = st.lists(
    st.one_of(
        st.lists(
            st.sampled_from(
                [b"a", b" ", b"\t", b"\r", b"STARTTLS", b"startTLS", b"STARTTLS2", b"UNAUTHENTICATE", b"x" * 90, b"\0"]
            ),
            max_size=6,
        ).map(b"".join),
        st.binary(max_size=30),
    ),
    max_size=6,
)


def oracle(stream: bytes, *, tagged: bool) -> bool:
    """Does everything pass? Only lines with an end are judged."""
    for line in stream.split(b"\n")[:-1]:
        head = line[:HEAD_OCTETS]
        words = head.replace(b"\t", b" ").replace(b"\r", b" ").split(b" ")
        words = [word for word in words if word]
        wanted = words[1:2] if tagged else words[:1]
        cut = len(head) == HEAD_OCTETS and len(words) <= (2 if tagged else 1) and head[-1:] not in b" \t\r"
        blank = len(head) == HEAD_OCTETS and not wanted
        if cut or blank or (wanted and wanted[0].upper().decode("latin-1") in REFUSED):
            return False
    return True


@given(LINES, st.booleans(), st.lists(st.integers(0, 400), max_size=8))
def test_any_lines_in_any_chunking_are_judged_as_the_oracle_judges(
    lines: list[bytes], tagged: bool, cuts: list[int]
) -> None:
    stream = b"\n".join(lines)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    commands = CommandFilter(REFUSED, tagged=tagged)
    passes = oracle(stream, tagged=tagged)
    assert (commands.judge([stream]) is None) is passes
    assert (commands.judge(pieces) is None) is passes
    assert (commands.judge(stream[at : at + 1] for at in range(len(stream))) is None) is passes


@pytest.mark.parametrize("word", ["", "A B", "a\n", "LOG1N", "ÄUTH"])
def test_what_is_no_command_cannot_be_refused(word: str) -> None:
    with pytest.raises(ValueError, match="not a command"):
        CommandFilter([word])


def test_session_ends_before_the_mail_server_has_the_command_whole(joined: Joined) -> None:
    joined.client.inspect(CommandFilter(["unauthenticate"], tagged=True))
    joined.relay()
    joined.program.send(b"a NOOP\r\nb unAuth")
    assert joined.server.recv(100) == b"a NOOP\r\nb unAuth"
    joined.program.send(b"enticate\r\nc NOOP\r\n")
    end = joined.ended()
    assert end.reason is EndReason.NOT_THIS_PROTOCOL
    received = b"".join(iter(lambda: joined.server.recv(100), b""))
    assert b"enticate\r\n" not in received
    assert fault(joined.program.receive_all) is None


def test_what_was_read_ahead_is_inspected_too(joined: Joined) -> None:
    joined.client.inspect(CommandFilter(["STARTTLS"]))
    joined.program.send(b"STARTTLS\r\n")
    joined.program.send(b"x\r\n")
    joined.relay()
    assert joined.ended().reason is EndReason.NOT_THIS_PROTOCOL
    assert joined.server.recv(100) == b""


def test_sessions_that_are_not_inspected_may_say_everything(join: Callable[..., Joined]) -> None:
    inspected, free = join(), join()
    inspected.client.inspect(CommandFilter(["STARTTLS"]))
    for one in (inspected, free):
        one.relay()
        one.program.send(b"MAIL FROM:<a>\r\n")
        assert one.server.recv(100) == b"MAIL FROM:<a>\r\n"
    free.program.send(b"STARTTLS\r\n")
    assert free.server.recv(100) == b"STARTTLS\r\n"
