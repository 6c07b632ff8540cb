"""IMAP, SERVER role: the commands that anyone may give, and tags."""

from gateway.outcome import EndReason
from gateway.protocol.base import Closed
from tests.conversations.imap.rows import CAPABILITY
from tests.conversations.imap.rows import ID_OK
from tests.conversations.imap.rows import NOT_FOR_ID
from tests.conversations.imap.rows import bad
from tests.conversations.imap.rows import served
from tests.support.conversation import Conversation

COMMANDS: tuple[Conversation, ...] = (
    served(
        "capability",
        "RFC 9051 section 6.1.1",
        ("C", b"a CAPABILITY\r\n"),
        ("S", b"* " + CAPABILITY + b"\r\na OK Done.\r\n"),
    ),
    served("noop", "RFC 9051 section 6.1.2", ("C", b"a noop\r\n"), ("S", b"a OK Done.\r\n")),
    served("noop-bare-lf", "RFC 9051 section 2.2", ("C", b"a NOOP\n"), ("S", b"a OK Done.\r\n")),
    served("noop-trailing-space", "RFC 9051 section 9", ("C", b"a NOOP \r\n"), ("S", b"a OK Done.\r\n")),
    served(
        "logout",
        "RFC 9051 section 6.1.3",
        ("C", b"a LOGOUT\r\n"),
        ("S", b"* BYE Logging out.\r\na OK Done.\r\n"),
        ("E", Closed(EndReason.LOGOUT)),
    ),
    served("id-nil", "RFC 2971 section 3.1", ("C", b"a ID NIL\r\n"), ("S", ID_OK)),
    served("id-empty", "RFC 2971 section 3.1", ("C", b"a ID ()\r\n"), ("S", ID_OK)),
    served("id-pairs", "RFC 2971 section 3.1", ("C", b'a ID ("name" "Mail" "version" NIL)\r\n'), ("S", ID_OK)),
    served("id-spaces", "RFC 2971 section 3.1", ("C", b'a ID ( "name"  "M(a)i\\"l" )\r\n'), ("S", ID_OK)),
    served(
        "id-literals",
        "RFC 2971 section 3.1",
        ("C", b"a ID ({4+}\r\nname {4}\r\n"),
        ("S", b"+ OK\r\n"),
        ("C", b"Mail)\r\n"),
        ("S", ID_OK),
    ),
    served(
        "id-at-the-limits",
        "RFC 2971 section 3.3",
        ("C", b"a ID (" + b" ".join([b'"%s" "%s"' % (b"k" * 30, b"v" * 200)] * 30) + b")\r\n"),
        ("S", ID_OK),
        ("C", b'a ID ("k" "' + b"v" * 1024 + b'")\r\n'),
        ("S", ID_OK),
    ),
    bad(
        "id-31-pairs", "RFC 2971 section 3.3", b"a ID (" + b'"k" "v" ' * 31 + b")\r\n", b"a BAD Too many arguments.\r\n"
    ),
    bad("id-long-field", "RFC 2971 section 3.3", b'a ID ("' + b"k" * 31 + b'" "v")\r\n', b"a" + NOT_FOR_ID),
    bad("id-long-value", "RFC 2971 section 3.3", b'a ID ("k" "' + b"v" * 1025 + b'")\r\n', b"a" + NOT_FOR_ID),
    bad("id-odd", "RFC 2971 section 3.1", b'a ID ("k")\r\n', b"a" + NOT_FOR_ID),
    bad("id-nested", "RFC 2971 section 3.1", b'a ID ("k" ("v"))\r\n', b"a" + NOT_FOR_ID),
    bad("id-open", "RFC 2971 section 3.1", b'a ID ("k" "v"\r\n', b"a" + NOT_FOR_ID),
    bad("id-atoms", "RFC 2971 section 3.1", b"a ID (name Mail)\r\n", b"a" + NOT_FOR_ID),
    bad("id-no-arguments", "RFC 2971 section 3.1", b"a ID\r\n", b"a" + NOT_FOR_ID),
    bad("id-parentheses", "RFC 2971 section 3.1", b"a ID " + b"(" * 4096 + b"\r\n", b"a BAD Too many arguments.\r\n"),
    bad("id-closing", "RFC 2971 section 3.1", b"a ID " + b")" * 4096 + b"\r\n", b"a BAD Too many arguments.\r\n"),
    bad("starttls", "RFC 8314 section 3", b"a STARTTLS\r\n", b"a BAD TLS is on.\r\n"),
    bad("enable-before-login", "RFC 5161 section 3.1", b"a ENABLE CONDSTORE\r\n", b"a BAD Log in first.\r\n"),
    bad("select-before-login", "RFC 9051 section 3.1", b"a SELECT INBOX\r\n", b"a BAD Log in first.\r\n"),
    bad("unknown-command", "RFC 9051 section 6.5", b"a FROBNICATE\r\n", b"a BAD Log in first.\r\n"),
    bad("no-command", "RFC 9051 section 2.2.1", b"a\r\n", b"a BAD Log in first.\r\n"),
    bad("two-spaces", "RFC 9051 section 2.2.1", b"a  NOOP\r\n", b"a BAD Log in first.\r\n"),
    bad("noop-arguments", "RFC 9051 section 6.1.2", b"a NOOP x\r\n", b"a BAD NOOP has no arguments.\r\n"),
    bad("logout-arguments", "RFC 9051 section 6.1.3", b"a LOGOUT x\r\n", b"a BAD LOGOUT has no arguments.\r\n"),
    bad(
        "capability-arguments",
        "RFC 9051 section 6.1.1",
        b"a CAPABILITY x\r\n",
        b"a BAD CAPABILITY has no arguments.\r\n",
    ),
)

TAGS: tuple[Conversation, ...] = (
    served("tag-64", "RFC 9051 section 2.2.1", ("C", b"T" * 64 + b" NOOP\r\n"), ("S", b"T" * 64 + b" OK Done.\r\n")),
    served("tag-odd", "RFC 9051 section 9", ("C", b"]!#$&'}~ NOOP\r\n"), ("S", b"]!#$&'}~ OK Done.\r\n")),
    *(
        bad(f"tag-{name}", "RFC 9051 section 9", tag + b" NOOP\r\n", b"* BAD No valid tag.\r\n")
        for name, tag in (
            ("65", b"T" * 65),
            ("empty", b""),
            ("plus", b"a+1"),
            ("star", b"*"),
            ("percent", b"%s%n"),
            ("quote", b'"a"'),
            ("backslash", b"a\\"),
            ("parenthesis", b"(a"),
            ("brace", b"{a"),
            ("8-bit", b"\xc3\xa4"),
            ("tab", b"a\tb"),
            ("escape", b"\x1b[2J"),
            ("cr", b"a\rb"),
        )
    ),
    bad("empty-line", "RFC 9051 section 2.2.1", b"\r\n", b"* BAD No valid tag.\r\n"),
    bad("script-as-tag", "RFC 9051 section 9", b"<script>alert(1)</script>\r\n", b"* BAD No valid tag.\r\n"),
)
