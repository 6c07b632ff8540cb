"""SMTP submission, both roles."""

from base64 import b64encode
from typing import Final

from gateway.errors import ProtocolError
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol import smtp
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
from tests.support.conversation import ClientConversation
from tests.support.conversation import Conversation
from tests.support.conversation import ServerConversation
from tests.support.conversation import Turn

SPEC: Final = smtp.SPEC

SETTINGS: Final = ServerSettings(b"mail.example.org", (b"PIPELINING", b"SIZE 52428800", b"8BITMIME"))
READY: Final = UpstreamReady((b"PIPELINING", b"SIZE 1000"))

GREETING: Final = b"220 mail.example.org ESMTP\r\n"
EXTENSIONS: Final = (
    b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
)
FAILED: Final = b"535 5.7.8 Authentication failed\r\n"
TRY_LATER: Final = b"454 4.7.0 Authentication is not possible at the moment, try again later\r\n"
LOGGED_IN: Final = b"235 2.7.0 Authentication successful\r\n"
OK: Final = b"250 2.0.0 OK\r\n"
BYE: Final = b"221 2.0.0 Bye\r\n"
UNKNOWN: Final = b"500 5.5.2 Unknown command\r\n"
LOG_IN_FIRST: Final = b"530 5.7.0 Authentication required\r\n"
MALFORMED: Final = b"501 5.5.2 Malformed authentication data\r\n"
CANCELLED: Final = b"501 5.5.2 Authentication cancelled\r\n"
TOO_MANY_ERRORS: Final = b"421 4.7.0 Too many bad commands\r\n"
LINE_TOO_LONG: Final = b"500 5.5.6 Line too long\r\n"
USER_CHALLENGE: Final = b"334 VXNlcm5hbWU6\r\n"
PASSWORD_CHALLENGE: Final = b"334 UGFzc3dvcmQ6\r\n"

PLAIN_ALICE: Final = b64encode(b"\0alice\0secret")
AUTH_ALICE: Final = b"AUTH PLAIN " + PLAIN_ALICE + b"\r\n"
ALICE_BY_PLAIN: Final = LoginAttempt("PLAIN", b"alice", b"secret")
ALICE_BY_LOGIN: Final = LoginAttempt("LOGIN", b"alice", b"secret")


def met(name: str, rfc: str, *steps: Turn, settings: ServerSettings = SETTINGS) -> ServerConversation:
    """A conversation from the greeting on."""
    return ServerConversation(name, rfc, (("S", GREETING), *steps), settings)


def served(name: str, rfc: str, *steps: Turn) -> ServerConversation:
    """A conversation from EHLO on."""
    return met(name, rfc, ("C", b"EHLO client.example\r\n"), ("S", EXTENSIONS), *steps)


def refused(name: str, refusal: Refusal, reply: bytes) -> ServerConversation:
    return served(
        f"refused-{name}",
        "RFC 4954 section 6",
        ("C", AUTH_ALICE + b"NOOP\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", refusal),
        ("S", reply + OK),
    )


def ended(reason: EndReason, farewell: bytes) -> ServerConversation:
    return served(f"ended-{reason.value}", "RFC 5321 section 3.8", ("D", reason), ("S", farewell))


def silenced(name: str, octets: bytes) -> ServerConversation:
    return met(name, "RFC 5321 section 4.5.2", ("C", octets), ("E", Closed(EndReason.NOT_THIS_PROTOCOL)))


SERVER: Final[tuple[ServerConversation, ...]] = (
    met("helo", "RFC 5321 section 4.1.1.1", ("C", b"HELO client.example\r\n"), ("S", b"250 mail.example.org\r\n")),
    served("ehlo", "RFC 5321 section 4.1.1.1"),
    met(
        "ehlo-without-extensions",
        "RFC 5321 section 4.1.1.1",
        ("C", b"EHLO [127.0.0.1]\r\n"),
        ("S", b"250-mail.example.org\r\n250 AUTH PLAIN\r\n"),
        settings=ServerSettings(b"mail.example.org", (), ("PLAIN",)),
    ),
    met(
        "ehlo-needs-a-name",
        "RFC 5321 section 4.1.1.1",
        ("C", b"EHLO\r\nHELO \r\n"),
        ("S", b"501 5.5.4 EHLO needs a name\r\n501 5.5.4 HELO needs a name\r\n"),
    ),
    served(
        "ehlo-again",
        "RFC 5321 section 4.1.4",
        ("C", b"ehlo other.example \nNoOp\nRSET\n"),
        ("S", EXTENSIONS + OK + OK),
    ),
    served(
        "auth-plain-with-initial-response",
        "RFC 4954 section 4",
        ("C", AUTH_ALICE),
        ("E", ALICE_BY_PLAIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "auth-plain-with-challenge",
        "RFC 4954 section 4",
        ("C", b"auth plain\r\n"),
        ("S", b"334 \r\n"),
        ("C", PLAIN_ALICE + b"\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "auth-plain-keeps-the-authorization-id",
        "RFC 4616 section 2",
        ("C", b"AUTH PLAIN " + b64encode(b"boss\0vpn:alice@smtp.example.com\0vpn:secret") + b"\r\n"),
        ("E", LoginAttempt("PLAIN", b"vpn:alice@smtp.example.com", b"vpn:secret", b"boss")),
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
        "RFC 4954 section 4",
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
        "auth-login-with-user-name",
        "RFC 4954 section 4",
        ("C", b"AUTH LOGIN " + b64encode(b"alice") + b"\r\n"),
        ("S", PASSWORD_CHALLENGE),
        ("E", UserNamed()),
        ("C", b64encode(b"secret") + b"\r\n"),
        ("E", ALICE_BY_LOGIN),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED),
    ),
    served(
        "auth-again-after-a-failure",
        "RFC 4954 section 4",
        ("C", AUTH_ALICE),
        ("E", ALICE_BY_PLAIN),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED),
        ("C", b"AUTH LOGIN " + b64encode(b"alice") + b"\r\n" + b64encode(b"secret") + b"\r\n"),
        ("S", PASSWORD_CHALLENGE),
        ("E", UserNamed()),
        ("E", ALICE_BY_LOGIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "auth-cancelled",
        "RFC 4954 section 4",
        ("C", b"AUTH PLAIN\r\n*\r\nAUTH LOGIN\r\n*\r\nNOOP\r\n"),
        ("S", b"334 \r\n" + CANCELLED + USER_CHALLENGE + CANCELLED + OK),
    ),
    served(
        "auth-with-empty-initial-response",
        "RFC 4954 section 4",
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
        "RFC 4954 section 4",
        ("C", b"AUTH PLAIN\r\nRSET \r\nAUTH PLAIN QUJD=\r\nNOOP\r\n"),
        ("S", b"334 \r\n" + MALFORMED + MALFORMED + OK),
    ),
    served(
        "auth-star-is-no-initial-response",
        "RFC 4954 section 4",
        ("C", b"AUTH PLAIN *\r\nNOOP\r\n"),
        ("S", MALFORMED + OK),
    ),
    met(
        "auth-before-ehlo",
        "RFC 4954 section 4",
        ("C", AUTH_ALICE),
        ("S", b"503 5.5.1 EHLO first\r\n"),
    ),
    met(
        "auth-after-helo",
        "RFC 4954 section 4",
        ("C", b"HELO client.example\r\n" + AUTH_ALICE),
        ("S", b"250 mail.example.org\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "auth-needs-a-mechanism",
        "RFC 4954 section 4",
        ("C", b"AUTH\r\nAUTH \r\n"),
        ("S", b"501 5.5.4 AUTH needs a mechanism\r\n" * 2),
    ),
    served(
        "auth-unknown-mechanism",
        "RFC 4954 section 4",
        ("C", b"AUTH GSSAPI\r\nAUTH CRAM-MD5 =\r\n"),
        ("S", b"504 5.5.4 Unknown mechanism\r\n" * 2),
    ),
    served(
        "auth-line-of-the-greatest-length",
        "RFC 4954 section 4",
        ("C", b"AUTH PLAIN " + b"A" * (MAX_AUTH_LINE_OCTETS - 11) + b"\r\n"),
        ("S", MALFORMED),
    ),
    served(
        "auth-line-too-long",
        "RFC 4954 section 4",
        ("C", b"AUTH PLAIN " + b"A" * (MAX_AUTH_LINE_OCTETS - 10) + b"\r\n"),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "auth-answer-too-long",
        "RFC 4954 section 4",
        ("C", b"AUTH PLAIN\r\n"),
        ("S", b"334 \r\n"),
        ("C", b"A" * (MAX_AUTH_LINE_OCTETS + 1)),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "line-of-the-greatest-length",
        "RFC 5321 section 4.5.3.1.4",
        ("C", b"NOOP " + b"x" * (MAX_LINE_OCTETS - 5) + b"\r\n"),
        ("S", OK),
    ),
    served(
        "line-too-long",
        "RFC 5321 section 4.5.3.1.4",
        ("C", b"NOOP " + b"x" * (MAX_LINE_OCTETS - 4) + b"\r\n"),
        ("S", LINE_TOO_LONG),
        ("E", Closed(EndReason.LINE_TOO_LONG)),
    ),
    served(
        "mail-before-auth",
        "RFC 4954 section 6",
        (
            "C",
            b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nVRFY b\r\nEXPN b\r\nHELP\r\nETRN x\r\n",
        ),
        ("S", LOG_IN_FIRST * 7),
        ("C", AUTH_ALICE),
        ("E", ALICE_BY_PLAIN),
        ("D", READY),
        ("S", LOGGED_IN),
    ),
    served(
        "bdat-before-auth-ends-it",
        "RFC 3030 section 2",
        ("C", b"BDAT 5 LAST\r\nQUIT\r\n"),
        ("S", LOG_IN_FIRST),
        ("E", Closed(EndReason.TOO_MUCH_INPUT)),
    ),
    served(
        "pipelined-mail-after-auth-goes-upstream",
        "RFC 2920 section 3.1",
        ("C", AUTH_ALICE + b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRSET\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", READY),
        ("S", LOGGED_IN),
        ("R", b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRSET\r\n"),
    ),
    served(
        "pipelined-mail-after-a-failed-auth-is-refused",
        "RFC 2920 section 3.1",
        ("C", AUTH_ALICE + b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nRSET\r\n"),
        ("E", ALICE_BY_PLAIN),
        ("D", Refusal.BAD_CREDENTIALS),
        ("S", FAILED + LOG_IN_FIRST * 3 + OK),
    ),
    served(
        "pipelined-rset-after-an-invalid-command",
        "RFC 2920 section 3.1",
        ("C", b"FOO bar\r\nRSET\r\n"),
        ("S", UNKNOWN + OK),
    ),
    served(
        "good-command-after-an-invalid-one",
        "RFC 5321 section 4.2.4",
        ("C", b"FO"),
        ("C", b"O\r\n"),
        ("S", UNKNOWN),
        ("C", b"RSE"),
        ("C", b"T\r\n"),
        ("S", OK),
    ),
    served(
        "starttls-is-an-error",
        "RFC 3207 section 4",
        ("C", b"STARTTLS\r\nNOOP\r\n"),
        ("S", b"502 5.5.1 TLS is already on\r\n" + OK),
    ),
    served(
        "proxy-commands-are-unknown",
        "RFC 5321 section 4.2.4",
        ("C", b"XCLIENT NAME=spike ADDR=127.0.0.1\r\nXFORWARD NAME=spike\r\n"),
        ("S", UNKNOWN * 2),
    ),
    met(
        "quit",
        "RFC 5321 section 4.1.1.10",
        ("C", b"QUIT\r\nNOOP\r\n"),
        ("S", BYE),
        ("E", Closed(EndReason.LOGOUT)),
    ),
    met(
        "the-last-error-of-the-budget-ends-it",
        "RFC 5321 section 3.8",
        ("C", b"FOO\r\n"),
        ("S", UNKNOWN),
        ("C", b"\r\n"),
        ("S", UNKNOWN),
        ("C", AUTH_ALICE),
        ("S", TOO_MANY_ERRORS),
        ("E", Closed(EndReason.TOO_MANY_ERRORS)),
    ),
    served(
        "the-last-error-of-the-budget-ends-it-pipelined",
        "RFC 2920 section 3.1",
        ("C", b"FOO\r\nNOOP\r\nSTARTTLS\r\nAUTH X\r\nNOOP\r\n"),
        ("S", UNKNOWN + OK + b"502 5.5.1 TLS is already on\r\n" + TOO_MANY_ERRORS),
        ("E", Closed(EndReason.TOO_MANY_ERRORS)),
    ),
    met(
        "too-many-commands",
        "RFC 5321 section 3.8",
        ("C", b"NOOP\r\nMAIL FROM:<>\r\nNOOP\r\n"),
        ("S", OK + LOG_IN_FIRST + b"421 4.7.0 Too much input before the login\r\n"),
        ("E", Closed(EndReason.TOO_MUCH_INPUT)),
        settings=ServerSettings(b"mail.example.org", (), max_commands=2),
    ),
    silenced("http-request", b"GET / HTTP/1.1\r\nHost: mail.example.org:988\r\n\r\n"),
    silenced("http-form", b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nEHLO x\r\nAUTH PLAIN AAA=\r\n"),
    silenced("nul-in-a-command", b"EHLO cli\0ent\r\n"),
    served(
        "nul-in-an-auth-answer",
        "RFC 4954 section 4",
        ("C", b"AUTH LOGIN\r\nYWxp\0Y2U=\r\n"),
        ("S", USER_CHALLENGE),
        ("E", Closed(EndReason.NOT_THIS_PROTOCOL)),
    ),
    met(
        "http-method-later-is-an-unknown-command",
        "RFC 5321 section 4.2.4",
        ("C", b"NOOP\r\nGET / HTTP/1.1\r\n"),
        ("S", OK + UNKNOWN),
    ),
    refused("bad-credentials", Refusal.BAD_CREDENTIALS, FAILED),
    refused("upstream-rejected", Refusal.UPSTREAM_REJECTED, FAILED),
    refused("expired", Refusal.EXPIRED, FAILED),
    refused("policy", Refusal.POLICY_DENIED, FAILED),
    refused("login-disabled", Refusal.LOGIN_DISABLED, b"525 5.7.13 Login disabled\r\n"),
    refused("session-limit", Refusal.SESSION_LIMIT, b"454 4.7.0 Too many sessions, try again later\r\n"),
    refused("aaa-down", Refusal.TEMPORARY, TRY_LATER),
    refused("upstream-down", Refusal.UPSTREAM_UNAVAILABLE, TRY_LATER),
    ended(EndReason.EVICTED, b"421 4.7.0 Too many connections, try again later\r\n"),
    ended(EndReason.SHUTDOWN, b"421 4.3.2 Shutting down\r\n"),
    ended(EndReason.LOGGED_OFF, b"421 4.7.0 Disconnected by the administrator\r\n"),
    ended(EndReason.LOGIN_TIMEOUT, b"421 4.7.0 Too slow to log in\r\n"),
    ended(EndReason.IDLE_TIMEOUT, b"421 4.7.0 Idle for too long\r\n"),
    ended(EndReason.TOO_MANY_FAILURES, b"421 4.7.0 Too many failed logins\r\n"),
    ended(EndReason.CLIENT_LOST, b""),
)

ALICE: Final = MailLogin(b"alice", b"secret")
TRUSTED: Final = MailLogin(b"alice", None)
LONG: Final = MailLogin(b"alice", b"x" * 400)

EHLO: Final = b"EHLO gateway.example.org\r\n"
OFFERS_BOTH: Final = b"250-smtp.example.com\r\n250-SIZE 1000\r\n250 AUTH LOGIN PLAIN XOAUTH2\r\n"
OFFERS_LOGIN: Final = b"250-smtp.example.com\r\n250-auth login\r\n250 8BITMIME\r\n"
OFFERS_NEITHER: Final = b"250-smtp.example.com\r\n250 AUTH GSSAPI\r\n"
OFFERS_NOTHING: Final = b"250 smtp.example.com\r\n"
OFFERS_TLS: Final = b"250-smtp.example.com\r\n250-AUTH PLAIN\r\n250-STARTTLS\r\n250 XEVIL\r\n"
READY_BOTH: Final = LoggedIn(UpstreamReady((b"SIZE 1000", b"AUTH LOGIN PLAIN XOAUTH2")))


def met_by(name: str, rfc: str, *steps: Turn, login: MailLogin = ALICE, start_tls: bool = False) -> ClientConversation:
    """A conversation from the mail server's greeting on."""
    return ClientConversation(name, rfc, steps, ClientSettings(b"gateway.example.org", start_tls), login)


def asked(
    name: str, offer: bytes, *steps: Turn, login: MailLogin = ALICE, start_tls: bool = False
) -> ClientConversation:
    """A conversation from the mail server's answer to EHLO on, all about AUTH."""
    hello: tuple[Turn, ...] = (("U", b"220-smtp.example.com\r\n220 ESMTP\r\n"), ("G", EHLO), ("U", offer))
    return met_by(name, "RFC 4954 section 4", *hello, *steps, login=login, start_tls=start_tls)


def turned_down(name: str, reply: bytes, happening: Refusal | type[ProtocolError]) -> ClientConversation:
    return asked(f"upstream-auth-{name}", OFFERS_BOTH, ("G", AUTH_ALICE), ("U", reply), ("E", happening))


def greeted(name: str, greeting: bytes, happening: Refusal | type[ProtocolError]) -> ClientConversation:
    return met_by(f"upstream-greeting-{name}", "RFC 5321 section 4.2", ("U", greeting), ("E", happening))


CLIENT: Final[tuple[ClientConversation, ...]] = (
    asked(
        "upstream-auth-plain",
        OFFERS_BOTH,
        ("G", AUTH_ALICE),
        ("U", b"235 2.7.0 OK\r\n"),
        ("E", READY_BOTH),
    ),
    asked(
        "upstream-auth-plain-without-text",
        OFFERS_BOTH,
        ("G", AUTH_ALICE),
        ("U", b"235\r\n220 surprise\r\n"),
        ("E", READY_BOTH),
        ("R", b"220 surprise\r\n"),
    ),
    asked(
        "upstream-auth-plain-of-the-greatest-length-for-a-command",
        OFFERS_BOTH,
        ("G", b"AUTH PLAIN " + b64encode(b"\0alice\0" + b"x" * 365) + b"\r\n"),
        ("U", b"235 2.7.0 OK\r\n"),
        ("E", READY_BOTH),
        login=MailLogin(b"alice", b"x" * 365),
    ),
    asked(
        "upstream-auth-plain-one-octet-longer",
        OFFERS_BOTH,
        ("G", b"AUTH PLAIN\r\n"),
        ("U", b"334\r\n"),
        ("G", b64encode(b"\0alice\0" + b"x" * 366) + b"\r\n"),
        ("U", b"235 2.7.0 OK\r\n"),
        ("E", READY_BOTH),
        login=MailLogin(b"alice", b"x" * 366),
    ),
    asked(
        "upstream-auth-plain-too-long-for-a-command",
        OFFERS_BOTH,
        ("G", b"AUTH PLAIN\r\n"),
        ("U", b"334 \r\n"),
        ("G", b64encode(b"\0alice\0" + b"x" * 400) + b"\r\n"),
        ("U", b"235 2.7.0 OK\r\n"),
        ("E", READY_BOTH),
        login=LONG,
    ),
    asked(
        "upstream-auth-plain-does-not-ask",
        OFFERS_BOTH,
        ("G", b"AUTH PLAIN\r\n"),
        ("U", b"235 2.7.0 OK\r\n"),
        ("E", ProtocolError),
        login=LONG,
    ),
    asked(
        "upstream-auth-login",
        OFFERS_LOGIN,
        ("G", b"AUTH LOGIN\r\n"),
        ("U", b"334 VXNlcm5hbWU6\r\n"),
        ("G", b64encode(b"alice") + b"\r\n"),
        ("U", b"334 UGFzc3dvcmQ6\r\n"),
        ("G", b64encode(b"secret") + b"\r\n"),
        ("U", b"235 2.7.0 OK\r\n"),
        ("E", LoggedIn(UpstreamReady((b"auth login", b"8BITMIME")))),
    ),
    asked(
        "upstream-auth-login-rejects-the-user",
        OFFERS_LOGIN,
        ("G", b"AUTH LOGIN\r\n"),
        ("U", b"334 VXNlcm5hbWU6\r\n"),
        ("G", b64encode(b"alice") + b"\r\n"),
        ("U", b"535 5.7.8 no\r\n"),
        ("E", Refusal.UPSTREAM_REJECTED),
    ),
    asked("upstream-trusts-us", OFFERS_BOTH, ("E", READY_BOTH), login=TRUSTED),
    asked("upstream-trusts-us-without-extensions", OFFERS_NOTHING, ("E", LoggedIn(UpstreamReady(()))), login=TRUSTED),
    asked("upstream-offers-no-auth", OFFERS_NOTHING, ("E", Refusal.UPSTREAM_UNAVAILABLE)),
    asked("upstream-offers-no-mechanism-of-ours", OFFERS_NEITHER, ("E", Refusal.UPSTREAM_UNAVAILABLE)),
    *(
        asked(f"upstream-never-told-{name}", OFFERS_BOTH, ("E", Refusal.BAD_CREDENTIALS), login=login)
        for name, login in (
            ("a-nul", MailLogin(b"alice", b"sec\0ret")),
            ("a-line-end", MailLogin(b"alice\nRSET", b"secret")),
            ("an-empty-password", MailLogin(b"alice", b"")),
            ("an-empty-user", MailLogin(b"", b"secret")),
            ("an-endless-password", MailLogin(b"alice", b"x" * MAX_AUTH_LINE_OCTETS)),
        )
    ),
    asked(
        "upstream-starttls",
        OFFERS_TLS,
        ("G", b"STARTTLS\r\n"),
        ("U", b"220 go\r\n"),
        ("E", StartTls()),
        ("T", b""),
        ("G", EHLO),
        ("U", OFFERS_BOTH),
        ("G", AUTH_ALICE),
        ("U", b"235 OK\r\n"),
        ("E", READY_BOTH),
        start_tls=True,
    ),
    asked(
        "upstream-starttls-forgets-the-extensions-before",
        OFFERS_TLS,
        ("G", b"STARTTLS\r\n"),
        ("U", b"220 go\r\n"),
        ("E", StartTls()),
        ("T", b""),
        ("G", EHLO),
        ("U", OFFERS_NOTHING),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        start_tls=True,
    ),
    asked(
        "upstream-starttls-without-auth",
        OFFERS_TLS,
        ("G", b"STARTTLS\r\n"),
        ("U", b"220 go\r\n"),
        ("E", StartTls()),
        ("T", b""),
        ("G", EHLO),
        ("U", OFFERS_NOTHING),
        ("E", LoggedIn(UpstreamReady(()))),
        login=TRUSTED,
        start_tls=True,
    ),
    asked("upstream-starttls-not-offered", OFFERS_BOTH, ("E", Refusal.UPSTREAM_UNAVAILABLE), start_tls=True),
    asked(
        "upstream-starttls-refused",
        OFFERS_TLS,
        ("G", b"STARTTLS\r\n"),
        ("U", b"454 4.7.0 TLS not available\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        start_tls=True,
    ),
    asked(
        "upstream-starttls-injection-stays-unread",
        OFFERS_TLS,
        ("G", b"STARTTLS\r\n"),
        ("U", b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n"),
        ("E", StartTls()),
        ("R", b"250-injected\r\n250 AUTH PLAIN\r\n"),
        start_tls=True,
    ),
    turned_down("wrong", b"535-5.7.8 wrong\r\n535 5.7.8 password\r\n", Refusal.UPSTREAM_REJECTED),
    turned_down("disabled", b"525 5.7.13 disabled\r\n", Refusal.UPSTREAM_REJECTED),
    turned_down("denied", b"550 5.7.1 denied\r\n", Refusal.UPSTREAM_REJECTED),
    turned_down("too-weak", b"534 5.7.9 too weak\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    turned_down("wants-tls", b"538 5.7.11 encryption required\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    turned_down("unknown-mechanism", b"504 5.5.4 unknown\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    *(
        turned_down(f"{code}-is-no-verdict", b"%d x\r\n" % code, Refusal.UPSTREAM_UNAVAILABLE)
        for code in (400, 500, 501, 502, 503, 504, 521, 523, 530, 534, 538)
    ),
    *(
        turned_down(f"{code}-is-a-verdict", b"%d x\r\n" % code, Refusal.UPSTREAM_REJECTED)
        for code in (505, 520, 522, 524, 525, 531, 533, 535, 550, 554)
    ),
    turned_down("temporary", b"454 4.7.0 later\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    turned_down("shutting-down", b"421 4.3.2 bye\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    turned_down("asks-more", b"334 \r\n", ProtocolError),
    turned_down("other-success", b"250 OK\r\n", ProtocolError),
    greeted("shutting-down", b"421 4.3.2 bye\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    greeted("no-service", b"554-no\r\n554 service\r\n", Refusal.UPSTREAM_UNAVAILABLE),
    greeted("in-pop3", b"+OK ready\r\n", ProtocolError),
    greeted("other-code", b"250 OK\r\n", ProtocolError),
    greeted("codes-that-change", b"220-smtp.example.com\r\n250 AUTH PLAIN\r\n", ProtocolError),
    greeted("code-out-of-range", b"120 soon\r\n", ProtocolError),
    greeted("code-without-separator", b"220ready\r\n", ProtocolError),
    greeted("two-digits", b"22 \r\n", ProtocolError),
    greeted("never-ends", b"220-more\r\n" * (MAX_LINES + 1), ProtocolError),
    met_by(
        "upstream-ehlo-unknown",
        "RFC 5321 section 3.2",
        ("U", b"220 smtp.example.com\r\n"),
        ("G", EHLO),
        ("U", b"502 5.5.2 what?\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
    ),
)

CONVERSATIONS: Final[tuple[Conversation, ...]] = (*SERVER, *CLIENT)
