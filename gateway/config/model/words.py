"""The fixed words of settings, each an enumeration whose values are the words in the file."""

from enum import StrEnum


class FirewallMode(StrEnum):
    ROUTED = "routed"
    TRANSPARENT = "transparent"


class SecurityContext(StrEnum):
    SINGLE = "single"
    MULTIPLE = "multiple"


class LogFormat(StrEnum):
    LOGFMT = "logfmt"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class TlsVersion(StrEnum):
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class ProtocolName(StrEnum):
    """In the order in which lists of protocols are shown."""

    IMAP4S = "imap4s"
    POP3S = "pop3s"
    SMTPS = "smtps"


class ProxyProtocol(StrEnum):
    OFF = "off"
    REQUIRE = "require"


class UpstreamTls(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class Method(StrEnum):
    """In the order in which they are tried; all that are named must succeed."""

    CERTIFICATE = "certificate"
    PIGGYBACK = "piggyback"
    AAA = "aaa"
    MAILHOST = "mailhost"


class AaaProtocol(StrEnum):
    LOCAL = "local"
    RADIUS = "radius"
    LDAP = "ldap"


class Reactivation(StrEnum):
    """depletion: failed servers return when all have failed; timed: each returns after 30 seconds."""

    DEPLETION = "depletion"
    TIMED = "timed"


class AccountingMode(StrEnum):
    SINGLE = "single"
    SIMULTANEOUS = "simultaneous"


class AccountingFull(StrEnum):
    """What becomes of a login whose accounting the disk has no room for."""

    DENY = "deny"
    ALLOW = "allow"


class MessageAuthenticator(StrEnum):
    REQUIRE = "require"
    ALLOW = "allow"


class LdapTls(StrEnum):
    ENABLE = "enable"
    DISABLE = "disable"
    STARTTLS = "starttls"


class LdapScope(StrEnum):
    ONELEVEL = "onelevel"
    SUBTREE = "subtree"


class CountLoginsBy(StrEnum):
    """address: a device, which is a user at one client address; session: each connection."""

    ADDRESS = "address"
    SESSION = "session"
