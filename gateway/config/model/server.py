"""Settings of the server itself: `[gateway]`, `[tls]`, `[tls NAME]` and `[interface NAME]`."""

from dataclasses import dataclass
from pathlib import Path

from gateway.config.kinds import DURATION
from gateway.config.kinds import LINE
from gateway.config.kinds import NAME
from gateway.config.kinds import PATH
from gateway.config.kinds import SIZE
from gateway.config.kinds import YES_NO
from gateway.config.kinds import choice
from gateway.config.kinds import listed
from gateway.config.kinds import number
from gateway.config.kinds import optional
from gateway.config.kinds import some_of
from gateway.config.model.words import AccountingFull
from gateway.config.model.words import FirewallMode
from gateway.config.model.words import LogFormat
from gateway.config.model.words import LogLevel
from gateway.config.model.words import ProtocolName
from gateway.config.model.words import ProxyProtocol
from gateway.config.model.words import SecurityContext
from gateway.config.model.words import TlsVersion
from gateway.config.network import ADDRESS
from gateway.config.network import HOST_NAME
from gateway.config.network import NETWORKS
from gateway.config.network import Address
from gateway.config.network import Network
from gateway.config.settings import required
from gateway.config.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """The server as a whole."""

    firewall_mode: FirewallMode = setting(
        choice(FirewallMode),
        FirewallMode.ROUTED,
        "The e-mail proxy exists in routed mode only; transparent is refused.",
        asa="firewall transparent",
    )
    security_context: SecurityContext = setting(
        choice(SecurityContext),
        SecurityContext.SINGLE,
        "The e-mail proxy exists in single context mode only; multiple is refused.",
        asa="mode multiple",
    )
    hostname: str | None = setting(
        optional(HOST_NAME, absent="auto"),
        None,
        "The name in SMTP greetings and in EHLO to mail servers; auto: the machine's own name.",
        asa="hostname",
    )
    workers: int | None = setting(
        optional(number(1, 1024), absent="auto"), None, "Worker processes; auto: one for each CPU."
    )
    maximum_sessions: int = setting(
        number(1_000, 1_000_000),
        200_000,
        "Sessions of all workers at a time; memory is taken for those that there are.",
    )
    user: str | None = setting(
        optional(NAME),
        None,
        "The user the workers run as once the sockets are bound; none: privileges stay as they are.",
    )
    group: str | None = setting(optional(NAME), None, "The group the workers run as; none: the user's own group.")
    runtime_directory: Path = setting(PATH, Path("/run/gateway"), "The directory of the control socket.")
    state_directory: Path = setting(PATH, Path("/var/lib/gateway"), "The directory of what outlives a restart.")
    log_format: LogFormat = setting(choice(LogFormat), LogFormat.LOGFMT, "How a log line is written.")
    log_level: LogLevel = setting(choice(LogLevel), LogLevel.INFO, "The least severe lines that are logged.")
    asa_message_ids: bool = setting(
        YES_NO,
        False,
        "Log lines carry the ASA's message number too, as %ASA-6-719022.",
        not_yet="log lines carry no message number",
    )
    shutdown_grace_s: float | None = setting(
        optional(DURATION), 3600.0, "How long a worker that stops keeps its sessions; none: until they end."
    )
    accounting_full: AccountingFull = setting(
        choice(AccountingFull),
        AccountingFull.DENY,
        "When the disk has no room for accounting: deny refuses new logins, allow lets them go unaccounted; "
        "sessions that run are accounted to their end in either case.",
    )
    relay_buffer_octets: int = setting(
        SIZE, 65536, "The most that is read at once from one side of a session.", not_yet="64k are used"
    )
    include: tuple[str, ...] = setting(
        listed(LINE, "paths and patterns"),
        (),
        "More files to read, relative to this one; a pattern such as conf.d/*.ini reads its matches in order of name.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS towards mail programs."""

    certificate: Path | None = setting(
        optional(PATH),
        None,
        "The certificate and its chain, PEM.",
        asa="ssl trust-point",
        example="/etc/gateway/tls/fullchain.pem",
    )
    private_key: Path | None = setting(
        optional(PATH),
        None,
        "The certificate's private key, PEM without a passphrase; none: it is in the certificate's file.",
        example="/etc/gateway/tls/key.pem",
    )
    minimum_version: TlsVersion = setting(
        choice(TlsVersion), TlsVersion.TLS_1_2, "The oldest TLS version that is accepted.", asa="ssl server-version"
    )
    ciphers: str | None = setting(
        optional(LINE),
        None,
        "OpenSSL's list of cipher suites for TLS 1.2; none: OpenSSL's own choice of strong ones.",
        asa="ssl cipher",
        example="ECDHE+AESGCM:ECDHE+CHACHA20",
    )
    client_ca: Path | None = setting(
        optional(PATH),
        None,
        "Certificate authorities of mail users, PEM, for authentication = certificate.",
        asa="crypto ca trustpoint",
        not_yet="no client certificate is asked for",
        example="/etc/gateway/tls/clients.pem",
    )
    client_crl: Path | None = setting(
        optional(PATH),
        None,
        "Revocation list of client-ca, PEM.",
        asa="revocation-check crl",
        not_yet="no client certificate is asked for",
        example="/etc/gateway/tls/clients.crl",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCertificate:
    """One more certificate, for mail programs that ask for the server NAME (SNI)."""

    name: str
    certificate: Path = required(
        PATH, "The certificate and its chain, PEM.", example="/etc/gateway/tls/mail.example.org.pem"
    )
    private_key: Path | None = setting(
        optional(PATH),
        None,
        "The certificate's private key, PEM without a passphrase; none: it is in the certificate's file.",
        example="/etc/gateway/tls/mail.example.org.key",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceSettings:
    """One interface and the protocols enabled on it."""

    name: str
    device: str | None = setting(
        optional(NAME), None, "The network device; its addresses are listened on.", asa="nameif", example="eth0"
    )
    address: tuple[Address, ...] = setting(
        listed(ADDRESS, "addresses"),
        (),
        "The addresses to listen on, instead of all those of the device.",
        asa="ip address",
        example="192.0.2.10 2001:db8::10",
    )
    management_only: bool = setting(
        YES_NO, False, "An interface for management alone: no protocol may be enabled on it.", asa="management-only"
    )
    enable: frozenset[ProtocolName] = setting(
        some_of(ProtocolName),
        frozenset(),
        "The protocols that are offered here.",
        asa="enable",
        example="imap4s pop3s smtps",
    )
    proxy_protocol: ProxyProtocol = setting(
        choice(ProxyProtocol),
        ProxyProtocol.OFF,
        "require: each connection starts with a PROXY header (v1 or v2) of a load balancer.",
        not_yet="a connection that starts with a PROXY header fails its TLS handshake",
    )
    proxy_trusted: tuple[Network, ...] = setting(
        NETWORKS,
        (),
        "The networks whose PROXY headers are believed; all others are refused.",
        not_yet="no PROXY header is read",
        example="10.0.0.0/8",
    )
