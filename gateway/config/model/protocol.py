"""Settings of `[imap4s]`, `[pop3s]` and `[smtps]`: the same for the three, with defaults of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config.attributes import DN_ATTRIBUTES
from gateway.config.attributes import DnAttributes
from gateway.config.kinds import DURATION
from gateway.config.kinds import NAME
from gateway.config.kinds import PATH
from gateway.config.kinds import PORT
from gateway.config.kinds import YES_NO
from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.kinds import Kind
from gateway.config.kinds import choice
from gateway.config.kinds import listed
from gateway.config.kinds import matching
from gateway.config.kinds import number
from gateway.config.kinds import optional
from gateway.config.kinds import some_of
from gateway.config.model.words import Method
from gateway.config.model.words import UpstreamTls
from gateway.config.network import HOST_NAME
from gateway.config.network import SERVER
from gateway.config.network import SERVER_LIST
from gateway.config.network import ServerList
from gateway.config.network import canonical
from gateway.config.problems import quoted
from gateway.config.settings import per_protocol
from gateway.config.settings import setting
from gateway.config.settings import settings_of

SEPARATORS: Final = "@|:#,;"
_METHODS_NOT_YET: Final = {
    Method.CERTIFICATE.value: "every login is refused",
    Method.PIGGYBACK.value: "every login is refused",
}


def _parse_separator(text: str, _: Context) -> str:
    if len(text) != 1 or text not in SEPARATORS:
        raise BadValue(f"{quoted(text)} is not one of {' '.join(SEPARATORS)} or none")
    return text


SEPARATOR: Final[Kind[str]] = Kind(
    word=f"one of {' '.join(SEPARATORS)}", code="E201", parse=_parse_separator, render=str
)
CAPABILITY: Final = matching("capability", "E205", r"[A-Za-z0-9][A-Za-z0-9+=-]{0,63}", "a capability's name")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSettings:
    """One protocol: its port, its mail server, how a user logs in.

    `authentication` always holds mailhost for imap4s and pop3s, whatever the file says: the mail server's own login
    cannot be left out there."""

    name: str
    port: int = per_protocol(
        PORT, (993, 995, 988), "The port that is listened on, with TLS from the start.", asa="port"
    )
    server: str | None = setting(
        optional(SERVER),
        None,
        "The default mail server, for users who name none.",
        asa="server",
        example="mail.example.com",
    )
    server_port: int = per_protocol(PORT, (143, 110, 587), "The port of every mail server of this protocol.")
    server_tls: UpstreamTls = setting(
        choice(UpstreamTls),
        UpstreamTls.NONE,
        "TLS towards the mail server: from the start (implicit), by command (starttls; without it no login), or none.",
    )
    server_ca: Path | None = setting(
        optional(PATH),
        None,
        "The certificate authorities that mail servers' certificates are verified by, PEM; none: those of the system.",
        example="/etc/gateway/tls/upstream-ca.pem",
    )
    server_name: str | None = setting(
        optional(HOST_NAME),
        None,
        "The name that the default mail server's certificate must have; none: the name or address in server.",
        example="mail.example.com",
    )
    allowed_servers: ServerList = setting(
        SERVER_LIST,
        ServerList(),
        "The servers a user may name behind the server separator; .example.com means every name below it, "
        "* any server (what the ASA did); empty: only the default server.",
        example=".example.com 10.1.0.0/16",
    )
    outstanding: int | None = setting(
        optional(number(1, 1_000_000)),
        20,
        "The most sessions that are not authenticated; over it, the oldest of them ends; none: no cap.",
        asa="outstanding",
    )
    outstanding_per_address: int | None = setting(
        optional(number(1, 1_000_000)),
        None,
        "Likewise for the sessions of one client address, an IPv6 address by its /64.",
    )
    name_separator: str | None = setting(
        optional(SEPARATOR),
        ":",
        "What separates the VPN user from the mail user, and the VPN password from the mail password.",
        asa="name-separator",
    )
    server_separator: str | None = setting(
        optional(SEPARATOR), "@", "What separates the mail user from the server.", asa="server-separator"
    )
    authentication: frozenset[Method] = per_protocol(
        some_of(Method),
        (frozenset({Method.MAILHOST}), frozenset({Method.MAILHOST}), frozenset({Method.AAA})),
        "How a user is authenticated; all that are named must succeed. imap4s and pop3s always add mailhost.",
        asa="authentication",
        not_yet_values=_METHODS_NOT_YET,
    )
    authentication_server_group: str | None = setting(
        optional(NAME),
        None,
        "The AAA server group of authentication = aaa; none: every such login is refused.",
        asa="authentication-server-group",
        example="LOCAL",
    )
    authorization_server_group: str | None = setting(
        optional(NAME),
        None,
        "The AAA server group that is asked what an authenticated user may do.",
        asa="authorization-server-group",
        not_yet="every login is refused",
    )
    authorization_required: bool = setting(
        YES_NO,
        False,
        "A user whom the authorization group does not know is refused.",
        asa="authorization-required",
        not_yet="every login is refused",
    )
    authorization_dn_attributes: DnAttributes = setting(
        DN_ATTRIBUTES,
        DnAttributes(),
        "The fields of a client certificate's subject that are the user's name for authorization.",
        asa="authorization-dn-attributes",
        not_yet="no client certificate is looked at",
    )
    accounting_server_group: str | None = setting(
        optional(NAME),
        None,
        "The AAA server group that is told of the start and end of each session.",
        asa="accounting-server-group",
        not_yet="no session is accounted",
    )
    default_group_policy: str | None = setting(
        optional(NAME),
        None,
        "The group policy of users for whom AAA names none. none: such a user is refused; but where "
        "authentication is mailhost alone no AAA could name one, and a built-in policy without limits applies.",
        asa="default-group-policy",
        example="MAILUSERS",
    )
    capabilities: tuple[str, ...] = per_protocol(
        listed(CAPABILITY, "names"),
        (
            ("IMAP4rev1", "SASL-IR", "LITERAL+", "ID", "IDLE", "ENABLE"),
            ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"),
            ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"),
        ),
        "What is announced before the login (CAPABILITY, CAPA, EHLO), besides the login mechanisms; "
        "nothing that one of the mail servers lacks.",
    )
    handshake_timeout_s: float = setting(DURATION, 10.0, "From accept to the end of the TLS handshake.")
    login_timeout_s: float = setting(DURATION, 60.0, "From the end of the handshake to a login that succeeded.")
    connect_timeout_s: float = setting(
        DURATION, 10.0, "To resolve the mail server's name, connect to one of its addresses, and end its TLS handshake."
    )
    upstream_login_timeout_s: float = setting(
        DURATION, 30.0, "From the mail server's greeting to its answer to the login."
    )
    idle_timeout_s: float | None = per_protocol(
        optional(DURATION),
        (1860.0, 600.0, 600.0),
        "A session ends when no octet came from either side for so long; IMAP's IDLE needs more than 29 minutes.",
    )
    session_timeout_s: float | None = setting(
        optional(DURATION), None, "A session ends when it is so old, whatever it does."
    )
    max_login_attempts: int = setting(number(1, 100), 3, "After so many refused logins the connection ends.")
    max_errors: int = setting(
        number(1, 1000), 3, "After so many malformed or unknown commands before the login it ends."
    )
    failure_delay_s: float | None = setting(optional(DURATION), 2.0, "The answer to a refused login waits so long.")

    @classmethod
    def defaults(cls, name: str) -> "ProtocolSettings":
        """The settings of protocol `name` when its section is absent or empty."""
        return cls(name=name, **{one.field_name: one.default(name) for one in settings_of(cls).values()})

    def allows_server(self, server: str) -> bool:
        """Whether a user may name `server` behind the server separator: the default server, or an allowed one."""
        return canonical(server) == self.server or self.allowed_servers.allows(server)
