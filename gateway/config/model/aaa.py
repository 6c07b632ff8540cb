"""Settings of `[aaa-server-group NAME]`, `[aaa-server GROUP LABEL]`, `[ldap-attribute-map NAME]`, `[user NAME]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config.attributes import MAP_NAME
from gateway.config.attributes import MAP_VALUE
from gateway.config.attributes import MapName
from gateway.config.attributes import MapValue
from gateway.config.kinds import DURATION
from gateway.config.kinds import LINE
from gateway.config.kinds import NAME
from gateway.config.kinds import PATH
from gateway.config.kinds import PORT
from gateway.config.kinds import choice
from gateway.config.kinds import number
from gateway.config.kinds import optional
from gateway.config.kinds import repeated
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import AccountingMode
from gateway.config.model.words import LdapScope
from gateway.config.model.words import LdapTls
from gateway.config.model.words import MessageAuthenticator
from gateway.config.model.words import Reactivation
from gateway.config.network import HOST_NAME
from gateway.config.network import SERVER
from gateway.config.secret import PASSWORD_HASH
from gateway.config.secret import SECRET
from gateway.config.secret import Secret
from gateway.config.settings import required
from gateway.config.settings import setting

_UNUSED: Final = "no RADIUS or LDAP server is asked"
_RADIUS: Final = "radius"
_LDAP: Final = "ldap"


@dataclass(frozen=True, slots=True, kw_only=True)
class AaaServerSettings:
    """One server of a group. The servers of a group are used in the order of the file."""

    group: str
    label: str
    host: str = required(SERVER, "The server's name or address.", asa="host", not_yet=_UNUSED, example="10.0.0.5")
    timeout_s: float = setting(
        DURATION, 10.0, "How long a request waits for an answer in all.", asa="timeout", not_yet=_UNUSED
    )
    authentication_port: int = setting(
        PORT, 1812, "UDP port for authentication.", asa="authentication-port", only=_RADIUS, not_yet=_UNUSED
    )
    accounting_port: int = setting(
        PORT, 1813, "UDP port for accounting.", asa="accounting-port", only=_RADIUS, not_yet=_UNUSED
    )
    key: Secret | None = setting(
        optional(SECRET),
        None,
        "The secret shared with the RADIUS server.",
        asa="key",
        only=_RADIUS,
        not_yet=_UNUSED,
        example="file:/etc/gateway/radius.key",
    )
    retry_interval_s: float = setting(
        DURATION,
        2.0,
        "The time between two transmissions of a request.",
        asa="retry-interval",
        only=_RADIUS,
        not_yet=_UNUSED,
    )
    message_authenticator: MessageAuthenticator = setting(
        choice(MessageAuthenticator),
        MessageAuthenticator.REQUIRE,
        "allow: answers without a Message-Authenticator are believed, which lets an attacker on the path forge them "
        "(CVE-2024-3596).",
        only=_RADIUS,
        not_yet=_UNUSED,
    )
    server_port: int | None = setting(
        optional(PORT, absent="auto"),
        None,
        "The LDAP port; auto: 636 with ldap-over-ssl = enable, else 389.",
        asa="server-port",
        only=_LDAP,
        not_yet=_UNUSED,
    )
    ldap_over_ssl: LdapTls = setting(
        choice(LdapTls),
        LdapTls.ENABLE,
        "TLS from the start, by StartTLS, or none (passwords cross the network in clear; the ASA's default).",
        asa="ldap-over-ssl",
        only=_LDAP,
        not_yet=_UNUSED,
    )
    server_ca: Path | None = setting(
        optional(PATH),
        None,
        "The certificate authorities that the server's certificate is verified by, PEM; none: those of the system.",
        only=_LDAP,
        not_yet=_UNUSED,
        example="/etc/gateway/tls/ldap-ca.pem",
    )
    server_name: str | None = setting(
        optional(HOST_NAME),
        None,
        "The name that the server's certificate must have; none: host.",
        only=_LDAP,
        not_yet=_UNUSED,
        example="dc1.example.com",
    )
    ldap_base_dn: str | None = setting(
        optional(LINE),
        None,
        "Where the search for a user starts.",
        asa="ldap-base-dn",
        only=_LDAP,
        not_yet=_UNUSED,
        example="dc=example,dc=com",
    )
    ldap_scope: LdapScope = setting(
        choice(LdapScope),
        LdapScope.ONELEVEL,
        "How deep below it the search goes.",
        asa="ldap-scope",
        only=_LDAP,
        not_yet=_UNUSED,
    )
    ldap_naming_attribute: str | None = setting(
        optional(NAME),
        None,
        "The attribute that holds the user's name.",
        asa="ldap-naming-attribute",
        only=_LDAP,
        not_yet=_UNUSED,
        example="sAMAccountName",
    )
    ldap_login_dn: str | None = setting(
        optional(LINE),
        None,
        "The name the gateway binds with to search; none: it searches anonymously.",
        asa="ldap-login-dn",
        only=_LDAP,
        not_yet=_UNUSED,
        example="cn=gateway,dc=example,dc=com",
    )
    ldap_login_password: Secret | None = setting(
        optional(SECRET),
        None,
        "The password of ldap-login-dn.",
        asa="ldap-login-password",
        only=_LDAP,
        not_yet=_UNUSED,
        example="credential:ldap",
    )
    ldap_attribute_map: str | None = setting(
        optional(NAME),
        None,
        "The attribute map to apply to what the server says of a user.",
        asa="ldap-attribute-map",
        only=_LDAP,
        not_yet=_UNUSED,
        example="ADMAP",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AaaServerGroup:
    """Servers that answer for one another.

    `servers` is in the order of the file, and empty for protocol = local."""

    name: str
    servers: tuple[AaaServerSettings, ...] = ()
    protocol: AaaProtocol = required(
        choice(AaaProtocol),
        "local: the [user NAME] sections of this file.",
        asa="aaa-server protocol",
        not_yet_values={
            AaaProtocol.RADIUS.value: "every login that needs this group is refused",
            AaaProtocol.LDAP.value: "every login that needs this group is refused",
        },
        example="local",
    )
    reactivation_mode: Reactivation = setting(
        choice(Reactivation),
        Reactivation.DEPLETION,
        "depletion: failed servers are asked again when all have failed and deadtime is over; timed: after 30 seconds.",
        asa="reactivation-mode",
        not_yet=_UNUSED,
    )
    deadtime_s: float | None = setting(
        optional(DURATION),
        600.0,
        "How long a group whose servers have all failed is not asked.",
        asa="reactivation-mode depletion deadtime",
        not_yet=_UNUSED,
    )
    max_failed_attempts: int = setting(
        number(1, 5),
        3,
        "A server has failed after so many unanswered requests.",
        asa="max-failed-attempts",
        not_yet=_UNUSED,
    )
    accounting_mode: AccountingMode = setting(
        choice(AccountingMode),
        AccountingMode.SINGLE,
        "simultaneous: every server of the group is told of every session.",
        asa="accounting-mode",
        not_yet="no session is accounted",
    )
    interim_update_s: float | None = setting(
        optional(DURATION),
        None,
        "How often a running session is reported.",
        asa="interim-accounting-update",
        not_yet="no session is accounted",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeMap:
    """What the attributes of an LDAP entry mean. Of several values the first that is mapped counts."""

    name: str
    map_name: tuple[MapName, ...] = setting(
        repeated(MAP_NAME),
        (),
        "An LDAP attribute and the attribute it stands for.",
        asa="map-name",
        not_yet=_UNUSED,
        example="memberOf IETF-Radius-Class",
    )
    map_value: tuple[MapValue, ...] = setting(
        repeated(MAP_VALUE),
        (),
        "A value of the LDAP attribute and what it becomes.",
        asa="map-value",
        not_yet=_UNUSED,
        example='memberOf "CN=Mail,OU=Groups,DC=example,DC=com" MAILUSERS',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """One user of the groups with protocol = local."""

    name: str
    password: Secret = required(
        PASSWORD_HASH,
        "The password's argon2 hash, as gateway hash-password prints it.",
        asa="username password",
        example="file:/etc/gateway/alice.hash",
    )
    group_policy: str | None = setting(
        optional(NAME),
        None,
        "The user's group policy; none: the default-group-policy of the protocol.",
        asa="vpn-group-policy",
        example="MAILUSERS",
    )
