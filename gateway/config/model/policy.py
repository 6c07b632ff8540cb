"""Settings of `[group-policy NAME]` and `[time-range NAME]`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.config.kinds import DURATION
from gateway.config.kinds import LINE
from gateway.config.kinds import NAME
from gateway.config.kinds import choice
from gateway.config.kinds import number
from gateway.config.kinds import optional
from gateway.config.kinds import repeated
from gateway.config.kinds import some_of
from gateway.config.model.words import CountLoginsBy
from gateway.config.model.words import ProtocolName
from gateway.config.network import EVERY_NETWORK
from gateway.config.network import NETWORKS
from gateway.config.network import SERVER
from gateway.config.network import SERVER_LIST
from gateway.config.network import Network
from gateway.config.network import ServerList
from gateway.config.schedule import ABSOLUTE
from gateway.config.schedule import PERIODIC
from gateway.config.schedule import Absolute
from gateway.config.schedule import Periodic
from gateway.config.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPolicySettings:
    """What the users of a group may do. A user's policy is named by AAA, or is the protocol's default-group-policy."""

    name: str
    simultaneous_logins: int | None = setting(
        optional(number(0, 2_147_483_647)),
        3,
        "The most logins of one user at a time; 0: nobody may log in; none: no limit.",
        asa="vpn-simultaneous-logins",
    )
    count_logins_by: CountLoginsBy = setting(
        choice(CountLoginsBy),
        CountLoginsBy.ADDRESS,
        "What counts as one login: a device (all sessions of a user from one address; a mail program opens several), "
        "or each session.",
    )
    idle_timeout_s: float | None = setting(
        optional(DURATION),
        1800.0,
        "A session ends when no octet came for so long; the protocol's idle-timeout holds too.",
        asa="vpn-idle-timeout",
    )
    session_timeout_s: float | None = setting(
        optional(DURATION), None, "A session ends when it is so old, whatever it does.", asa="vpn-session-timeout"
    )
    access_hours: str | None = setting(
        optional(NAME),
        None,
        "The time range in which these users may be logged in.",
        asa="vpn-access-hours",
        example="OFFICE",
    )
    allowed_protocols: frozenset[ProtocolName] = setting(
        some_of(ProtocolName),
        frozenset(ProtocolName),
        "The protocols these users may use.",
        asa="vpn-tunnel-protocol",
    )
    allowed_networks: tuple[Network, ...] = setting(
        NETWORKS,
        EVERY_NETWORK,
        "The client networks from which these users may log in.",
    )
    allowed_servers: ServerList = setting(
        SERVER_LIST,
        ServerList(),
        "The servers these users may name, of those the protocol allows; empty: all of those.",
        asa="vpn-filter",
        example=".example.com",
    )
    banner: str | None = setting(
        optional(LINE),
        None,
        "A text shown at login (an IMAP [ALERT], and the portal).",
        asa="banner",
        example="Authorised use only.",
    )
    server: str | None = setting(
        optional(SERVER),
        None,
        "The default mail server of these users, instead of the protocol's.",
        example="mail2.example.com",
    )


BUILT_IN_POLICY: Final = GroupPolicySettings(name="built-in", simultaneous_logins=None, idle_timeout_s=None)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What AAA says of this one user; it wins over the group policy. None: not said. Times in seconds."""

    session_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    simultaneous_logins: int | None = None
    access_hours: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """When something is allowed, in local time: in the absolute span, and in a periodic one if there are any."""

    name: str
    periodic: tuple[Periodic, ...] = setting(
        repeated(PERIODIC),
        (),
        "A span of each week; a line for each.",
        asa="periodic",
        example="weekdays 08:00 to 18:00",
    )
    absolute: Absolute | None = setting(
        optional(ABSOLUTE),
        None,
        "A span with a date.",
        asa="absolute",
        example="start 08:00 2026-01-31 end 18:00 2026-12-31",
    )

    def covers(self, moment: datetime) -> bool:
        """`moment` in local time without a zone."""
        if self.absolute is not None and not self.absolute.covers(moment):
            return False
        return not self.periodic or any(one.covers(moment) for one in self.periodic)
