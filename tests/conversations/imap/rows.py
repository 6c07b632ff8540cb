"""What the IMAP tables are made of: settings, answers, and the shapes that many rows have."""

from base64 import b64encode

from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol.base import Closed
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import ServerSettings
from tests.support.conversation import ServerConversation
from tests.support.conversation import Turn

SETTINGS = ServerSettings(b"mail.example.com", (b"IMAP4rev1", b"SASL-IR", b"LITERAL+", b"ID"))
CAPABILITY = b"CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN"
GREETING = b"* OK [" + CAPABILITY + b"] mail.example.com ready.\r\n"
TOO_MANY_ERRORS = b"* BYE [CLIENTBUG] Too many bad commands.\r\n"
LITERAL_TOO_LONG = b"* BYE [CLIENTBUG] Literal too long.\r\n"
LINE_TOO_LONG = b"* BYE [CLIENTBUG] Line too long.\r\n"
TOO_MUCH_INPUT = b"* BYE [CLIENTBUG] Too much input before login.\r\n"
WRONG = b" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
NO_LITERAL = b" BAD No literal here.\r\n"
NO_SPACE = b" BAD No space behind a literal.\r\n"
NOT_ALONE = b" BAD A literal is an argument of its own.\r\n"
SYNTAX = b" BAD Syntax error in the arguments.\r\n"
TWO_ARGUMENTS = b" BAD LOGIN has a user name and a password.\r\n"
NOT_FOR_ID = b" BAD Not a list for ID.\r\n"
MECHANISM_FIRST = b" BAD AUTHENTICATE has a mechanism and perhaps an initial response.\r\n"

ATTEMPT = LoginAttempt("LOGIN", b"alice", b"secret")
PLAIN = LoginAttempt("PLAIN", b"alice", b"secret")
PLAIN_RESPONSE = b64encode(b"\0alice\0secret")
ALICE = b64encode(b"alice")
SECRET = b64encode(b"secret")
USERNAME_PROMPT = b"+ VXNlcm5hbWU6\r\n"
PASSWORD_PROMPT = b"+ UGFzc3dvcmQ6\r\n"
NO_MECHANISM = b" NO Mechanism not supported.\r\n"
ID_OK = b"* ID NIL\r\na OK Done.\r\n"


def served(name: str, rfc: str, *steps: Turn, settings: ServerSettings = SETTINGS) -> ServerConversation:
    """A server conversation; the greeting is put before its steps."""
    return ServerConversation(name, rfc, (("S", GREETING), *steps), settings)


def login(name: str, rfc: str, command: bytes, attempt: LoginAttempt = ATTEMPT) -> ServerConversation:
    """A client that says `command`, whose tag is "a", and is told that these credentials are wrong."""
    return served(name, rfc, ("C", command), ("E", attempt), ("D", Refusal.BAD_CREDENTIALS), ("S", b"a" + WRONG))


def bad(name: str, rfc: str, command: bytes, answer: bytes) -> ServerConversation:
    """A client whose one command is bad, and whose next is understood."""
    return served(name, rfc, ("C", command), ("S", answer), ("C", b"z NOOP\r\n"), ("S", b"z OK Done.\r\n"))


def silent(name: str, rfc: str, octets: bytes) -> ServerConversation:
    return served(name, rfc, ("C", octets), ("E", Closed(EndReason.NOT_THIS_PROTOCOL)))
