"""The demo's IMAP server: octet for octet where it matters, and by imaplib as a user would."""

import base64
import contextlib
import imaplib
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from tests.support.ports import LOOPBACK
from tests.support.wire import Wire
from tests.support.wire import connect
from tests.unit.demo.conftest import LETTERS
from tests.unit.demo.conftest import MailServers

TIMEOUT_S = 5.0
Ask = Callable[..., list[bytes]]


def asker(wire: Wire) -> Ask:
    """Sends a command, gives the lines of its answer; the last has the tag taken off."""

    def ask(command: bytes) -> list[bytes]:
        wire.send(b"t " + command + b"\r\n")
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith(b"t "):
            lines.append(wire.read_line().removesuffix(b"\r\n"))
        return [*lines[:-1], lines[-1].removeprefix(b"t ")]

    return ask


@contextlib.contextmanager
def logged_in(servers: MailServers, *commands: bytes) -> Iterator[tuple[Wire, Ask]]:
    with connect(servers.imap) as wire:
        wire.expect_line(rb"\* OK \[CAPABILITY IMAP4rev1 .*")
        ask = asker(wire)
        for command in (b"LOGIN alice mail", *commands):
            assert ask(command)[-1].startswith(b"OK ")
        yield wire, ask


@pytest.fixture
def ask(servers: MailServers) -> Iterator[Ask]:
    """Logged in as alice, INBOX selected."""
    with logged_in(servers, b"SELECT INBOX") as (_, ask):
        yield ask


def plain(user: bytes, password: bytes) -> bytes:
    return base64.b64encode(b"\0" + user + b"\0" + password)


@pytest.mark.parametrize(
    "command",
    [
        b"LOGIN alice mail",
        b'LOGIN "alice" "mail"',
        b"LOGIN {5+}\r\nalice {4+}\r\nmail",
        b"AUTHENTICATE PLAIN " + plain(b"alice", b"mail"),
    ],
)
def test_login_in_every_form_is_taken(servers: MailServers, command: bytes) -> None:
    with connect(servers.imap) as wire:
        wire.read_line()
        assert asker(wire)(command)[-1].startswith(b"OK [CAPABILITY ")


def test_login_with_a_literal_that_waits_is_asked_for(servers: MailServers) -> None:
    with connect(servers.imap) as wire:
        wire.read_line()
        wire.send(b"a LOGIN alice {4}\r\n")
        wire.expect(b"+ go on\r\n")
        wire.send(b"mail\r\n")
        wire.expect_line(rb"a OK .*")


def test_authenticate_without_initial_response_is_asked_for_it(servers: MailServers) -> None:
    with connect(servers.imap) as wire:
        wire.read_line()
        wire.send(b"a AUTHENTICATE PLAIN\r\n")
        wire.expect(b"+ \r\n")
        wire.send(plain(b"alice", b"mail") + b"\r\n")
        wire.expect_line(rb"a OK .*")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"LOGIN alice wrong", b"NO [AUTHENTICATIONFAILED] "),
        (b"LOGIN nobody mail", b"NO [AUTHENTICATIONFAILED] "),
        (b"LOGIN alice", b"BAD "),
        (b"LOGIN (alice) mail", b"BAD "),
        (b"AUTHENTICATE PLAIN !", b"BAD "),
        (b"AUTHENTICATE CRAM-MD5", b"NO "),
        (b"SELECT INBOX", b"BAD "),
        (b"", b"BAD "),
    ],
)
def test_bad_login_is_refused_and_a_good_one_may_follow(servers: MailServers, command: bytes, answer: bytes) -> None:
    with connect(servers.imap) as wire:
        wire.read_line()
        ask = asker(wire)
        assert ask(command)[-1].startswith(answer)
        assert ask(b"LOGIN alice mail")[-1].startswith(b"OK")


def test_after_five_wrong_passwords_the_connection_ends(servers: MailServers) -> None:
    with connect(servers.imap) as wire:
        wire.read_line()
        wire.send(b"a LOGIN alice wrong\r\n" * 5)
        for _ in range(5):
            wire.expect_line(rb"a NO .*")
        wire.expect_end()


def test_select_describes_the_folder(servers: MailServers) -> None:
    with logged_in(servers) as (_, ask):
        *lines, answer = ask(b"SELECT inbox")
    assert answer.startswith(b"OK [READ-WRITE]")
    assert b"* 2 EXISTS" in lines
    assert b"* OK [UNSEEN 1] the first" in lines
    assert b"* OK [UIDVALIDITY %d] valid" % servers.inbox.uid_validity in lines
    assert b"* OK [UIDNEXT 3] next" in lines


def test_list_gives_all_folders_with_their_use(ask: Ask) -> None:
    ask(b"CREATE Work/Old")
    assert ask(b'LIST "" "*"')[:-1] == [
        b'* LIST (\\HasNoChildren) "/" "INBOX"',
        b'* LIST (\\HasNoChildren \\Drafts) "/" "Drafts"',
        b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"',
        b'* LIST (\\HasNoChildren \\Trash) "/" "Trash"',
        b'* LIST (\\HasNoChildren) "/" "Work/Old"',
    ]
    assert ask(b'LIST "" ""')[0] == b'* LIST (\\Noselect) "/" ""'
    assert [line.split()[-1] for line in ask(b'LIST "" %')[:-1]] == [b'"INBOX"', b'"Drafts"', b'"Sent"', b'"Trash"']


def test_folders_are_created_renamed_subscribed_deleted(servers: MailServers, ask: Ask) -> None:
    assert ask(b"CREATE Work")[-1].startswith(b"OK")
    assert ask(b"CREATE Work")[-1].startswith(b"NO [ALREADYEXISTS]")
    assert ask(b"CREATE Work/Old")[-1].startswith(b"OK")
    assert ask(b"RENAME Work Job")[-1].startswith(b"OK")
    assert {"Job", "Job/Old"} <= set(servers.alice.folders)
    assert ask(b"UNSUBSCRIBE Sent")[-1].startswith(b"OK")
    assert b'* LSUB (\\HasNoChildren \\Sent) "/" "Sent"' not in ask(b'LSUB "" *')
    assert ask(b"SUBSCRIBE Sent")[-1].startswith(b"OK")
    assert b'* LSUB (\\HasNoChildren \\Sent) "/" "Sent"' in ask(b'LSUB "" *')
    assert ask(b"DELETE Job/Old")[-1].startswith(b"OK")
    assert ask(b"SELECT Job/Old")[-1].startswith(b"NO [TRYCREATE]")
    assert ask(b"DELETE INBOX")[-1].startswith(b"NO [CANNOT]")


def test_status_counts(servers: MailServers, ask: Ask) -> None:
    ask(b"STORE 1 FLAGS.SILENT (\\Seen)")
    assert ask(b"STATUS INBOX (MESSAGES UNSEEN UIDNEXT)")[0] == b'* STATUS "INBOX" (MESSAGES 2 UNSEEN 1 UIDNEXT 3)'


def test_fetch_of_the_whole_message_gives_its_octets_and_marks_it_seen(servers: MailServers) -> None:
    with logged_in(servers, b"SELECT INBOX") as (wire, _):
        wire.send(b"a FETCH 1 BODY[]\r\n")
        wire.expect(b"* 1 FETCH (BODY[] {%d}\r\n%s FLAGS (\\Seen))\r\n" % (len(LETTERS[0]), LETTERS[0]))
        wire.expect_line(rb"a OK .*")
    assert servers.inbox.messages[0].flags == {"\\Seen"}


@pytest.mark.parametrize("item", [b"BODY.PEEK[]", b"BODY.PEEK[HEADER]", b"RFC822.HEADER", b"RFC822.SIZE", b"ENVELOPE"])
def test_fetch_that_peeks_leaves_the_flags(servers: MailServers, item: bytes) -> None:
    with logged_in(servers, b"SELECT INBOX") as (wire, _):
        wire.send(b"a FETCH 1 " + item + b"\r\n")
        wire.read_until(b"a OK ")
    assert servers.inbox.messages[0].flags == frozenset()


def test_examine_changes_nothing(servers: MailServers) -> None:
    with logged_in(servers, b"EXAMINE INBOX") as (wire, ask):
        wire.send(b"a FETCH 1 BODY[]\r\n")
        wire.read_until(b"a OK ")
        wire.read_line()
        assert ask(b"STORE 1 +FLAGS (\\Deleted)")[-1].startswith(b"NO [READ-ONLY]")
        assert ask(b"EXPUNGE")[-1].startswith(b"NO [READ-ONLY]")
        assert ask(b"CLOSE")[-1].startswith(b"OK")
    assert servers.inbox.messages[0].flags == frozenset()


@pytest.mark.parametrize(
    ("item", "octets"),
    [
        (b"BODY[HEADER.FIELDS (SUBJECT)]", b"Subject: First\r\n\r\n"),
        (b"BODY[TEXT]", b"one\r\n.two\r\n"),
        (b"BODY[1]", b"one\r\n.two\r\n"),
        (b"BODY[TEXT]<0>", b"one\r\n.two\r\n"[0:3]),
        (b"BODY[TEXT]<2>", b"one\r\n.two\r\n"[2:5]),
        (b"BODY[TEXT]<99>", b""),
    ],
)
def test_fetch_of_a_section(servers: MailServers, item: bytes, octets: bytes) -> None:
    asked = item.replace(b">", b".3>").replace(b"BODY[", b"BODY.PEEK[")
    with logged_in(servers, b"SELECT INBOX") as (wire, _):
        wire.send(b"a UID FETCH 1 (" + asked + b")\r\n")
        wire.expect(b"* 1 FETCH (UID 1 " + item + b" {%d}\r\n" % len(octets) + octets + b")\r\n")


def test_fetch_of_a_part_that_is_not_there_is_nil(ask: Ask) -> None:
    assert ask(b"FETCH 1 BODY.PEEK[7]")[0] == b"* 1 FETCH (BODY[7] NIL)"


@pytest.mark.parametrize("item", [b"BODY[WHAT]", b"BODY[", b"NOTHING", b"()"])
def test_fetch_of_what_is_no_item_is_bad(ask: Ask, item: bytes) -> None:
    assert ask(b"FETCH 1 " + item)[-1].startswith(b"BAD" if item != b"()" else b"OK")


def test_envelope(ask: Ask) -> None:
    assert ask(b"FETCH 1 ENVELOPE")[0] == (
        b'* 1 FETCH (ENVELOPE ("Sun, 01 Feb 2026 09:00:00 +0100" "First" '
        b'(("Bob" NIL "bob" "demo.example")) (("Bob" NIL "bob" "demo.example")) (("Bob" NIL "bob" "demo.example")) '
        b'((NIL NIL "alice" "demo.example")) NIL NIL NIL NIL))'
    )


def test_flags_are_set_added_taken_away(servers: MailServers, ask: Ask) -> None:
    assert ask(b"STORE 1 FLAGS (\\seen work)")[0] == b"* 1 FETCH (FLAGS (\\Seen work))"
    assert ask(b"STORE 1 +FLAGS \\Flagged")[0] == b"* 1 FETCH (FLAGS (\\Flagged \\Seen work))"
    assert ask(b"UID STORE 1 -FLAGS (work)")[0] == b"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))"
    assert ask(b"STORE 1 +FLAGS.SILENT (\\Draft)") == [b"OK done"]
    assert servers.inbox.messages[0].flags == {"\\Flagged", "\\Seen", "\\Draft"}
    assert ask(b"STORE 1 *FLAGS (\\Draft)")[-1].startswith(b"BAD")


def test_expunge_counts_as_it_goes(servers: MailServers, ask: Ask) -> None:
    servers.inbox.append(b"Subject: Third\r\n\r\n")
    ask(b"NOOP")
    ask(b"STORE 1,2 +FLAGS.SILENT (\\Deleted)")
    assert ask(b"UID EXPUNGE 2") == [b"* 2 EXPUNGE", b"OK done"]
    assert ask(b"EXPUNGE") == [b"* 1 EXPUNGE", b"OK done"]
    assert ask(b"UID FETCH 1:* FLAGS")[0] == b"* 1 FETCH (UID 3 FLAGS ())"


def test_copy_and_move_say_the_new_uids(servers: MailServers, ask: Ask) -> None:
    trash = servers.alice.folders["Trash"]
    assert ask(b"COPY 1:2 Trash")[-1] == b"OK [COPYUID %d 1:2 1:2] done" % trash.uid_validity
    assert ask(b"UID MOVE 2 Trash") == [
        b"* OK [COPYUID %d 2 3] moved" % trash.uid_validity,
        b"* 2 EXPUNGE",
        b"OK done",
    ]
    assert [message.octets for message in trash.messages] == [*LETTERS, LETTERS[1]]
    assert ask(b"COPY 1 Nowhere")[-1].startswith(b"NO [TRYCREATE]")


def test_append_keeps_flags_and_date(servers: MailServers, ask: Ask) -> None:
    sent = servers.alice.folders["Sent"]
    answer = ask(b'APPEND Sent (\\Seen) " 1-Feb-2026 09:00:00 +0100" {17+}\r\nSubject: x\r\n\r\nhi\n')
    assert answer == [b"OK [APPENDUID %d 1] done" % sent.uid_validity]
    (message,) = sent.messages
    assert message.flags == {"\\Seen"}
    assert message.octets == b"Subject: x\r\n\r\nhi\r\n"
    ask(b"SELECT Sent")
    assert ask(b"FETCH 1 INTERNALDATE")[0] == b'* 1 FETCH (INTERNALDATE "01-Feb-2026 09:00:00 +0100")'
    assert ask(b"APPEND Sent")[-1].startswith(b"BAD")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (b"ALL", b" 1 2"),
        (b"UNSEEN", b" 1 2"),
        (b"SEEN", b""),
        (b"SUBJECT first", b" 1"),
        ("CHARSET UTF-8 SUBJECT grüße".encode(), b" 2"),
        ("CHARSET UTF-8 BODY bärchen".encode(), b" 2"),
        (b"TEXT two", b" 1"),
        (b"FROM bob", b" 1"),
        (b"NOT FROM bob", b" 2"),
        (b"OR FROM bob FROM carol", b" 1 2"),
        (b"(FROM bob SUBJECT nothing)", b""),
        (b"HEADER To alice", b" 1"),
        (b'HEADER To ""', b" 1"),
        (b"2:*", b" 2"),
        (b"UID 1", b" 1"),
        (b"LARGER 1000000", b""),
        (b"SENTON 1-Feb-2026", b" 1"),
        (b"SENTBEFORE 1-Feb-2026", b""),
        (b"SINCE 1-Feb-2026", b" 1 2"),
    ],
)
def test_search(ask: Ask, keys: bytes, found: bytes) -> None:
    assert ask(b"SEARCH " + keys) == [b"* SEARCH" + found, b"OK done"]


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (b"", b"BAD"),
        (b"WHATEVER", b"BAD"),
        (b"SUBJECT", b"BAD"),
        (b"NOT", b"BAD"),
        (b"LARGER many", b"BAD"),
        (b"ON today", b"BAD"),
        (b"CHARSET KOI8-R ALL", b"NO [BADCHARSET"),
        (b"NOT " * 5000 + b"ALL", b"BAD"),
        (b"(" * 5000, b"BAD"),
    ],
)
def test_search_for_what_is_no_key_is_refused(ask: Ask, keys: bytes, answer: bytes) -> None:
    assert ask(b"SEARCH " + keys)[-1].startswith(answer)


def test_idle_tells_of_new_mail_at_once(servers: MailServers) -> None:
    with logged_in(servers, b"SELECT INBOX") as (wire, _):
        wire.send(b"a IDLE\r\n")
        wire.expect(b"+ idling\r\n")
        servers.inbox.append(b"Subject: Third\r\n\r\n")
        wire.expect(b"* 3 EXISTS\r\n")
        servers.inbox.remove({1})
        wire.expect(b"* 1 EXPUNGE\r\n")
        wire.send(b"DONE\r\n")
        wire.expect(b"a OK done\r\n")


def test_what_another_session_does_is_told_in_time(servers: MailServers) -> None:
    """RFC 9051 section 7.5.1: no EXPUNGE in answer to FETCH, STORE and SEARCH by sequence number."""
    with logged_in(servers, b"SELECT INBOX") as (_, here), logged_in(servers, b"SELECT INBOX") as (_, there):
        there(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        there(b"STORE 2 +FLAGS.SILENT (\\Flagged)")
        there(b"EXPUNGE")
        assert here(b"SEARCH ALL") == [b"* SEARCH 1 2", b"* 2 FETCH (UID 2 FLAGS (\\Flagged))", b"OK done"]
        assert here(b"NOOP") == [b"* 1 EXPUNGE", b"OK done"]
        assert here(b"SEARCH ALL") == [b"* SEARCH 1", b"OK done"]


def test_unselect_keeps_and_close_expunges(servers: MailServers, ask: Ask) -> None:
    ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    ask(b"UNSELECT")
    assert len(servers.inbox.messages) == 2
    ask(b"SELECT INBOX")
    ask(b"CLOSE")
    assert [message.uid for message in servers.inbox.messages] == [2]
    assert ask(b"FETCH 1 FLAGS")[-1].startswith(b"BAD")


def test_small_commands(ask: Ask) -> None:
    assert ask(b"NAMESPACE")[0] == b'* NAMESPACE (("" "/")) NIL NIL'
    assert ask(b'ID ("name" "test")')[0] == b'* ID ("name" "gateway demo")'
    assert ask(b"ENABLE CONDSTORE")[0] == b"* ENABLED"
    assert ask(b"CAPABILITY")[0].startswith(b"* CAPABILITY IMAP4rev1 ")
    assert ask(b"CHECK") == [b"OK done"]
    assert ask(b"WHAT")[-1].startswith(b"BAD")
    assert ask(b"LOGOUT") == [b"* BYE goodbye", b"OK done"]


@pytest.mark.parametrize("octets", [b"a APPEND Sent {99999999+}\r\n", b"x" * 200_000])
def test_too_much_ends_the_connection(servers: MailServers, octets: bytes) -> None:
    with connect(servers.imap) as wire, contextlib.suppress(ConnectionError):
        wire.read_line()
        wire.send(octets)
        wire.expect_line(rb"\* BYE .*")
        wire.read_to_end()


def test_imaplib_reads_and_writes(servers: MailServers) -> None:
    with imaplib.IMAP4(LOOPBACK, servers.imap, timeout=TIMEOUT_S) as imap:
        imap.login("alice", "mail")
        assert imap.select() == ("OK", [b"2"])
        _, data = imap.fetch("1", "(RFC822)")
        assert isinstance(data[0], tuple)
        assert data[0][1] == LETTERS[0]
        assert imap.append("Sent", "\\Seen", imaplib.Time2Internaldate(0), LETTERS[0])[0] == "OK"
        assert imap.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
        assert imap.expunge() == ("OK", [b"1"])
        assert imap.search(None, "SUBJECT", '"nothing"') == ("OK", [b""])
