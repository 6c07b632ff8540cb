"""IMAP, SERVER role: what follows on a login, what is pipelined behind it, and how a session ends."""

from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol.base import Closed
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from tests.conversations.imap.rows import ATTEMPT
from tests.conversations.imap.rows import CAPABILITY
from tests.conversations.imap.rows import LINE_TOO_LONG
from tests.conversations.imap.rows import PLAIN
from tests.conversations.imap.rows import PLAIN_RESPONSE
from tests.conversations.imap.rows import TOO_MANY_ERRORS
from tests.conversations.imap.rows import TOO_MUCH_INPUT
from tests.conversations.imap.rows import WRONG
from tests.conversations.imap.rows import served
from tests.conversations.imap.rows import silent
from tests.support.conversation import Conversation

LOGIN = b"a LOGIN alice secret\r\n"
FROM_UPSTREAM = UpstreamReady(
    (
        b"IMAP4rev1",
        b"STARTTLS",
        b"LOGINDISABLED",
        b"auth=PLAIN",
        b"AUTH=XOAUTH2",
        b"SASL-IR",
        b"Login-Referrals",
        b"MAILBOX-REFERRALS",
        b"UNAUTHENTICATE",
        b"COMPRESS=DEFLATE",
        b"LITERAL+",
        b"IDLE",
        b"APPENDLIMIT=35651584",
    )
)
SHOWN = b"CAPABILITY IMAP4rev1 LITERAL+ IDLE APPENDLIMIT=35651584"

ACCEPTED: tuple[Conversation, ...] = (
    served(
        "capabilities-in-the-ok",
        "RFC 9051 section 7.1",
        ("C", LOGIN),
        ("E", ATTEMPT),
        ("D", FROM_UPSTREAM),
        ("S", b"a OK [" + SHOWN + b"] Logged in.\r\n"),
    ),
    served(
        "capabilities-untagged",
        "RFC 9051 section 7.2.2",
        ("C", b"c CAPABILITY\r\n"),
        ("S", b"* " + CAPABILITY + b"\r\nc OK Done.\r\n"),
        ("C", LOGIN),
        ("E", ATTEMPT),
        ("D", FROM_UPSTREAM),
        ("S", b"* " + SHOWN + b"\r\na OK Logged in.\r\n"),
    ),
    served(
        "capabilities-unknown",
        "RFC 9051 section 6.2.3",
        ("C", LOGIN),
        ("E", ATTEMPT),
        ("D", UpstreamReady()),
        ("S", b"a OK Logged in.\r\n"),
    ),
    served(
        "pipelined-behind-a-success",
        "RFC 9051 section 5.5",
        ("C", LOGIN + b"b NOOP\r\nc SELECT INB"),
        ("E", ATTEMPT),
        ("D", UpstreamReady()),
        ("S", b"a OK Logged in.\r\n"),
        ("R", b"b NOOP\r\nc SELECT INB"),
    ),
    served(
        "pipelined-behind-a-plain-success",
        "RFC 9051 section 5.5",
        ("C", b"a AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", PLAIN_RESPONSE + b"\r\nb STATUS {5+}\r\nINBOX"),
        ("E", PLAIN),
        ("D", UpstreamReady()),
        ("S", b"a OK Logged in.\r\n"),
        ("R", b"b STATUS {5+}\r\nINBOX"),
    ),
)

REFUSED: tuple[Conversation, ...] = (
    *(
        served(
            f"refused-{refusal.value}",
            "RFC 5530 section 3",
            ("C", LOGIN),
            ("E", ATTEMPT),
            ("D", refusal),
            ("S", answer),
        )
        for refusal, answer in (
            (Refusal.BAD_CREDENTIALS, b"a" + WRONG),
            (Refusal.UPSTREAM_REJECTED, b"a" + WRONG),
            (Refusal.EXPIRED, b"a NO [EXPIRED] Password expired.\r\n"),
            (Refusal.POLICY_DENIED, b"a NO [AUTHORIZATIONFAILED] Access denied.\r\n"),
            (Refusal.LOGIN_DISABLED, b"a NO [AUTHORIZATIONFAILED] Access denied.\r\n"),
            (Refusal.SESSION_LIMIT, b"a NO [LIMIT] Too many sessions.\r\n"),
            (Refusal.TEMPORARY, b"a NO [UNAVAILABLE] Temporarily unavailable, try again later.\r\n"),
            (Refusal.UPSTREAM_UNAVAILABLE, b"a NO [UNAVAILABLE] Temporarily unavailable, try again later.\r\n"),
        )
    ),
    served(
        "pipelined-behind-a-refusal",
        "RFC 9051 section 5.5",
        ("C", LOGIN + b"b NOOP\r\nc SELECT INBOX\r\n"),
        ("E", ATTEMPT),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG + b"b OK Done.\r\nc BAD Log in first.\r\n"),
    ),
    served(
        "pipelined-logout",
        "RFC 9051 section 5.5",
        ("C", LOGIN + b"b LOGOUT\r\n"),
        ("E", ATTEMPT),
        ("D", Refusal.TEMPORARY),
        ("S", b"a NO [UNAVAILABLE] Temporarily unavailable, try again later.\r\n* BYE Logging out.\r\nb OK Done.\r\n"),
        ("E", Closed(EndReason.LOGOUT)),
    ),
    served(
        "pipelined-logins",
        "RFC 9051 section 5.5",
        ("C", LOGIN + b"b LOGIN bob {3+}\r\nxyz\r\n"),
        ("E", ATTEMPT),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
        ("E", UserNamed()),
        ("E", LoginAttempt("LOGIN", b"bob", b"xyz")),
        ("D", UpstreamReady()),
        ("S", b"b OK Logged in.\r\n"),
    ),
    served(
        "pipelined-invalid-and-noop",
        "RFC 9051 section 5.5",
        ("C", b"a BOGUS\r\nb NOOP\r\n"),
        ("S", b"a BAD Log in first.\r\nb OK Done.\r\n"),
    ),
    served(
        "split-command",
        "RFC 9051 section 2.2.1",
        ("C", b"a NO"),
        ("C", b"OP\r"),
        ("C", b"\nb B"),
        ("S", b"a OK Done.\r\n"),
        ("C", b"OGUS\r\n"),
        ("S", b"b BAD Log in first.\r\n"),
    ),
)

ENDS: tuple[Conversation, ...] = (
    served(
        "errors-first-second-last",
        "RFC 9051 section 7.1.5",
        ("C", b"a X\r\n"),
        ("S", b"a BAD Log in first.\r\n"),
        ("C", b"b X\r\nn NOOP\r\n"),
        ("S", b"b BAD Log in first.\r\nn OK Done.\r\n"),
        ("C", b"c X\r\n"),
        ("S", b"c BAD Log in first.\r\n" + TOO_MANY_ERRORS),
        ("E", Closed(EndReason.TOO_MANY_ERRORS)),
    ),
    served(
        "errors-pipelined",
        "RFC 9051 section 7.1.5",
        ("C", b"a X\r\nb X\r\nc X\r\nd X\r\n"),
        ("S", b"a BAD Log in first.\r\nb BAD Log in first.\r\nc BAD Log in first.\r\n" + TOO_MANY_ERRORS),
        ("E", Closed(EndReason.TOO_MANY_ERRORS)),
    ),
    served(
        "commands-over-budget",
        "RFC 9051 section 7.1.5",
        ("C", b"a NOOP\r\n" * 5 + b"b LOGIN alice secret\r\n"),
        ("S", b"a OK Done.\r\n" * 5 + TOO_MUCH_INPUT),
        ("E", Closed(EndReason.TOO_MUCH_INPUT)),
        settings=ServerSettings(b"mail.example.com", (b"IMAP4rev1", b"SASL-IR", b"LITERAL+", b"ID"), max_commands=5),
    ),
    served(
        "line-at-the-limit",
        "RFC 9051 section 4",
        ("C", b"a " + b"X" * 8190 + b"\r\n"),
        ("S", b"a BAD Log in first.\r\n"),
    ),
    served(
        "line-over-the-limit",
        "RFC 9051 section 4",
        ("C", b"a " + b"X" * 8191 + b"\r\n"),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "line-without-end",
        "RFC 9051 section 4",
        ("C", b"a" * 12289),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "lines-too-long-together",
        "RFC 9051 section 4",
        ("C", b"a LOGIN " + b"u" * 8000 + b" {1+}\r\nx" + b" " * 200 + b"\r\n"),
        ("E", UserNamed()),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "response-over-the-limit",
        "RFC 4954 section 4",
        ("C", b"a AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", b"A" * 12289 + b"\r\n"),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    silent("http-get", "RFC 9110 section 9", b"GET / HTTP/1.1\r\nHost: mail.example.com\r\n\r\n"),
    silent("http-post", "RFC 9110 section 9", b"POST /x HTTP/1.1\r\n\r\na LOGIN alice secret\r\n"),
    silent("nul-in-tag", "RFC 9051 section 9", b"a\0b NOOP\r\n"),
    silent("nul-in-quotes", "RFC 9051 section 9", b'a LOGIN "al\0ice" secret\r\n'),
    silent("nul-in-literal", "RFC 9051 section 9", b"a LOGIN {3+}\r\na\0b secret\r\n"),
    served(
        "nul-in-response",
        "RFC 9051 section 9",
        ("C", b"a AUTHENTICATE PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", b"AG\0A\r\n"),
        ("E", Closed(EndReason.NOT_THIS_PROTOCOL)),
    ),
    served(
        "ended-in-mid-line",
        "RFC 5530 section 3",
        ("C", b"a LOG"),
        ("D", EndReason.EVICTED),
        ("S", b"* BYE [UNAVAILABLE] Try again later.\r\n"),
    ),
    served(
        "ended-while-deciding",
        "RFC 5530 section 3",
        ("C", LOGIN + b"b NOOP\r\n"),
        ("E", ATTEMPT),
        ("D", EndReason.SHUTDOWN),
        ("S", b"* BYE [UNAVAILABLE] Shutting down.\r\n"),
    ),
    served("ended-by-the-client", "RFC 9051 section 3.4", ("C", b"a NOO"), ("D", EndReason.CLIENT_CLOSED)),
    served(
        "ended-by-failures",
        "RFC 9051 section 7.1.5",
        ("C", LOGIN),
        ("E", ATTEMPT),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", b"a" + WRONG),
        ("D", EndReason.TOO_MANY_FAILURES),
        ("S", b"* BYE Too many failed logins.\r\n"),
    ),
)
