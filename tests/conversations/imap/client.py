"""IMAP, CLIENT role: mail servers as they are, as they may be, and as they must not be."""

from base64 import b64encode

from gateway.errors import FrameTooLong
from gateway.errors import ProtocolError
from gateway.outcome import Refusal
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import MailLogin
from gateway.protocol.base import StartTls
from gateway.protocol.base import UpstreamReady
from tests.support.conversation import ClientConversation
from tests.support.conversation import Conversation
from tests.support.conversation import Turn

SETTINGS = ClientSettings(b"gateway.example.com")
WITH_TLS = ClientSettings(b"gateway.example.com", start_tls=True)
ALICE = MailLogin(b"alice", b"secret")
QUOTED = b'g3 LOGIN "alice" "secret"\r\n'
GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+] Dovecot ready.\r\n"
READY = LoggedIn(UpstreamReady((b"IMAP4rev1", b"IDLE")))
OK_READY = b"g3 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n"
UMLAUT = MailLogin(b"\xc3\xa4", b"secret")
PLAIN_UMLAUT = b64encode(b"\0\xc3\xa4\0secret")


def logging_in(
    name: str,
    rfc: str,
    *steps: Turn,
    settings: ClientSettings = SETTINGS,
    login: MailLogin = ALICE,
) -> ClientConversation:
    return ClientConversation(name, rfc, steps, settings, login)


def greeted(
    name: str, rfc: str, *steps: Turn, capabilities: bytes = b"LITERAL+", login: MailLogin = ALICE
) -> Conversation:
    """A mail server that says its capabilities at once."""
    greeting = b"* OK [CAPABILITY IMAP4rev1 " + capabilities + b"] ready\r\n"
    return logging_in(name, rfc, ("U", greeting), *steps, login=login)


def answered(name: str, rfc: str, answer: bytes, outcome: LoggedIn | Refusal | type[ProtocolError]) -> Conversation:
    """A mail server that answers our LOGIN with `answer`."""
    return greeted(name, rfc, ("G", QUOTED), ("U", answer), ("E", outcome))


LOGINS: tuple[Conversation, ...] = (
    greeted("client-quoted", "RFC 9051 section 6.2.3", ("G", QUOTED), ("U", OK_READY), ("E", READY)),
    logging_in(
        "client-asks-capabilities",
        "RFC 9051 section 6.1.1",
        ("U", b"* OK IMAP4 server\r\n"),
        ("G", b"g2 CAPABILITY\r\n"),
        ("U", b"* CAPABILITY IMAP4rev1\r\ng2 OK done\r\n"),
        ("G", QUOTED),
        ("U", b"g3 OK done\r\n"),
        ("G", b"g4 CAPABILITY\r\n"),
        ("U", b"* CAPABILITY IMAP4rev1 IDLE\r\ng4 OK done\r\n"),
        ("E", READY),
    ),
    greeted(
        "client-capability-before-the-ok",
        "RFC 9051 section 7.2.2",
        ("G", QUOTED),
        ("U", b"* CAPABILITY IMAP4rev1 IDLE\r\ng3 OK alice@example.com authenticated (Success)\r\n"),
        ("E", READY),
    ),
    greeted(
        "client-untagged-noise",
        "RFC 9051 section 7",
        ("G", QUOTED),
        ("U", b"* OK [ALERT] Maintenance tonight\r\n* NO careful\r\n* BAD hm\r\n* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n"),
        ("U", OK_READY),
        ("E", READY),
    ),
    greeted(
        "client-capabilities-never-said",
        "RFC 9051 section 6.1.1",
        ("G", QUOTED),
        ("U", b"g3 OK done\r\n"),
        ("G", b"g4 CAPABILITY\r\n"),
        ("U", b"g4 BAD what\r\n"),
        ("E", LoggedIn(UpstreamReady())),
    ),
    greeted(
        "client-capabilities-that-are-no-atoms",
        "RFC 9051 section 9",
        ("G", QUOTED),
        ("U", b'g3 ok [capability IMAP4rev1 A"B X\x01 {5+} \xff  IDLE] in\r\n'),
        ("E", READY),
    ),
    greeted(
        "client-octets-behind-the-ok",
        "RFC 9051 section 7",
        ("G", QUOTED),
        ("U", OK_READY + b"* 1 EXISTS\r\n"),
        ("E", READY),
        ("R", b"* 1 EXISTS\r\n"),
    ),
    greeted(
        "client-referral-in-the-ok",
        "RFC 2221 section 4.1",
        ("G", QUOTED),
        ("U", b"* CAPABILITY IMAP4rev1 IDLE\r\ng3 OK [REFERRAL imap://other/] try that one\r\n"),
        ("E", READY),
    ),
    greeted(
        "client-literals",
        "RFC 9051 section 4.3",
        ("G", b"g3 LOGIN {6}\r\n"),
        ("U", b"+ go on\r\n"),
        ("G", b'al"ice {7}\r\n'),
        ("U", b"+\r\n"),
        ("G", b"sec\\ret\r\n"),
        ("U", OK_READY),
        ("E", READY),
        capabilities=b"AUTH=PLAIN",
        login=MailLogin(b'al"ice', b"sec\\ret"),
    ),
    greeted(
        "client-literal-password-only",
        "RFC 9051 section 4.3",
        ("G", b'g3 LOGIN "alice" {5}\r\n'),
        ("U", b"+ go on\r\n"),
        ("G", b"p\xc3\xa4ss\r\n"),
        ("U", OK_READY),
        ("E", READY),
        capabilities=b"SASL-IR",
        login=MailLogin(b"alice", b"p\xc3\xa4ss"),
    ),
    greeted(
        "client-literals-non-synchronizing",
        "RFC 7888 section 4",
        ("G", b'g3 LOGIN {2+}\r\n\xc3\xa4 {6+}\r\ns"cret\r\n'),
        ("U", OK_READY),
        ("E", READY),
        login=MailLogin(b"\xc3\xa4", b's"cret'),
    ),
    greeted(
        "client-longest-quoted",
        "RFC 9051 section 4.3",
        ("G", b'g3 LOGIN "' + b"u" * 1024 + b'" {1025+}\r\n' + b"p" * 1025 + b"\r\n"),
        ("U", OK_READY),
        ("E", READY),
        login=MailLogin(b"u" * 1024, b"p" * 1025),
    ),
    greeted(
        "client-literal-refused",
        "RFC 9051 section 4.3",
        ("G", b"g3 LOGIN {2}\r\n"),
        ("U", b"g3 BAD no literals here\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        capabilities=b"X",
        login=UMLAUT,
    ),
    greeted(
        "client-plain-initial-response",
        "RFC 4959 section 3",
        ("G", b"g3 AUTHENTICATE PLAIN " + PLAIN_UMLAUT + b"\r\n"),
        ("U", OK_READY),
        ("E", READY),
        capabilities=b"SASL-IR AUTH=PLAIN LITERAL+",
        login=UMLAUT,
    ),
    greeted(
        "client-plain",
        "RFC 9051 section 6.2.2",
        ("G", b"g3 AUTHENTICATE PLAIN\r\n"),
        ("U", b"+ \r\n"),
        ("G", PLAIN_UMLAUT + b"\r\n"),
        ("U", OK_READY),
        ("E", READY),
        capabilities=b"auth=plain LITERAL+",
        login=UMLAUT,
    ),
    greeted(
        "client-plain-too-long-for-the-command",
        "RFC 4959 section 3",
        ("G", b"g3 AUTHENTICATE PLAIN\r\n"),
        ("U", b"+ \r\n"),
        ("G", b64encode(b"\0\xc3\xa4\0" + b"p" * 8000) + b"\r\n"),
        ("U", OK_READY),
        ("E", READY),
        capabilities=b"SASL-IR AUTH=PLAIN",
        login=MailLogin(b"\xc3\xa4", b"p" * 8000),
    ),
    greeted(
        "client-logindisabled-with-plain",
        "RFC 9051 section 6.2.3",
        ("G", b"g3 AUTHENTICATE PLAIN " + b64encode(b"\0alice\0secret") + b"\r\n"),
        ("U", OK_READY),
        ("E", READY),
        capabilities=b"LOGINDISABLED SASL-IR AUTH=PLAIN",
    ),
    greeted(
        "client-logindisabled",
        "RFC 9051 section 6.2.3",
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        capabilities=b"LOGINDISABLED STARTTLS AUTH=CRAM-MD5",
    ),
)

STARTTLS: tuple[Conversation, ...] = (
    logging_in(
        "client-starttls",
        "RFC 9051 section 6.2.1",
        ("U", b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n"),
        ("G", b"g1 STARTTLS\r\n"),
        ("U", b"g1 OK begin\r\n"),
        ("E", StartTls()),
        ("T", b""),
        ("G", b"g2 CAPABILITY\r\n"),
        ("U", b"* CAPABILITY IMAP4rev1\r\ng2 OK done\r\n"),
        ("G", QUOTED),
        ("U", OK_READY),
        ("E", READY),
        settings=WITH_TLS,
    ),
    logging_in(
        "client-starttls-forgets-capabilities",
        "RFC 9051 section 6.2.1",
        ("U", b"* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN] ready\r\n"),
        ("G", b"g1 STARTTLS\r\n"),
        ("U", b"* CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN\r\ng1 OK begin\r\n"),
        ("E", StartTls()),
        ("T", b""),
        ("G", b"g2 CAPABILITY\r\n"),
        ("U", b"* CAPABILITY IMAP4rev1\r\ng2 OK done\r\n"),
        ("G", b"g3 LOGIN {2}\r\n"),
        ("U", b"g3 NO [UNAVAILABLE] no\r\n"),
        ("E", Refusal.UPSTREAM_UNAVAILABLE),
        settings=WITH_TLS,
        login=UMLAUT,
    ),
    *(
        logging_in(
            f"client-starttls-{name}",
            "RFC 9051 section 6.2.1",
            ("U", b"* OK ready\r\n"),
            ("G", b"g1 STARTTLS\r\n"),
            ("U", answer),
            ("E", outcome),
            settings=WITH_TLS,
        )
        for name, answer, outcome in (
            ("no", b"g1 NO not here\r\n", Refusal.UPSTREAM_UNAVAILABLE),
            ("bad", b"g1 BAD unknown command\r\n", Refusal.UPSTREAM_UNAVAILABLE),
            ("preauth", b"* PREAUTH welcome\r\n", Refusal.UPSTREAM_UNAVAILABLE),
            ("bye", b"* BYE\r\n", Refusal.UPSTREAM_UNAVAILABLE),
            ("answer-to-the-login", b"g3 OK in\r\n", ProtocolError),
            ("continuation", b"+ go\r\n", ProtocolError),
        )
    ),
    logging_in(
        "client-starttls-octets-behind",
        "RFC 9051 section 6.2.1",
        ("U", b"* OK ready\r\n"),
        ("G", b"g1 STARTTLS\r\n"),
        ("U", b"g1 OK begin\r\n* CAPABILITY AUTH=EVIL\r\n"),
        ("E", StartTls()),
        ("R", b"* CAPABILITY AUTH=EVIL\r\n"),
        settings=WITH_TLS,
    ),
)

ANSWERS: tuple[Conversation, ...] = tuple(
    answered(f"client-answer-{name}", "RFC 5530 section 3", answer, outcome)
    for name, answer, outcome in (
        ("no", b"g3 NO wrong\r\n", Refusal.UPSTREAM_REJECTED),
        ("no-without-text", b"g3 NO\r\n", Refusal.UPSTREAM_REJECTED),
        ("authenticationfailed", b"g3 NO [AUTHENTICATIONFAILED] wrong\r\n", Refusal.UPSTREAM_REJECTED),
        ("authorizationfailed", b"g3 no [authorizationfailed] wrong\r\n", Refusal.UPSTREAM_REJECTED),
        ("alert", b"g3 NO [ALERT] Application-specific password required\r\n", Refusal.UPSTREAM_REJECTED),
        ("unfinished-code", b"g3 NO [UNAVAILABLE\r\n", Refusal.UPSTREAM_REJECTED),
        ("unavailable", b"g3 NO [UNAVAILABLE] later\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("inuse", b"g3 NO [INUSE] later\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("serverbug", b"g3 NO [SERVERBUG] oh\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("privacyrequired", b"g3 NO [PRIVACYREQUIRED] TLS\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("referral", b"g3 NO [REFERRAL imap://other/] there\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("limit", b"g3 NO [LIMIT] too many\r\n", Refusal.SESSION_LIMIT),
        ("expired", b"g3 NO [EXPIRED] change it\r\n", Refusal.EXPIRED),
        ("bad", b"g3 BAD what\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("bye", b"* BYE [UNAVAILABLE] overload\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("preauth", b"* PREAUTH you are root\r\n", Refusal.UPSTREAM_UNAVAILABLE),
        ("tagged-other-word", b"g3 PERHAPS\r\n", ProtocolError),
        ("other-tag", b"g2 OK [CAPABILITY IMAP4rev1] in\r\n", ProtocolError),
        ("foreign-tag", b"a1 OK in\r\n", ProtocolError),
        ("continuation", b"+ and?\r\n", ProtocolError),
        ("literal", b"* LIST () {5}\r\n", ProtocolError),
        ("nul", b"g3 OK \0\r\n", ProtocolError),
        ("empty", b"\r\n", ProtocolError),
        ("star-alone", b"*\r\n", ProtocolError),
        ("more-than-100-lines", b"* OK wait\r\n" * 101, ProtocolError),
        ("more-than-32-KiB", (b"* OK " + b"x" * 8000 + b"\r\n") * 5, ProtocolError),
    )
)

GREETINGS: tuple[Conversation, ...] = (
    *(
        logging_in(f"client-greeting-{name}", "RFC 9051 section 7.1", ("U", greeting), ("E", outcome))
        for name, greeting, outcome in (
            ("preauth", b"* PREAUTH [CAPABILITY IMAP4rev1] welcome\r\n", Refusal.UPSTREAM_UNAVAILABLE),
            ("bye", b"* BYE overload\r\n", Refusal.UPSTREAM_UNAVAILABLE),
            ("no", b"* NO\r\n", ProtocolError),
            ("pop3", b"+OK POP3 ready\r\n", ProtocolError),
            ("smtp", b"220 mail.example.com ESMTP\r\n", ProtocolError),
            ("http", b"HTTP/1.1 400 Bad Request\r\n", ProtocolError),
            ("capability", b"* CAPABILITY IMAP4rev1\r\n", ProtocolError),
            ("tagged", b"g1 OK in\r\n", ProtocolError),
            ("endless", b"x" * 8193, FrameTooLong),
        )
    ),
    logging_in(
        "client-hears-answers-ahead-of-questions",
        "RFC 9051 section 7",
        ("U", b"* OK ready\r\ng3 OK [CAPABILITY IMAP4rev1] in\r\n"),
        ("G", b"g2 CAPABILITY\r\n"),
        ("E", ProtocolError),
    ),
)
