"""RADIUS as FreeRADIUS understands it."""

import re
import time
from collections.abc import Iterator

import pytest

from gateway.aaa.base import Challenge
from gateway.aaa.base import Challenged
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.base import ServerFailed
from gateway.aaa.radius.observer import Tally
from gateway.aaa.radius.packets import Attributes
from gateway.aaa.radius.server import RadiusServer
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.words import MessageAuthenticator
from gateway.config.secret import Secret
from gateway.errors import Refused
from gateway.outcome import Refusal
from tests.support.availability import require
from tests.support.directories import world_traversable_directory
from tests.support.peers import FreeRadius
from tests.support.peers import StartPeer
from tests.support.peers.freeradius import OTP_PASSWORD
from tests.support.peers.freeradius import PASSWORD
from tests.support.peers.freeradius import SECRET
from tests.support.ports import LOOPBACK

pytestmark = pytest.mark.integration

FACTS = ClientFacts("imap4s", "outside", "192.0.2.1", None)
USERS = r"""
bare-class Cleartext-Password := "secret"
      Class = "MAILUSERS"

ou-class Cleartext-Password := "secret"
      Class = "OU=MAILUSERS"

two-classes Cleartext-Password := "secret"
      Class = 0x309e0100,
      Class += "OU=MAILUSERS;"

both Cleartext-Password := "secret"
      Class = "OU=OTHERS;",
      ASA-Group-Policy = "MAILUSERS"

rejected-class Auth-Type := Reject
      Class = "OU=MAILUSERS;"

timed Cleartext-Password := "secret"
      Session-Timeout = 3600,
      Idle-Timeout = 60,
      ASA-Simultaneous-Logins = 2

hostile Cleartext-Password := "secret"
      Reply-Message = "* OK\r\n\033[31m",
      Class = 0x4f553d4d41494c0d0a

tunnel NAS-Port-Type == Virtual, Called-Station-Id == "outside", Cleartext-Password := "secret"
      Class = "%{NAS-Identifier} %{NAS-IP-Address} %{Calling-Station-Id} %{Service-Type} %{ASA-ClientType}"

known Service-Type == Authorize-Only, Auth-Type := Accept
      Class = "OU=MAILUSERS;"
"""


@pytest.fixture(scope="module")
def radius() -> Iterator[FreeRadius]:
    require(FreeRadius.missing())
    with world_traversable_directory() as directory, FreeRadius(users=USERS).start(directory / "radius") as peer:
        yield peer


def server(
    peer: FreeRadius,
    *,
    timeout_s: float = 5.0,
    policy: MessageAuthenticator = MessageAuthenticator.REQUIRE,
    key: str = SECRET,
) -> RadiusServer:
    settings = AaaServerSettings(
        group="RAD",
        label="radius1",
        host=LOOPBACK,
        authentication_port=peer.authentication_port,
        accounting_port=peer.accounting_port,
        key=Secret(key, is_bare=True),
        timeout_s=timeout_s,
        retry_interval_s=1.0,
        message_authenticator=policy,
    )
    return RadiusServer(settings, "gateway.example.test", lambda host, deadline: (host,), Tally())


def in_time() -> float:
    return time.monotonic() + 10.0


def login(peer: FreeRadius, user: str, password: str = PASSWORD) -> Identity:
    return server(peer).authenticate(user, password.encode(), FACTS, in_time())


def test_each_way_to_name_a_group_policy(radius: FreeRadius) -> None:
    users = ("alice", "vsa", "bare-class", "ou-class", "two-classes", "both")
    assert {user: login(radius, user).group_policy for user in users} == dict.fromkeys(users, "MAILUSERS")
    assert login(radius, "two-classes").classes == (bytes.fromhex("309e0100"), b"OU=MAILUSERS;")
    assert login(radius, "bare") == Identity("bare")


def test_what_the_server_says_of_the_user_is_read(radius: FreeRadius) -> None:
    assert login(radius, "timed").overrides == Overrides(3600, 60, 2)


def test_the_server_understands_what_it_is_told(radius: FreeRadius) -> None:
    expected = b"gateway.example.test 127.0.0.1 192.0.2.1 Login-User Clientless-SSL-VPN"
    assert login(radius, "tunnel").classes == (expected,)


def test_inc_B9_control_characters_name_no_policy(radius: FreeRadius) -> None:  # noqa: N802
    with pytest.raises(Refused, match="Class that cannot be read"):
        login(radius, "hostile")


@pytest.mark.parametrize("password", ["Secret", "secret ", "x" * 128, "s€cret", "%{User-Name}"])
def test_a_wrong_password_is_refused(radius: FreeRadius, password: str) -> None:
    with pytest.raises(Refused, match="Access-Reject") as refused:
        login(radius, "alice", password)
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


@pytest.mark.parametrize("user", ["nobody", "x" * 253, "*", "grüße", '"', "alice ", "%{User-Password}"])
def test_an_unknown_user_is_refused(radius: FreeRadius, user: str) -> None:
    with pytest.raises(Refused) as refused:
        login(radius, user)
    assert refused.value.refusal is Refusal.BAD_CREDENTIALS


def test_inc_C3_a_class_in_a_reject_lets_nobody_in(radius: FreeRadius) -> None:  # noqa: N802
    with pytest.raises(Refused, match="Access-Reject"):
        login(radius, "rejected-class")
    with pytest.raises(Refused, match="Access-Reject: Go away"):
        login(radius, "rejected")


def test_a_server_that_stays_silent_has_failed(radius: FreeRadius) -> None:
    with pytest.raises(ServerFailed, match="no answer"):
        server(radius, timeout_s=0.3).authenticate("silent", b"secret", FACTS, in_time())


def test_a_wrong_key_is_a_failed_server_and_no_wrong_password(radius: FreeRadius) -> None:
    with pytest.raises(ServerFailed):
        server(radius, timeout_s=0.3, key="another key").authenticate("alice", b"secret", FACTS, in_time())


def test_a_server_that_is_stopped_has_failed_before_its_timeout(start_peer: StartPeer) -> None:
    radius = start_peer(FreeRadius())
    asked = server(radius, timeout_s=10.0)
    assert asked.authenticate("alice", b"secret", FACTS, in_time()).user == "alice"
    radius.stop()
    started = time.monotonic()
    with pytest.raises(ServerFailed, match="refused"):
        asked.authenticate("alice", b"secret", FACTS, in_time())
    assert time.monotonic() - started < 2.0


class TestChallenge:
    def challenge(self, asked: RadiusServer) -> Challenge:
        with pytest.raises(Challenged) as challenged:
            asked.authenticate("otp", PASSWORD.encode(), FACTS, in_time())
        assert challenged.value.challenge.message == "Enter OTP"
        return challenged.value.challenge

    def test_inc_C9_the_one_time_password_counts_with_its_state_alone(self, radius: FreeRadius) -> None:  # noqa: N802
        asked = server(radius)
        with pytest.raises(Refused):
            asked.authenticate("otp", OTP_PASSWORD.encode(), FACTS, in_time())
        challenge = self.challenge(asked)
        assert asked.answer(challenge, "otp", OTP_PASSWORD.encode(), FACTS, in_time()).group_policy == "MAILUSERS"
        with pytest.raises(Refused, match="answered already"):
            asked.answer(challenge, "otp", OTP_PASSWORD.encode(), FACTS, in_time())

    def test_inc_C9_a_wrong_one_time_password_uses_the_state_up(self, radius: FreeRadius) -> None:  # noqa: N802
        asked = server(radius)
        challenge = self.challenge(asked)
        for response in (b"000000", OTP_PASSWORD.encode()):
            with pytest.raises(Refused):
                asked.answer(challenge, "otp", response, FACTS, in_time())


class TestUnsigned:
    """Debian 12's FreeRADIUS signs no answer of its own accord; here the configuration is without the remedy."""

    @pytest.fixture
    def unsigned(self, start_peer: StartPeer) -> FreeRadius:
        return start_peer(UnsignedFreeRadius())

    def test_inc_C1_require_takes_it_for_no_answer(self, unsigned: FreeRadius) -> None:  # noqa: N802
        with pytest.raises(ServerFailed, match="it has no Message-Authenticator"):
            server(unsigned, timeout_s=0.5).authenticate("alice", b"secret", FACTS, in_time())

    def test_inc_C1_allow_believes_it(self, unsigned: FreeRadius) -> None:  # noqa: N802
        asked = server(unsigned, policy=MessageAuthenticator.ALLOW)
        assert asked.authenticate("alice", b"secret", FACTS, in_time()).group_policy == "MAILUSERS"


class UnsignedFreeRadius(FreeRadius):
    def configure(self) -> None:
        super().configure()
        path = self.directory / "radiusd.conf"
        signing = r"update reply \{\s+Message-Authenticator := 0x00\s+\}"
        path.write_text(re.sub(signing, "", path.read_text()))


class TestAuthorization:
    def test_a_known_user_gets_his_policy_without_a_password(self, radius: FreeRadius) -> None:
        assert server(radius).authorize("known", FACTS, in_time()).group_policy == "MAILUSERS"

    def test_an_unknown_user_is_denied(self, radius: FreeRadius) -> None:
        for user in ("nobody", "alice"):
            with pytest.raises(Refused) as refused:
                server(radius).authorize(user, FACTS, in_time())
            assert refused.value.refusal is Refusal.POLICY_DENIED


def test_accounting_reaches_the_detail_file(radius: FreeRadius) -> None:
    asked = server(radius)
    common: Attributes = {
        "User-Name": "alice",
        "Acct-Session-Id": "17",
        "Acct-Delay-Time": 3,
        "Class": [b"OU=MAIL;", b"0x41"],
    }
    asked.account({"Acct-Status-Type": "Start", **common}, in_time())
    asked.account(
        {
            "Acct-Status-Type": "Stop",
            **common,
            "Acct-Input-Octets": 5,
            "Acct-Input-Gigawords": 1,
            "Acct-Session-Time": 60,
            "Acct-Terminate-Cause": "User-Request",
            "ASA-SessionType": "Clientless-Email-Proxy",
        },
        in_time(),
    )
    start, stop = radius.accounting_records()
    assert (start["Acct-Status-Type"], start["NAS-Identifier"]) == ("Start", "gateway.example.test")
    assert stop["Acct-Terminate-Cause"] == "User-Request"
    assert stop["ASA-SessionType"] == "Clientless-Email-Proxy"
    assert (stop["Acct-Input-Gigawords"], stop["Acct-Delay-Time"]) == ("1", "3")
    assert stop["Class"] == "0x" + b"0x41".hex()  # the last of both
    with pytest.raises(ServerFailed):
        server(radius, timeout_s=0.3, key="another key").account({"Acct-Status-Type": "Start"}, in_time())
