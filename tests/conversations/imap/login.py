"""IMAP, SERVER role: LOGIN with atoms, quoted strings and literals."""

from gateway.outcome import Refusal
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from tests.conversations.imap.rows import ATTEMPT
from tests.conversations.imap.rows import NO_LITERAL
from tests.conversations.imap.rows import NOT_ALONE
from tests.conversations.imap.rows import SYNTAX
from tests.conversations.imap.rows import TWO_ARGUMENTS
from tests.conversations.imap.rows import WRONG
from tests.conversations.imap.rows import bad
from tests.conversations.imap.rows import login
from tests.conversations.imap.rows import served
from tests.support.conversation import Conversation

LOGINS: tuple[Conversation, ...] = (
    login("login-atoms", "RFC 9051 section 6.2.3", b"a LOGIN alice secret\r\n"),
    login("login-lower-case", "RFC 9051 section 9", b"a login alice secret\r\n"),
    login("login-quoted", "RFC 9051 section 4.3", b'a LOGIN "alice" "secret"\r\n'),
    login(
        "login-quoted-specials",
        "RFC 9051 section 4.3",
        b'a LOGIN "al\\\\ice" "sec\\"ret {5} (x) %*"\r\n',
        LoginAttempt("LOGIN", b"al\\ice", b'sec"ret {5} (x) %*'),
    ),
    login("login-quoted-empty", "RFC 9051 section 4.3", b'a LOGIN alice ""\r\n', LoginAttempt("LOGIN", b"alice", b"")),
    login(
        "login-quoted-8-bit",
        "RFC 9051 section 4.3",
        b'a LOGIN "\xc3\xa4" "\xff\t"\r\n',
        LoginAttempt("LOGIN", b"\xc3\xa4", b"\xff\t"),
    ),
    login(
        "login-sloppy-atoms",
        "RFC 9051 section 9",
        b"a LOGIN DOM\\\xc3\xa4%* x]y@[z}\r\n",
        LoginAttempt("LOGIN", b"DOM\\\xc3\xa4%*", b"x]y@[z}"),
    ),
    login(
        "login-delimiters",
        "RFC 9051 section 6.2.3",
        b"a LOGIN vpn:mail@imap.example.com one:two\r\n",
        LoginAttempt("LOGIN", b"vpn:mail@imap.example.com", b"one:two"),
    ),
    served(
        "login-user-literal",
        "RFC 9051 section 4.3",
        ("C", b"a LOGIN {5}\r\n"),
        ("S", b"+ OK\r\n"),
        ("C", b"alice secret\r\n"),
        ("E", ATTEMPT),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
    ),
    served(
        "login-password-literal",
        "RFC 9051 section 4.3",
        ("C", b"a LOGIN alice {6}\r\n"),
        ("S", b"+ OK\r\n"),
        ("E", UserNamed()),
        ("C", b"secret\r\n"),
        ("E", ATTEMPT),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
    ),
    served(
        "login-two-literals",
        "RFC 9051 section 4.3",
        ("C", b"a LOGIN {5}\r\n"),
        ("S", b"+ OK\r\n"),
        ("C", b"alice {6}\r\n"),
        ("S", b"+ OK\r\n"),
        ("E", UserNamed()),
        ("C", b"secret\r\n"),
        ("E", ATTEMPT),
        ("D", UpstreamReady()),
        ("S", b"a OK Logged in.\r\n"),
    ),
    served(
        "login-non-synchronizing",
        "RFC 7888 section 4",
        ("C", b"a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n"),
        ("E", UserNamed()),
        ("E", ATTEMPT),
        ("D", UpstreamReady()),
        ("S", b"a OK Logged in.\r\n"),
    ),
    served(
        "login-backslash-in-a-literal",
        "RFC 9051 section 4.3",
        ("C", b'a LOGIN {6+}\r\nal\\\\"e {4}\r\n'),
        ("S", b"+ OK\r\n"),
        ("E", UserNamed()),
        ("C", b"s\\\r\n\r\n"),
        ("E", LoginAttempt("LOGIN", b'al\\\\"e', b"s\\\r\n")),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
    ),
    served(
        "login-empty-literals",
        "RFC 9051 section 4.3",
        ("C", b"a LOGIN {0+}\r\n {0}\r\n"),
        ("S", b"+ OK\r\n"),
        ("E", UserNamed()),
        ("C", b"\r\n"),
        ("E", LoginAttempt("LOGIN", b"", b"")),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
    ),
    *(
        bad(f"login-{name}", "RFC 9051 section 6.2.3", b"a LOGIN" + arguments + b"\r\n", b"a" + answer)
        for name, arguments, answer in (
            ("no-arguments", b"", TWO_ARGUMENTS),
            ("one-argument", b" alice", TWO_ARGUMENTS),
            ("three-arguments", b" alice secret more", TWO_ARGUMENTS),
            ("parentheses", b" alice (secret)", TWO_ARGUMENTS),
            ("no-arguments-space", b" ", TWO_ARGUMENTS),
            ("unclosed-quote", b' alice "secret', SYNTAX),
            ("unclosed-quote-backslash", b' alice "secret\\', SYNTAX),
            ("unclosed-quote-escaped", b' alice "secret\\"', SYNTAX),
            ("foreign-escape", b' "al\\ice" secret', SYNTAX),
            ("cr-in-quotes", b' alice "sec\rret"', SYNTAX),
            ("control-in-atom", b" alice sec\x01ret", SYNTAX),
            ("strings-without-space", b' "alice""secret"', SYNTAX),
            ("brace-in-atom", b" alice {6}x", SYNTAX),
            ("brace-without-number", b" alice {}", SYNTAX),
            ("brace-with-sign", b" alice {-6}", SYNTAX),
            ("brace-hexadecimal", b" alice {0x6}", SYNTAX),
            ("third-literal", b" alice secret {6}", NO_LITERAL),
            ("literal-in-a-word", b" alice s{6}", NOT_ALONE),
            ("literal8", b" alice ~{6}", NOT_ALONE),
            ("literal-in-quotes", b' alice "s{6}', NOT_ALONE),
            ("literal-without-tag-space", b"{6}", NOT_ALONE),
        )
    ),
)
