"""Which group policy a user gets and what it grants. Pure: facts in, a `Grant` out, or `Refused`.

The policy is the one that AAA names, else the protocol's fallback (`Config.policy_without_class`). With neither the
session is refused, as on the ASA. A name that is no policy of ours is refused, never replaced by the fallback; so are
access hours that are not ours. What AAA says of the one user (`Overrides`) wins over the policy.

Errors: Refused(POLICY_DENIED); Refused(LOGIN_DISABLED) for simultaneous-logins = 0.
Source: the ASA's E-Mail Proxy chapter, panel "AAA", field "Default Group Policy"; its group-policy attributes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import TypeVar

from gateway.config.model import GroupPolicySettings
from gateway.config.model import TimeRange
from gateway.config.model.policy import Overrides
from gateway.config.model.words import CountLoginsBy
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.policy.hours import open_for_s

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of one protocol: all by name, the one of users for whom AAA names none, if any, and the hours."""

    by_name: Mapping[str, GroupPolicySettings]
    fallback: GroupPolicySettings | None
    hours: Mapping[str, TimeRange]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision rests on. named_policy: AAA's word. server: the one that the user named, if any.

    now: local time without a zone.
    """

    protocol: str
    address: str
    named_policy: str | None
    overrides: Overrides
    server: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """What the user gets. server None: the protocol's default server. None elsewhere: no limit, no banner.

    session_timeout_s ends at the close of the access hours at the latest. by_address: simultaneous_logins counts
    devices, that is client addresses, not sessions.
    """

    policy: str
    server: str | None
    idle_timeout_s: float | None
    session_timeout_s: float | None
    simultaneous_logins: int | None
    by_address: bool
    banner: str | None


def decide(facts: Facts, policies: Policies) -> Grant:
    """Choose the policy and hold it against the facts."""
    policy = _chosen(facts.named_policy, policies)
    _check_place(facts, policy)
    logins = _first(facts.overrides.simultaneous_logins, policy.simultaneous_logins)
    if logins == 0:
        raise Refused(Refusal.LOGIN_DISABLED, f"group policy {policy.name}: simultaneous-logins is 0")
    session_timeout_s = _first(facts.overrides.session_timeout_s, policy.session_timeout_s)
    return Grant(
        policy=policy.name,
        server=facts.server or policy.server,
        idle_timeout_s=_first(facts.overrides.idle_timeout_s, policy.idle_timeout_s),
        session_timeout_s=tighter(session_timeout_s, _hours_left_s(facts, policy, policies)),
        simultaneous_logins=logins,
        by_address=policy.count_logins_by is CountLoginsBy.ADDRESS,
        banner=policy.banner,
    )


def tighter(one_s: float | None, other_s: float | None) -> float | None:
    """The smaller of two limits, of which None is none."""
    given = [limit_s for limit_s in (one_s, other_s) if limit_s is not None]
    return min(given) if given else None


def _chosen(named: str | None, policies: Policies) -> GroupPolicySettings:
    policy = policies.by_name.get(named) if named else policies.fallback
    if policy is not None:
        return policy
    if named:
        raise Refused(Refusal.POLICY_DENIED, f"there is no group policy {named!r}")
    raise Refused(Refusal.POLICY_DENIED, "AAA named no group policy and there is no default-group-policy")


def _check_place(facts: Facts, policy: GroupPolicySettings) -> None:
    """Protocol, network and server."""
    if facts.protocol not in policy.allowed_protocols:
        raise _denied(policy, f"{facts.protocol} is not among its allowed-protocols")
    client = ip_address(facts.address.partition("%")[0])
    if not any(client in network for network in policy.allowed_networks):
        raise _denied(policy, "the client's address is not in its allowed-networks")
    if facts.server and policy.allowed_servers and not policy.allowed_servers.allows(facts.server):
        raise _denied(policy, "the server is not among its allowed-servers")


def _hours_left_s(facts: Facts, policy: GroupPolicySettings, policies: Policies) -> float | None:
    """Seconds until the access hours close; None: they never do."""
    name = facts.overrides.access_hours or policy.access_hours
    if name is None:
        return None
    hours = policies.hours.get(name)
    if hours is None:
        raise _denied(policy, f"there is no time-range {name!r}")
    if not hours.covers(facts.now):
        raise _denied(policy, f"it is not the time of time-range {name}")
    return open_for_s(hours, facts.now)


def _first(said: T | None, otherwise: T | None) -> T | None:
    return otherwise if said is None else said


def _denied(policy: GroupPolicySettings, why: str) -> Refused:
    return Refused(Refusal.POLICY_DENIED, f"group policy {policy.name}: {why}")
