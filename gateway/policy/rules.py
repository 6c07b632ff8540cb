"""Which group policy a user gets and what it grants. Pure: facts in, a `Grant` out, or `Refused(POLICY_DENIED)`.

The policy is the one that AAA names, else the protocol's `default-group-policy`. With neither, a session for which AAA
was asked is refused, as on the ASA; where only the mail server authenticates there is no AAA to name one, and the
built-in policy UNRESTRICTED applies. A name that is no policy of ours is refused, never replaced by the default.

Source: the ASA's E-Mail Proxy chapter, panel "AAA", field "Default Group Policy".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.policy.servers import Network
from gateway.policy.servers import ServerList


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """A [group-policy …] section. Time-outs in seconds, None: none, `inherit`: the protocol's own.

    allowed_networks empty: any. allowed_servers None: the protocol's list holds. server None: the protocol's default.
    """

    name: str
    allowed_protocols: frozenset[str]
    allowed_networks: tuple[Network, ...] = ()
    allowed_servers: ServerList | None = None
    server: str | None = None
    idle_timeout_s: float | None = None
    session_timeout_s: float | None = None


UNRESTRICTED: Final = GroupPolicy("(none)", frozenset({"imap4s", "pop3s", "smtps"}))


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of one protocol: all by name, and the default's name, if any."""

    by_name: Mapping[str, GroupPolicy]
    default: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision rests on. named_policy: AAA's word. server: the one that the user named, if any."""

    protocol: str
    address: str
    asked_aaa: bool
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
    policy = _chosen(facts, policies)
    if facts.protocol not in policy.allowed_protocols:
        raise _denied(policy, f"{facts.protocol} is not among its allowed-protocols")
    if policy.allowed_networks and not _within(facts.address, policy.allowed_networks):
        raise _denied(policy, "the client's address is not in its allowed-networks")
    if facts.server and policy.allowed_servers is not None and not policy.allowed_servers.allows(facts.server):
        raise _denied(policy, "the server is not among its allowed-servers")
    server = facts.server or policy.server
    return Grant(policy.name, server, policy.idle_timeout_s, policy.session_timeout_s)


def _chosen(facts: Facts, policies: Policies) -> GroupPolicy:
    name = facts.named_policy or policies.default
    if name is None:
        if facts.asked_aaa:
            raise Refused(Refusal.POLICY_DENIED, "AAA named no group policy and there is no default-group-policy")
        return UNRESTRICTED
    policy = policies.by_name.get(name)
    if policy is None:
        raise Refused(Refusal.POLICY_DENIED, f"there is no group policy {name!r}")
    return policy


def _denied(policy: GroupPolicy, why: str) -> Refused:
    return Refused(Refusal.POLICY_DENIED, f"group policy {policy.name}: {why}")


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    client = ip_address(address.partition("%")[0])
    return any(client in network for network in networks)
