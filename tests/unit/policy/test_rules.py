"""Which policy a user gets, and what it denies."""

from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway.config.kinds import Context
from gateway.config.model import GroupPolicySettings
from gateway.config.model import TimeRange
from gateway.config.model.policy import Overrides
from gateway.config.model.words import ProtocolName
from gateway.config.network import ServerList
from gateway.config.schedule import PERIODIC
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.policy.rules import Facts
from gateway.policy.rules import Policies
from gateway.policy.rules import decide

CONTEXT = Context(Path("/"))
MAIL = GroupPolicySettings(name="MAIL", idle_timeout_s=60.0, session_timeout_s=3600.0)
STAFF = GroupPolicySettings(
    name="STAFF",
    allowed_protocols=frozenset({ProtocolName.IMAP4S}),
    allowed_networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
    allowed_servers=ServerList(suffixes=(".staff.example",)),
    server="staff.example",
)
OFFICE = TimeRange(name="OFFICE", periodic=(PERIODIC.parse("weekdays 8:00 to 18:00", CONTEXT),))
BUSY = GroupPolicySettings(name="BUSY", access_hours="OFFICE", session_timeout_s=7 * 3600.0, banner="Be brief.")
NOBODY = GroupPolicySettings(name="NOBODY-IN", simultaneous_logins=0)
BOTH = {"MAIL": MAIL, "STAFF": STAFF, "BUSY": BUSY, "NOBODY-IN": NOBODY}
HOURS = {"OFFICE": OFFICE}


NOON = datetime(2026, 11, 24, 12, 0)  # a Tuesday


def facts(
    protocol: str = "imap4s",
    address: str = "10.1.2.3",
    policy: str | None = "STAFF",
    server: str | None = None,
    now: datetime = NOON,
    **said: Any,
) -> Facts:
    return Facts(protocol, address, policy, Overrides(**said), server, now)


def test_the_policy_that_aaa_names_is_taken() -> None:
    assert decide(facts(policy="STAFF"), Policies(BOTH, MAIL, HOURS)).policy == "STAFF"


def test_without_one_the_fallback_is_taken_with_its_limits() -> None:
    grant = decide(facts(policy=None), Policies(BOTH, MAIL, HOURS))
    assert (grant.policy, grant.server, grant.idle_timeout_s, grant.session_timeout_s) == ("MAIL", None, 60.0, 3600.0)


@pytest.mark.parametrize("named", [None, "staff", "NOBODY"])
def test_without_a_policy_the_session_is_refused(named: str | None) -> None:
    with pytest.raises(Refused) as refused:
        decide(facts(policy=named), Policies(BOTH, None, HOURS))
    assert refused.value.refusal is Refusal.POLICY_DENIED


def test_an_unknown_policy_is_not_replaced_by_the_fallback() -> None:
    with pytest.raises(Refused, match="NOBODY"):
        decide(facts(policy="NOBODY"), Policies(BOTH, MAIL, HOURS))


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
        decide(denied, Policies(BOTH, None, HOURS))
    assert refused.value.refusal is Refusal.POLICY_DENIED


def test_the_policys_server_is_the_default_and_a_named_one_wins() -> None:
    assert decide(facts(), Policies(BOTH, None, HOURS)).server == "staff.example"
    assert decide(facts(server="a.staff.example"), Policies(BOTH, None, HOURS)).server == "a.staff.example"


def test_a_scoped_ipv6_address_is_held_against_networks_without_its_scope() -> None:
    assert decide(facts(address="2001:db8::5%eth0"), Policies(BOTH, None, HOURS)).policy == "STAFF"


def test_access_hours_that_are_closed_deny() -> None:
    with pytest.raises(Refused, match="OFFICE") as refused:
        decide(facts(policy="BUSY", now=NOON.replace(hour=18)), Policies(BOTH, None, HOURS))
    assert refused.value.refusal is Refusal.POLICY_DENIED


def test_a_session_ends_when_the_access_hours_close() -> None:
    grant = decide(facts(policy="BUSY"), Policies(BOTH, None, HOURS))
    assert grant.session_timeout_s == 6 * 3600.0
    early = decide(facts(policy="BUSY", now=NOON.replace(hour=9)), Policies(BOTH, None, HOURS))
    assert early.session_timeout_s == 7 * 3600.0


def test_what_aaa_says_of_the_user_wins() -> None:
    said = facts(policy="MAIL", session_timeout_s=10.0, idle_timeout_s=5.0, simultaneous_logins=1)
    grant = decide(said, Policies(BOTH, None, HOURS))
    assert (grant.session_timeout_s, grant.idle_timeout_s, grant.simultaneous_logins) == (10.0, 5.0, 1)


def test_hours_that_aaa_names_and_nobody_knows_deny() -> None:
    with pytest.raises(Refused, match="NIGHT"):
        decide(facts(policy="MAIL", access_hours="NIGHT"), Policies(BOTH, None, HOURS))


def test_no_logins_at_a_time_is_nobody() -> None:
    for denied in (facts(policy="NOBODY-IN"), facts(policy="MAIL", simultaneous_logins=0)):
        with pytest.raises(Refused) as refused:
            decide(denied, Policies(BOTH, None, HOURS))
        assert refused.value.refusal is Refusal.LOGIN_DISABLED


def test_a_banner_is_granted() -> None:
    assert decide(facts(policy="BUSY"), Policies(BOTH, None, HOURS)).banner == "Be brief."
