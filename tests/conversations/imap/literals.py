"""IMAP, SERVER role: literals where none belongs, and too long ones. What they hold is never a command."""

from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol.base import Closed
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import UserNamed
from tests.conversations.imap.rows import LINE_TOO_LONG
from tests.conversations.imap.rows import LITERAL_TOO_LONG
from tests.conversations.imap.rows import NO_LITERAL
from tests.conversations.imap.rows import NO_SPACE
from tests.conversations.imap.rows import SYNTAX
from tests.conversations.imap.rows import WRONG
from tests.conversations.imap.rows import bad
from tests.conversations.imap.rows import served
from tests.support.conversation import Conversation

LITERALS: tuple[Conversation, ...] = (
    bad("bad-command-with-literal", "RFC 7888 section 4", b"a BOGUS {10+}\r\nb LOGOUT\r\n\r\n", b"a" + NO_LITERAL),
    bad("no-tag-with-literal", "RFC 7888 section 4", b"{10+}\r\nb LOGOUT\r\n\r\n", b"* BAD No valid tag.\r\n"),
    bad("bad-tag-with-literal", "RFC 7888 section 4", b"* X {10+}\r\nb LOGOUT\r\n\r\n", b"* BAD No valid tag.\r\n"),
    bad("noop-with-literal", "RFC 7888 section 4", b"a NOOP {10+}\r\nb LOGOUT\r\n\r\n", b"a" + NO_LITERAL),
    bad("bad-command-waiting", "RFC 9051 section 4.3", b"a BOGUS {10}\r\n", b"a" + NO_LITERAL),
    bad("bad-command-both", "RFC 7888 section 4", b"a X {10+}\r\nb LOGOUT\r\n {9}\r\n", b"a" + NO_LITERAL),
    bad(
        "literal-behind-an-open-quote",
        "RFC 7888 section 4",
        b'a LOGIN alice "x {10+}\r\nb LOGOUT\r\n"\r\n',
        b"a" + SYNTAX,
    ),
    bad(
        "third-literal-non-synchronizing",
        "RFC 7888 section 4",
        b"a LOGIN u p {10+}\r\nb LOGOUT\r\n\r\n",
        b"a" + NO_LITERAL,
    ),
    served(
        "text-glued-to-a-literal",
        "RFC 9051 section 9",
        ("C", b"a LOGIN {5+}\r\nalicex {10+}\r\nb LOGOUT\r\n\r\n"),
        ("S", b"a" + NO_SPACE),
    ),
    bad(
        "authenticate-literal",
        "RFC 4959 section 3",
        b"a AUTHENTICATE PLAIN {10+}\r\nb LOGOUT\r\n\r\n",
        b"a" + NO_LITERAL,
    ),
    bad("authenticate-literal-waiting", "RFC 4959 section 3", b"a AUTHENTICATE PLAIN {10}\r\n", b"a" + NO_LITERAL),
    served(
        "response-literal",
        "RFC 9051 section 6.2.2",
        ("C", b"a AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", b"{10+}\r\nb LOGOUT\r\n\r\n"),
        ("S", b"a BAD Not a response in base64.\r\n"),
        ("C", b"c NOOP\r\n"),
        ("S", b"c OK Done.\r\n"),
    ),
    served(
        "response-literal-waiting",
        "RFC 9051 section 6.2.2",
        ("C", b"a AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", b"b LOGIN x {5}\r\n"),
        ("S", b"a BAD Not a response in base64.\r\n"),
    ),
    served(
        "literals-at-the-limit",
        "RFC 9051 section 4.3",
        ("C", b"a LOGIN {4096+}\r\n" + b"u" * 4096 + b" {4096+}\r\n" + b"p" * 4096 + b"\r\n"),
        ("E", UserNamed()),
        ("E", LoginAttempt("LOGIN", b"u" * 4096, b"p" * 4096)),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
    ),
    served(
        "literal-too-long",
        "RFC 7888 section 4",
        ("C", b"a LOGIN {8193+}\r\nb LOGIN alice secret\r\n"),
        ("S", LITERAL_TOO_LONG),
        ("E", Closed(EndReason.LITERAL_TOO_LONG)),
    ),
    served(
        "literals-too-long-together",
        "RFC 7888 section 4",
        ("C", b"a X {8192+}\r\n" + b"x" * 8192 + b"{1+}\r\nx\r\n"),
        ("S", LITERAL_TOO_LONG),
        ("E", Closed(EndReason.LITERAL_TOO_LONG)),
    ),
    bad("literal-too-long-waiting", "RFC 9051 section 4.3", b"a LOGIN {8193}\r\n", b"a BAD Literal too long.\r\n"),
    bad("literal-of-4-GiB", "RFC 9051 section 9", b"a LOGIN {4294967296}\r\n", b"a BAD Literal too long.\r\n"),
    bad(
        "literal-of-many-digits",
        "RFC 9051 section 9",
        b"a LOGIN {" + b"9" * 8000 + b"}\r\n",
        b"a BAD Literal too long.\r\n",
    ),
    served(
        "literal-of-many-digits-non-synchronizing",
        "RFC 9051 section 9",
        ("C", b"a LOGIN {" + b"9" * 8000 + b"+}\r\n"),
        ("S", LITERAL_TOO_LONG),
        ("E", Closed(EndReason.LITERAL_TOO_LONG)),
    ),
    served(
        "empty-literals-without-end",
        "RFC 7888 section 4",
        ("C", b"a ID (" + b"{0+}\r\n " * 4000),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
)
