"""Settings of `[portal]`, `[console]`, `[metrics]` and `[cluster]`."""

from dataclasses import dataclass
from typing import Final

from gateway.config.kinds import DURATION
from gateway.config.kinds import NAME
from gateway.config.kinds import PORT
from gateway.config.kinds import listed
from gateway.config.kinds import optional
from gateway.config.network import LISTEN
from gateway.config.network import Listen
from gateway.config.secret import STORE_URL
from gateway.config.secret import Secret
from gateway.config.settings import setting

_NO_PORTAL: Final = "there is no portal"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """The clientless SSL VPN session that authentication = piggyback needs."""

    enable: tuple[str, ...] = setting(
        listed(NAME, "names"),
        (),
        "The interfaces it is offered on.",
        asa="webvpn enable",
        not_yet=_NO_PORTAL,
        example="outside",
    )
    port: int = setting(PORT, 443, "Its HTTPS port.", asa="webvpn port", not_yet=_NO_PORTAL)
    authentication_server_group: str | None = setting(
        optional(NAME),
        None,
        "The AAA server group of its users.",
        asa="authentication-server-group",
        not_yet=_NO_PORTAL,
        example="LOCAL",
    )
    default_group_policy: str | None = setting(
        optional(NAME),
        None,
        "The group policy of users for whom AAA names none.",
        asa="default-group-policy",
        not_yet=_NO_PORTAL,
        example="MAILUSERS",
    )
    session_timeout_s: float | None = setting(
        optional(DURATION),
        28800.0,
        "A portal session ends when it is so old.",
        asa="vpn-session-timeout",
        not_yet=_NO_PORTAL,
    )
    idle_timeout_s: float | None = setting(
        optional(DURATION),
        1800.0,
        "A portal session ends when it was idle so long.",
        asa="vpn-idle-timeout",
        not_yet=_NO_PORTAL,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Monitoring and the e-mail proxy panels, for administrators."""

    listen: Listen | None = setting(
        optional(LISTEN),
        None,
        "The address and port of its HTTPS server.",
        not_yet="there is no console",
        example="127.0.0.1:8443",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Counters for Prometheus."""

    listen: Listen | None = setting(
        optional(LISTEN),
        None,
        "The address and port of /metrics.",
        not_yet="there are no metrics",
        example="127.0.0.1:9180",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What several gateways share."""

    store: Secret | None = setting(
        optional(STORE_URL),
        None,
        "A Redis or Valkey server that holds what all gateways must agree on; none: this machine alone.",
        not_yet="this machine is alone",
        example="redis://10.0.0.9/0",
    )
