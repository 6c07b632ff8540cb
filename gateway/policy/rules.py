"""Which group policy a user gets and what it grants. Pure: facts in, a `Grant` out, or `Refused(POLICY_DENIED)`.

The policy is the one that AAA names, else the protocol's fallback (`Config.policy_without_class`). With neither the
session is refused, as on the ASA. A name that is no policy of ours is refused, never replaced by the fallback.

Source: the ASA's E-Mail Proxy chapter, panel "AAA", field "Default Group Policy".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.config.model import GroupPolicySettings
from gateway.errors import Refused
from gateway.outcome import Refusal


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of one protocol: all by name, and the one of users for whom AAA names none, if any."""

    by_name: Mapping[str, GroupPolicySettings]
    fallback: GroupPolicySettings | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision rests on. named_policy: AAA's word. server: the one that the user named, if any."""

    protocol: str
    address: str
    named_policy: str | None
    server: str | None


@dataclass(frozen=True, slots=True)
class Grant:
    """What the user gets. server None: the protocol's default server. Time-outs None: the policy sets none."""

    policy: str
    server: str | None
    idle_timeout_s: float | None
    session_timeout_s: float | None


def decide(facts: Facts, policies: Policies) -> Grant:
    """Choose the policy and hold it against the facts."""
    policy = _chosen(facts.named_policy, policies)
    if facts.protocol not in policy.allowed_protocols:
        raise _denied(policy, f"{facts.protocol} is not among its allowed-protocols")
    if not _is_within(facts.address, policy):
        raise _denied(policy, "the client's address is not in its allowed-networks")
    if facts.server and policy.allowed_servers and not policy.allowed_servers.allows(facts.server):
        raise _denied(policy, "the server is not among its allowed-servers")
    return Grant(policy.name, facts.server or policy.server, policy.idle_timeout_s, policy.session_timeout_s)


def _chosen(named: str | None, policies: Policies) -> GroupPolicySettings:
    policy = policies.by_name.get(named) if named else policies.fallback
    if policy is not None:
        return policy
    if named:
        raise Refused(Refusal.POLICY_DENIED, f"there is no group policy {named!r}")
    raise Refused(Refusal.POLICY_DENIED, "AAA named no group policy and there is no default-group-policy")


def _is_within(address: str, policy: GroupPolicySettings) -> bool:
    client = ip_address(address.partition("%")[0])
    return any(client in network for network in policy.allowed_networks)


def _denied(policy: GroupPolicySettings, why: str) -> Refused:
    return Refused(Refusal.POLICY_DENIED, f"group policy {policy.name}: {why}")
