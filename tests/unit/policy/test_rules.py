"""Which policy a user gets, and what it denies."""

from ipaddress import ip_network

import pytest

from gateway.config.model import GroupPolicySettings
from gateway.config.model.words import ProtocolName
from gateway.config.network import ServerList
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.policy.rules import Facts
from gateway.policy.rules import Policies
from gateway.policy.rules import decide

MAIL = GroupPolicySettings(name="MAIL", idle_timeout_s=60.0, session_timeout_s=3600.0)
STAFF = GroupPolicySettings(
    name="STAFF",
    allowed_protocols=frozenset({ProtocolName.IMAP4S}),
    allowed_networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
    allowed_servers=ServerList(suffixes=(".staff.example",)),
    server="staff.example",
)
BOTH = {"MAIL": MAIL, "STAFF": STAFF}


def facts(
    protocol: str = "imap4s", address: str = "10.1.2.3", policy: str | None = "STAFF", server: str | None = None
) -> Facts:
    return Facts(protocol, address, policy, server)


def test_the_policy_that_aaa_names_is_taken() -> None:
    assert decide(facts(policy="STAFF"), Policies(BOTH, MAIL)).policy == "STAFF"


def test_without_one_the_fallback_is_taken_with_its_limits() -> None:
    grant = decide(facts(policy=None), Policies(BOTH, MAIL))
    assert (grant.policy, grant.server, grant.idle_timeout_s, grant.session_timeout_s) == ("MAIL", None, 60.0, 3600.0)


@pytest.mark.parametrize("named", [None, "staff", "NOBODY"])
def test_without_a_policy_the_session_is_refused(named: str | None) -> None:
    with pytest.raises(Refused) as refused:
        decide(facts(policy=named), Policies(BOTH, None))
    assert refused.value.refusal is Refusal.POLICY_DENIED


def test_an_unknown_policy_is_not_replaced_by_the_fallback() -> None:
    with pytest.raises(Refused, match="NOBODY"):
        decide(facts(policy="NOBODY"), Policies(BOTH, MAIL))


@pytest.mark.parametrize(
    "denied",
    [
        facts(protocol="pop3s"),
        facts(address="192.0.2.1"),
        facts(address="2001:db9::1"),
        facts(server="other.example"),
        facts(server="staff.example"),
    ],
)
def test_what_the_policy_does_not_allow_is_denied(denied: Facts) -> None:
    with pytest.raises(Refused) as refused:
        decide(denied, Policies(BOTH, None))
    assert refused.value.refusal is Refusal.POLICY_DENIED


def test_the_policys_server_is_the_default_and_a_named_one_wins() -> None:
    assert decide(facts(), Policies(BOTH, None)).server == "staff.example"
    assert decide(facts(server="a.staff.example"), Policies(BOTH, None)).server == "a.staff.example"


def test_a_scoped_ipv6_address_is_held_against_networks_without_its_scope() -> None:
    assert decide(facts(address="2001:db8::5%eth0"), Policies(BOTH, None)).policy == "STAFF"
