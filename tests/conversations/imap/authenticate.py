"""IMAP, SERVER role: AUTHENTICATE."""

from base64 import b64encode

from gateway.outcome import Refusal
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from tests.conversations.imap.rows import ALICE
from tests.conversations.imap.rows import ATTEMPT
from tests.conversations.imap.rows import MECHANISM_FIRST
from tests.conversations.imap.rows import NO_MECHANISM
from tests.conversations.imap.rows import PASSWORD_PROMPT
from tests.conversations.imap.rows import PLAIN
from tests.conversations.imap.rows import PLAIN_RESPONSE
from tests.conversations.imap.rows import SECRET
from tests.conversations.imap.rows import USERNAME_PROMPT
from tests.conversations.imap.rows import WRONG
from tests.conversations.imap.rows import bad
from tests.conversations.imap.rows import login
from tests.conversations.imap.rows import served
from tests.support.conversation import Conversation
from tests.support.conversation import ServerConversation

AUTHENTICATE: tuple[Conversation, ...] = (
    login("plain-initial-response", "RFC 4959 section 3", b"a AUTHENTICATE PLAIN " + PLAIN_RESPONSE + b"\r\n", PLAIN),
    login(
        "plain-authorization-id",
        "RFC 4616 section 2",
        b"a authenticate plain " + b64encode(b"admin\0alice\0secret") + b"\r\n",
        LoginAttempt("PLAIN", b"alice", b"secret", b"admin"),
    ),
    served(
        "plain",
        "RFC 9051 section 6.2.2",
        ("C", b"a AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", PLAIN_RESPONSE + b"\r\n"),
        ("E", PLAIN),
        ("D", UpstreamReady()),
        ("S", b"a OK Logged in.\r\n"),
    ),
    served(
        "login-mechanism",
        "RFC 9051 section 6.2.2",
        ("C", b"a AUTHENTICATE LOGIN\r\n"),
        ("S", USERNAME_PROMPT),
        ("C", ALICE + b"\r\n"),
        ("S", PASSWORD_PROMPT),
        ("E", UserNamed()),
        ("C", SECRET + b"\r\n"),
        ("E", ATTEMPT),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
    ),
    served(
        "login-mechanism-initial-response",
        "RFC 4959 section 3",
        ("C", b"a AUTHENTICATE LOGIN " + ALICE + b"\r\n"),
        ("S", PASSWORD_PROMPT),
        ("E", UserNamed()),
        ("C", SECRET + b"\r\n"),
        ("E", ATTEMPT),
        ("D", UpstreamReady()),
        ("S", b"a OK Logged in.\r\n"),
    ),
    served(
        "login-mechanism-cancelled",
        "RFC 9051 section 6.2.2",
        ("C", b"a AUTHENTICATE LOGIN\r\n"),
        ("S", USERNAME_PROMPT),
        ("C", ALICE + b"\r\n"),
        ("S", PASSWORD_PROMPT),
        ("E", UserNamed()),
        ("C", b"*\r\n"),
        ("S", b"a BAD Authentication cancelled.\r\n"),
        ("C", b"b AUTHENTICATE PLAIN " + PLAIN_RESPONSE + b"\r\n"),
        ("E", PLAIN),
        ("D", UpstreamReady()),
        ("S", b"b OK Logged in.\r\n"),
    ),
    served(
        "plain-cancelled-is-no-error",
        "RFC 9051 section 6.2.2",
        *(
            ("C", b"a AUTHENTICATE PLAIN\r\n"),
            ("S", b"+ \r\n"),
            ("C", b"*\r\n"),
            ("S", b"a BAD Authentication cancelled.\r\n"),
        )
        * 4,
    ),
    *(
        bad(
            f"plain-{name}",
            "RFC 9051 section 6.2.2",
            b"a AUTHENTICATE PLAIN " + response + b"\r\n",
            b"a BAD Malformed response.\r\n",
        )
        for name, response in (
            ("no-base64", b"!!!!"),
            ("unpadded", b"AGFsaWNlAHM"),
            ("trailing-bits", b"AGFsaWNlAHN="),
            ("empty-initial-response", b"="),
            ("one-field", ALICE),
            ("four-fields", b64encode(b"\0alice\0secret\0")),
            ("star-as-initial-response", b"*"),
        )
    ),
    served(
        "plain-empty-response",
        "RFC 9051 section 6.2.2",
        ("C", b"a AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", b"\r\n"),
        ("S", b"a BAD Malformed response.\r\n"),
        ("C", b"b AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", b"b AUTHENTICATE PLAIN\r\n"),
        ("S", b"b BAD Malformed response.\r\n"),
    ),
    *(
        bad(f"authenticate-{name}", "RFC 9051 section 6.2.2", b"a AUTHENTICATE" + arguments + b"\r\n", b"a" + answer)
        for name, arguments, answer in (
            ("no-arguments", b"", MECHANISM_FIRST),
            ("three-arguments", b" PLAIN = =", MECHANISM_FIRST),
            ("quoted-response", b' PLAIN "="', MECHANISM_FIRST),
            ("quoted-mechanism", b' "PLAIN"', MECHANISM_FIRST),
            ("parentheses", b" (PLAIN)", MECHANISM_FIRST),
        )
    ),
    served(
        "unknown-mechanisms-are-no-errors",
        "RFC 9051 section 6.2.2",
        ("C", b"a AUTHENTICATE CRAM-MD5\r\nb AUTHENTICATE EXTERNAL\r\n"),
        ("S", b"a" + NO_MECHANISM + b"b" + NO_MECHANISM),
        ("C", b"c AUTHENTICATE XOAUTH2 dXNlcg==\r\nd AUTHENTICATE \xff\r\ne NOOP\r\n"),
        ("S", b"c" + NO_MECHANISM + b"d" + NO_MECHANISM + b"e OK Done.\r\n"),
    ),
    ServerConversation(
        "mechanism-not-offered",
        "RFC 9051 section 6.2.2",
        (
            ("S", b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] mail.example.com ready.\r\n"),
            ("C", b"a AUTHENTICATE LOGIN\r\n"),
            ("S", b"a" + NO_MECHANISM),
        ),
        ServerSettings(b"mail.example.com", (b"IMAP4rev1",), ("PLAIN",)),
    ),
    login(
        "plain-longest-line",
        "RFC 4954 section 4",
        b"a AUTHENTICATE PLAIN " + b64encode(b"\0" + b"u" * 4599 + b"\0" + b"p" * 4597) + b"\r\n",
        LoginAttempt("PLAIN", b"u" * 4599, b"p" * 4597),
    ),
)
