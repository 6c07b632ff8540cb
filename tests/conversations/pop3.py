"""POP3, both roles."""

from base64 import b64encode
from typing import Final

from gateway.errors import ProtocolError
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol import pop3
from gateway.protocol.base import MAX_AUTH_LINE_OCTETS
from gateway.protocol.base import MAX_LINE_OCTETS
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import Closed
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import StartTls
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from gateway.protocol.script import MAX_LINES
from gateway.protocol.script import MAX_OCTETS
from tests.support.conversation import ClientConversation
from tests.support.conversation import Conversation
from tests.support.conversation import ServerConversation
from tests.support.conversation import Turn

SPEC: Final = pop3.SPEC

SETTINGS: Final = ServerSettings(b"mail.example.org", (b"USER", b"TOP", b"UIDL", b"RESP-CODES", b"PIPELINING"))
READY: Final = UpstreamReady()

GREETING: Final = b"+OK mail.example.org ready.\r\n"
FAILED: Final = b"-ERR [AUTH] Authentication failed.\r\n"
TRY_LATER: Final = b"-ERR [SYS/TEMP] Login is not possible at the moment, try again later.\r\n"
LOGGED_IN: Final = b"+OK Logged in.\r\n"
BYE: Final = b"+OK Bye.\r\n"
UNKNOWN: Final = b"-ERR Unknown command.\r\n"
MALFORMED: Final = b"-ERR Malformed authentication data.\r\n"
USER_CHALLENGE: Final = b"+ VXNlcm5hbWU6\r\n"
PASSWORD_CHALLENGE: Final = b"+ UGFzc3dvcmQ6\r\n"

CAPABILITIES: Final = b"USER\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nSASL PLAIN LOGIN\r\n.\r\n"

PLAIN_ALICE: Final = b64encode(b"\0alice\0secret")
ALICE_BY_USER: Final = LoginAttempt("USER", b"alice", b"secret")
ALICE_BY_PLAIN: Final = LoginAttempt("PLAIN", b"alice", b"secret")
ALICE_BY_LOGIN: Final = LoginAttempt("LOGIN", b"alice", b"secret")


def served(name: str, rfc: str, *steps: Turn, settings: ServerSettings = SETTINGS) -> ServerConversation:
    return ServerConversation(name, rfc, (("S", GREETING), *steps), settings)


def refused(name: str, refusal: Refusal, reply: bytes) -> ServerConversation:
    return served(
        f"refused-{name}",
        "RFC 3206 section 4",
        ("C", b"USER alice\r\nPASS secret\r\nNOOP\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", ALICE_BY_USER),
        ("D", refusal),
        ("S", reply + b"+OK\r\n"),
    )


def ended(reason: EndReason, farewell: bytes) -> ServerConversation:
    return served(
        f"ended-{reason.value}",
        "RFC 1939 section 3",
        ("C", b"USER alice\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("D", reason),
        ("S", farewell),
    )


def silenced(name: str, octets: bytes) -> ServerConversation:
    return served(name, "RFC 1939 section 3", ("C", octets), ("E", Closed(EndReason.NOT_THIS_PROTOCOL)))


SERVER: Final[tuple[ServerConversation, ...]] = (
    served("greeting-has-no-apop-time-stamp", "RFC 1939 section 7"),
    served(
        "user-pass",
        "RFC 1939 section 7",
        ("C", b"USER alice\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("C", b"PASS secret\r\n"),
        ("E", ALICE_BY_USER),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "keywords-in-any-case-and-bare-lf",
        "RFC 1939 section 3",
        ("C", b"user alice\npAsS secret\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", ALICE_BY_USER),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "pass-takes-the-rest-of-the-line",
        "RFC 1939 section 7",
        ("C", b"USER vpn:alice@imap.example.com\r\nPASS  two  words \r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", LoginAttempt("USER", b"vpn:alice@imap.example.com", b" two  words ")),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "octets-above-ascii-are-kept",
        "RFC 1939 section 3",
        ("C", b"USER \xc3\xa4\xff\r\nPASS \x80\xff\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", LoginAttempt("USER", b"\xc3\xa4\xff", b"\x80\xff")),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED),
    ),
    served(
        "empty-password-is-an-attempt",
        "RFC 1939 section 7",
        ("C", b"USER alice\r\nPASS\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", LoginAttempt("USER", b"alice", b"")),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED),
    ),
    served(
        "user-needs-a-name",
        "RFC 1939 section 7",
        ("C", b"USER\r\nPASS secret\r\n"),
        ("S", b"-ERR USER needs a name.\r\n-ERR USER first.\r\n"),
    ),
    served(
        "user-again-replaces-the-first",
        "RFC 1939 section 7",
        ("C", b"USER mallory\r\nUSER alice\r\nPASS secret\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", ALICE_BY_USER),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "pass-needs-user-again-after-a-failure",
        "RFC 1939 section 7",
        ("C", b"USER alice\r\nPASS secret\r\nPASS other\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", ALICE_BY_USER),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED + b"-ERR USER first.\r\n"),
    ),
    served(
        "auth-forgets-user",
        "RFC 5034 section 4",
        ("C", b"USER alice\r\nAUTH PLAIN\r\n*\r\nPASS secret\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("S", b"+ \r\n-ERR Authentication cancelled.\r\n-ERR USER first.\r\n"),
    ),
    served(
        "pipelined-login-goes-upstream",
        "RFC 2449 section 6.6",
        ("C", b"USER alice\r\nPASS secret\r\nSTAT\r\nRETR 1\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", ALICE_BY_USER),
        ("D", READY),
        ("S", LOGGED_IN),
        ("R", b"STAT\r\nRETR 1\r\n"),
    ),
    served(
        "pipelined-user-pass-quit-after-a-failure",
        "RFC 2449 section 6.6",
        ("C", b"USER alice\r\nPASS secret\r\nQUIT\r\n"),
        ("S", b"+OK\r\n"),
        ("E", UserNamed()),
        ("E", ALICE_BY_USER),
        ("D", Refusal.UPSTREAM_REJECTED),
        ("S", FAILED + BYE),
        ("E", Closed(EndReason.LOGOUT)),
    ),
    served(
        "pipelined-invalid-and-noop", "RFC 2449 section 6.6", ("C", b"FOO\r\nNOOP\r\n"), ("S", UNKNOWN + b"+OK\r\n")
    ),
    served(
        "capa",
        "RFC 2449 section 5",
        ("C", b"CAPA\r\n"),
        ("S", b"+OK Capability list follows.\r\n" + CAPABILITIES),
    ),
    served(
        "auth-lists-mechanisms",
        "RFC 5034 section 4",
        ("C", b"AUTH\r\nAUTH \r\n"),
        ("S", b"+OK Mechanisms follow.\r\nPLAIN\r\nLOGIN\r\n.\r\n" * 2),
    ),
    served(
        "auth-plain-with-initial-response",
        "RFC 5034 section 4",
        ("C", b"AUTH PLAIN " + PLAIN_ALICE + b"\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "auth-plain-with-challenge",
        "RFC 5034 section 4",
        ("C", b"auth plain\r\n"),
        ("S", b"+ \r\n"),
        ("C", PLAIN_ALICE + b"\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED),
        ("C", b"AUTH PLAIN " + PLAIN_ALICE + b"\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "auth-plain-keeps-the-authorization-id",
        "RFC 4616 section 2",
        ("C", b"AUTH PLAIN " + b64encode(b"boss\0alice\0secret") + b"\r\n"),
        ("E", LoginAttempt("PLAIN", b"alice", b"secret", b"boss")),
        ("D", Refusal.POLICY_DENIED),
        ("S", FAILED),
    ),
    served(
        "auth-plain-of-nul-only",
        "RFC 4616 section 2",
        ("C", b"AUTH PLAIN AAA=\r\n"),
        ("E", LoginAttempt("PLAIN", b"", b"")),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED),
    ),
    served(
        "auth-login",
        "RFC 5034 section 4",
        ("C", b"AUTH LOGIN\r\n"),
        ("S", USER_CHALLENGE),
        ("C", b64encode(b"alice") + b"\r\n"),
        ("S", PASSWORD_CHALLENGE),
        ("E", UserNamed()),
        ("C", b64encode(b"secret") + b"\r\n"),
        ("E", ALICE_BY_LOGIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "auth-login-with-user-name-and-pipelined-password",
        "RFC 5034 section 4",
        ("C", b"AUTH LOGIN " + b64encode(b"alice") + b"\r\n" + b64encode(b"secret") + b"\r\nSTAT\r\n"),
        ("S", PASSWORD_CHALLENGE),
        ("E", UserNamed()),
        ("E", ALICE_BY_LOGIN),
        ("D", READY),
        ("S", LOGGED_IN),
        ("R", b"STAT\r\n"),
    ),
    served(
        "auth-login-cancelled-at-the-password",
        "RFC 5034 section 4",
        ("C", b"AUTH LOGIN " + b64encode(b"alice") + b"\r\n*\r\nNOOP\r\n"),
        ("S", PASSWORD_CHALLENGE),
        ("E", UserNamed()),
        ("S", b"-ERR Authentication cancelled.\r\n+OK\r\n"),
    ),
    served(
        "auth-with-empty-initial-response",
        "RFC 5034 section 4",
        ("C", b"AUTH PLAIN =\r\nAUTH LOGIN =\r\n"),
        ("S", MALFORMED + PASSWORD_CHALLENGE),
        ("E", UserNamed()),
        ("C", b"\r\n"),
        ("E", LoginAttempt("LOGIN", b"", b"")),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED),
    ),
    served(
        "auth-bad-base64-is-not-a-command",
        "RFC 5034 section 4",
        ("C", b"AUTH PLAIN\r\nNOOP \r\nNOOP\r\n"),
        ("S", b"+ \r\n" + MALFORMED + b"+OK\r\n"),
    ),
    served(
        "auth-unknown-mechanism",
        "RFC 5034 section 4",
        ("C", b"AUTH CRAM-MD5\r\nAUTH \xff\xfe x\r\n"),
        ("S", b"-ERR Unknown mechanism.\r\n" * 2),
    ),
    served(
        "auth-mechanism-not-offered-here",
        "RFC 5034 section 4",
        ("C", b"AUTH\r\nAUTH LOGIN\r\n"),
        ("S", b"+OK Mechanisms follow.\r\nPLAIN\r\n.\r\n-ERR Unknown mechanism.\r\n"),
        settings=ServerSettings(b"mail.example.org", (), ("PLAIN",)),
    ),
    served(
        "auth-line-of-the-greatest-length",
        "RFC 5034 section 4",
        ("C", b"AUTH PLAIN " + b"A" * (MAX_AUTH_LINE_OCTETS - 11) + b"\r\n"),
        ("S", MALFORMED),
    ),
    served(
        "auth-line-too-long",
        "RFC 5034 section 4",
        ("C", b"AUTH PLAIN " + b"A" * (MAX_AUTH_LINE_OCTETS - 10) + b"\r\n"),
        ("S", b"-ERR Line too long.\r\n"),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "auth-answer-too-long",
        "RFC 5034 section 4",
        ("C", b"AUTH PLAIN\r\n"),
        ("S", b"+ \r\n"),
        ("C", b"A" * (MAX_AUTH_LINE_OCTETS + 1)),
        ("S", b"-ERR Line too long.\r\n"),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "line-of-the-greatest-length",
        "RFC 1939 section 3",
        ("C", b"FOO " + b"x" * (MAX_LINE_OCTETS - 4) + b"\r\n"),
        ("S", UNKNOWN),
    ),
    served(
        "line-too-long",
        "RFC 1939 section 3",
        ("C", b"FOO " + b"x" * (MAX_LINE_OCTETS - 3) + b"\r\n"),
        ("S", b"-ERR Line too long.\r\n"),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "stls-and-apop-are-errors",
        "RFC 2595 section 4",
        ("C", b"STLS\r\nAPOP alice c4c9334bac560ecc979e58001b3e22fb\r\n"),
        ("S", b"-ERR TLS is already on.\r\n-ERR APOP is not offered.\r\n"),
    ),
    served(
        "commands-of-the-transaction-state",
        "RFC 1939 section 5",
        ("C", b"STAT\r\nRETR 1\r\n"),
        ("S", UNKNOWN * 2),
    ),
    served("quit", "RFC 1939 section 4", ("C", b"QUIT\r\nNOOP\r\n"), ("S", BYE), ("E", Closed(EndReason.LOGOUT))),
    served(
        "the-last-error-of-the-budget-ends-it",
        "RFC 1939 section 3",
        ("C", b"FOO\r\n"),
        ("S", UNKNOWN),
        ("C", b"\r\n"),
        ("S", UNKNOWN),
        ("C", b"STLS\r\n"),
        ("S", b"-ERR Too many bad commands.\r\n"),
        ("E", Closed(EndReason.TOO_MANY_ERRORS)),
    ),
    served(
        "the-last-error-of-the-budget-ends-it-pipelined",
        "RFC 2449 section 6.6",
        ("C", b"FOO\r\nNOOP\r\nPASS x\r\nAUTH PLAIN !\r\nNOOP\r\n"),
        ("S", UNKNOWN + b"+OK\r\n-ERR USER first.\r\n-ERR Too many bad commands.\r\n"),
        ("E", Closed(EndReason.TOO_MANY_ERRORS)),
    ),
    served(
        "too-many-commands",
        "RFC 1939 section 3",
        ("C", b"NOOP\r\n" * 3),
        ("S", b"+OK\r\n+OK\r\n-ERR Too much input before the login.\r\n"),
        ("E", Closed(EndReason.TOO_MUCH_INPUT)),
        settings=ServerSettings(b"mail.example.org", (), max_commands=2),
    ),
    silenced("http-request", b"POST / HTTP/1.1\r\nHost: mail.example.org\r\n\r\nUSER alice\r\n"),
    silenced("http-connect", b"CONNECT mail.example.org:995 HTTP/1.1\r\n\r\n"),
    silenced("nul-in-a-command", b"USER al\0ice\r\n"),
    served(
        "nul-in-an-auth-answer",
        "RFC 5034 section 4",
        ("C", b"AUTH PLAIN\r\n\0alice\0secret\r\n"),
        ("S", b"+ \r\n"),
        ("E", Closed(EndReason.NOT_THIS_PROTOCOL)),
    ),
    served(
        "http-method-later-is-an-unknown-command",
        "RFC 1939 section 3",
        ("C", b"NOOP\r\nGET / HTTP/1.1\r\n"),
        ("S", b"+OK\r\n" + UNKNOWN),
    ),
    refused("bad-credentials", Refusal.BAD_CREDENTIALS, FAILED),
    refused("upstream-rejected", Refusal.UPSTREAM_REJECTED, FAILED),
    refused("expired", Refusal.EXPIRED, FAILED),
    refused("policy", Refusal.POLICY_DENIED, FAILED),
    refused("login-disabled", Refusal.LOGIN_DISABLED, FAILED),
    refused("session-limit", Refusal.SESSION_LIMIT, b"-ERR [IN-USE] Too many sessions.\r\n"),
    refused("aaa-down", Refusal.TEMPORARY, TRY_LATER),
    refused("upstream-down", Refusal.UPSTREAM_UNAVAILABLE, TRY_LATER),
    ended(EndReason.EVICTED, b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"),
    ended(EndReason.SHUTDOWN, b"-ERR [SYS/TEMP] Shutting down, try again later.\r\n"),
    ended(EndReason.LOGGED_OFF, b"-ERR [SYS/TEMP] Disconnected by the administrator.\r\n"),
    ended(EndReason.LOGIN_TIMEOUT, b"-ERR [SYS/TEMP] Too slow to log in.\r\n"),
    ended(EndReason.CLIENT_LOST, b""),
)

ALICE: Final = MailLogin(b"alice", b"secret")
MUELLER: Final = MailLogin(b"m\xc3\xbcller", b"pa ss")
PLAIN_MUELLER: Final = b64encode(b"\0m\xc3\xbcller\0pa ss")
LONG: Final = MailLogin(b"alice", b"x" * 300)
HAS_PLAIN: Final = b"+OK\r\nTOP\r\n\r\nSASL CRAM-MD5 PLAIN\r\nUIDL\r\n.\r\n"


def asked(name: str, rfc: str, *steps: Turn, login: MailLogin = ALICE, start_tls: bool = False) -> ClientConversation:
    settings = ClientSettings(b"gateway.example.org", start_tls)
    return ClientConversation(
        name, rfc, (("U", b"+OK Dovecot ready. <1896.697170952@example.org>\r\n"), *steps), settings, login
    )


def heard_first(name: str, greeting: bytes, happening: Refusal | type[ProtocolError]) -> ClientConversation:
    steps: tuple[Turn, ...] = (("U", greeting), ("E", happening))
    return ClientConversation(name, "RFC 1939 section 4", steps, ClientSettings(b"gateway.example.org"), ALICE)


def turned_down(name: str, rfc: str, reply: bytes, happening: Refusal | type[ProtocolError]) -> ClientConversation:
    return asked(
        f"upstream-{name}",
        rfc,
        ("G", b"USER alice\r\n"),
        ("U", b"+OK\r\n"),
        ("G", b"PASS secret\r\n"),
        ("U", reply),
        ("E", happening),
    )


CLIENT: Final[tuple[ClientConversation, ...]] = (
    asked(
        "upstream-user-pass",
        "RFC 1939 section 7",
        ("G", b"USER alice\r\n"),
        ("U", b"+OK\r\n"),
        ("G", b"PASS secret\r\n"),
        ("U", b"+OK Logged in.\r\n"),
        ("E", LoggedIn(READY)),
    ),
    asked(
        "upstream-user-pass-with-inner-spaces",
        "RFC 1939 section 7",
        ("G", b"USER alice\r\n"),
        ("U", b"+OK\r\n"),
        ("G", b"PASS two  words\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MailLogin(b"alice", b"two  words"),
    ),
    asked(
        "upstream-user-pass-of-one-letter",
        "RFC 1939 section 7",
        ("G", b"USER a\r\n"),
        ("U", b"+OK\r\n"),
        ("G", b"PASS b\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MailLogin(b"a", b"b"),
    ),
    asked(
        "upstream-user-pass-of-the-greatest-length",
        "RFC 2449 section 4",
        ("G", b"USER " + b"u" * 248 + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("G", b"PASS " + b"p" * 248 + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MailLogin(b"u" * 248, b"p" * 248),
    ),
    *(
        asked(
            f"upstream-cannot-be-told-{name}-by-user-pass",
            "RFC 2449 section 4",
            ("G", b"CAPA\r\n"),
            ("U", b"-ERR\r\n"),
            ("E", Refusal.UPSTREAM_UNAVAILABLE),
            login=login,
        )
        for name, login in (
            ("a-longer-user", MailLogin(b"u" * 249, b"secret")),
            ("a-longer-password", MailLogin(b"alice", b"p" * 249)),
            ("a-space-in-the-user", MailLogin(b"alice smith", b"secret")),
            ("a-space-before-the-password", MailLogin(b"alice", b" secret")),
            ("a-space-behind-the-password", MailLogin(b"alice", b"secret ")),
            ("a-tab", MailLogin(b"alice", b"sec\tret")),
            ("a-delete", MailLogin(b"alice", b"sec\x7fret")),
        )
    ),
    asked(
        "upstream-octets-behind-the-login-stay",
        "RFC 1939 section 7",
        ("G", b"USER alice\r\n"),
        ("U", b"+OK\r\n"),
        ("G", b"PASS secret\r\n"),
        ("U", b"+OK\r\n+OK surprise\r\n"),
        ("E", LoggedIn(READY)),
        ("R", b"+OK surprise\r\n"),
    ),
    asked(
        "upstream-auth-plain-for-8-bit",
        "RFC 5034 section 4",
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN " + PLAIN_MUELLER + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MUELLER,
    ),
    asked(
        "upstream-announces-auth-plain-in-small-letters",
        "RFC 2449 section 5",
        ("G", b"CAPA\r\n"),
        ("U", b"+OK\r\nsasl plain\r\n.\r\n"),
        ("G", b"AUTH PLAIN " + PLAIN_MUELLER + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MUELLER,
    ),
    asked(
        "upstream-auth-plain-of-the-greatest-length-for-a-command",
        "RFC 5034 section 4",
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN " + b64encode(b"\0alice\0" + b" " * 173) + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MailLogin(b"alice", b" " * 173),
    ),
    asked(
        "upstream-auth-plain-one-octet-longer",
        "RFC 5034 section 4",
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN\r\n"),
        ("U", b"+\r\n"),
        ("G", b64encode(b"\0alice\0" + b" " * 174) + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MailLogin(b"alice", b" " * 174),
    ),
    asked(
        "upstream-auth-plain-for-a-long-password",
        "RFC 5034 section 4",
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN\r\n"),
        ("U", b"+ \r\n"),
        ("G", b64encode(b"\0alice\0" + b"x" * 300) + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=LONG,
    ),
    asked(
        "upstream-auth-plain-refuses-to-ask",
        "RFC 5034 section 4",
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN\r\n"),
        ("U", b"-ERR\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        login=LONG,
    ),
    asked(
        "upstream-auth-plain-is-taken-without-a-password",
        "RFC 5034 section 4",
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN\r\n"),
        ("U", b"+OK\r\n"),
        ("E", ProtocolError),
        login=LONG,
    ),
    asked(
        "upstream-auth-plain-rejected",
        "RFC 3206 section 4",
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN " + PLAIN_MUELLER + b"\r\n"),
        ("U", b"-ERR [AUTH] no\r\n"),
        ("E", Refusal.UPSTREAM_REJECTED),
        login=MUELLER,
    ),
    asked(
        "upstream-without-sasl-cannot-be-told-8-bit",
        "RFC 2449 section 5",
        ("G", b"CAPA\r\n"),
        ("U", b"+OK\r\nUSER\r\nSASL CRAM-MD5\r\n.\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        login=MUELLER,
    ),
    asked(
        "upstream-without-capa-cannot-be-told-8-bit",
        "RFC 2449 section 5",
        ("G", b"CAPA\r\n"),
        ("U", b"-ERR unknown command\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        login=MUELLER,
    ),
    asked(
        "upstream-never-ends-its-capa",
        "RFC 2449 section 5",
        ("G", b"CAPA\r\n"),
        ("U", b"+OK\r\n" + b"X\r\n" * MAX_LINES),
        ("E", ProtocolError),
        login=MUELLER,
    ),
    asked(
        "upstream-says-too-much",
        "RFC 2449 section 5",
        ("G", b"CAPA\r\n"),
        ("U", b"+OK\r\n" + (b"X" * 8192 + b"\r\n") * (MAX_OCTETS // 8192)),
        ("E", ProtocolError),
        login=MUELLER,
    ),
    *(
        asked(f"upstream-never-told-{name}", "RFC 4616 section 2", ("E", Refusal.BAD_CREDENTIALS), login=login)
        for name, login in (
            ("a-nul", MailLogin(b"al\0ice", b"secret")),
            ("a-line-end", MailLogin(b"alice", b"x\r\nDELE 1")),
            ("an-empty-password", MailLogin(b"alice", b"")),
            ("an-empty-user", MailLogin(b"", b"secret")),
            ("an-endless-password", MailLogin(b"alice", b"x" * MAX_AUTH_LINE_OCTETS)),
        )
    ),
    asked(
        "upstream-stls",
        "RFC 2595 section 4",
        ("G", b"STLS\r\n"),
        ("U", b"+OK\r\n"),
        ("E", StartTls()),
        ("T", b""),
        ("G", b"USER alice\r\n"),
        ("U", b"+OK\r\n"),
        ("G", b"PASS secret\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        start_tls=True,
    ),
    asked(
        "upstream-stls-asks-capa-behind-tls",
        "RFC 2595 section 4",
        ("G", b"STLS\r\n"),
        ("U", b"+OK\r\n"),
        ("E", StartTls()),
        ("T", b""),
        ("G", b"CAPA\r\n"),
        ("U", HAS_PLAIN),
        ("G", b"AUTH PLAIN " + PLAIN_MUELLER + b"\r\n"),
        ("U", b"+OK\r\n"),
        ("E", LoggedIn(READY)),
        login=MUELLER,
        start_tls=True,
    ),
    asked(
        "upstream-stls-refused-tells-nothing",
        "RFC 2595 section 4",
        ("G", b"STLS\r\n"),
        ("U", b"-ERR unknown command\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        start_tls=True,
    ),
    asked(
        "upstream-stls-injection-stays-unread",
        "RFC 2595 section 4",
        ("G", b"STLS\r\n"),
        ("U", b"+OK\r\n+OK injected\r\n"),
        ("E", StartTls()),
        ("R", b"+OK injected\r\n"),
        start_tls=True,
    ),
    asked(
        "upstream-rejects-the-user",
        "RFC 1939 section 7",
        ("G", b"USER alice\r\n"),
        ("U", b"-ERR never heard of alice\r\n"),
        ("E", Refusal.UPSTREAM_REJECTED),
    ),
    turned_down("rejects-without-a-code", "RFC 1939 section 7", b"-ERR\r\n", Refusal.UPSTREAM_REJECTED),
    turned_down("rejects", "RFC 3206 section 4", b"-ERR [AUTH] wrong\r\n", Refusal.UPSTREAM_REJECTED),
    turned_down("is-broken", "RFC 3206 section 4", b"-ERR [sys/temp] no disk\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    turned_down("is-broken-for-good", "RFC 3206 section 4", b"-ERR [SYS/PERM] x\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    turned_down("wants-a-delay", "RFC 2449 section 8", b"-ERR [LOGIN-DELAY] x\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    turned_down("is-in-use", "RFC 2449 section 8", b"-ERR [IN-USE] locked\r\n", Refusal.SESSION_LIMIT),
    turned_down("has-an-open-code", "RFC 2449 section 8", b"-ERR [IN-USE\r\n", Refusal.UPSTREAM_REJECTED),
    turned_down("has-a-closed-code", "RFC 2449 section 8", b"-ERR xIN-USE] x\r\n", Refusal.UPSTREAM_REJECTED),
    turned_down("asks-more", "RFC 1939 section 7", b"+ \r\n", ProtocolError),
    turned_down("talks-smtp", "RFC 1939 section 3", b"250 OK\r\n", ProtocolError),
    heard_first("upstream-greets-with-an-error", b"-ERR go away\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    heard_first("upstream-greets-in-imap", b"* OK ready\r\n", ProtocolError),
    heard_first("upstream-greets-with-nothing", b"\r\n", ProtocolError),
    heard_first("upstream-greets-with-a-challenge", b"+ \r\n", ProtocolError),
)

CONVERSATIONS: Final[tuple[Conversation, ...]] = (*SERVER, *CLIENT)
