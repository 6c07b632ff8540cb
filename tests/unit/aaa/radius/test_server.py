"""One RADIUS server, from a login to what the AAA group is told."""

import contextlib
import struct
import time
from collections.abc import Iterable

import pytest

from gateway.aaa.base import AaaServer
from gateway.aaa.base import Challenge
from gateway.aaa.base import Challenged
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.base import ServerFailed
from gateway.aaa.radius.observer import ServerEvent
from gateway.aaa.radius.observer import Tally
from gateway.aaa.radius.server import RadiusServer
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.words import MessageAuthenticator
from gateway.errors import GatewayError
from gateway.errors import Refused
from gateway.outcome import Refusal
from tests.unit.aaa.radius.fake import ACCEPT
from tests.unit.aaa.radius.fake import ACCOUNTED
from tests.unit.aaa.radius.fake import CHALLENGE
from tests.unit.aaa.radius.fake import CLASS
from tests.unit.aaa.radius.fake import FACTS
from tests.unit.aaa.radius.fake import REJECT
from tests.unit.aaa.radius.fake import REPLY_MESSAGE
from tests.unit.aaa.radius.fake import SIGNATURE
from tests.unit.aaa.radius.fake import STATE
from tests.unit.aaa.radius.fake import USER_NAME
from tests.unit.aaa.radius.fake import USER_PASSWORD
from tests.unit.aaa.radius.fake import VENDOR
from tests.unit.aaa.radius.fake import Asked
from tests.unit.aaa.radius.fake import FakeRadius
from tests.unit.aaa.radius.fake import attribute
from tests.unit.aaa.radius.fake import cisco
from tests.unit.aaa.radius.fake import radius_server
from tests.unit.aaa.radius.fake import reply
from tests.unit.aaa.radius.fake import silent

POLICY = attribute(CLASS, b"OU=MAILUSERS;")


def in_time() -> float:
    return time.monotonic() + 5.0


def login(server: RadiusServer, user: str = "alice", password: bytes = b"secret") -> Identity:
    return server.authenticate(user, password, FACTS, in_time())


def refused(server: RadiusServer, user: str = "alice", password: bytes = b"secret") -> Refused:
    with pytest.raises(Refused) as caught:
        login(server, user, password)
    return caught.value


class TestAuthentication:
    def test_the_request_says_who_where_and_by_which_protocol(self) -> None:
        with FakeRadius() as fake:
            server: AaaServer = radius_server(fake)
            server.authenticate("grüße", b"p\xc3\xa4ss", FACTS, in_time())
        [asked] = fake.asked
        assert (asked.code, asked.user, asked.password) == (1, "grüße", "päss")
        plain = {kind: value for kind, value in asked.attributes if kind not in (VENDOR, SIGNATURE, USER_PASSWORD)}
        assert plain == {
            1: "grüße".encode(),
            4: bytes((127, 0, 0, 1)),
            6: struct.pack("!L", 1),
            30: b"outside",
            31: b"192.0.2.1",
            32: b"gateway.example.test",
            61: struct.pack("!L", 5),
        }
        assert [attribute(VENDOR, value) for value in asked.values(VENDOR)] == [
            cisco(146, b"imap4s"),
            cisco(150, struct.pack("!L", 3)),
        ]
        assert asked.attributes[0][0] == SIGNATURE

    def test_each_protocol_and_interface_is_named_as_it_is(self) -> None:
        with FakeRadius() as fake:
            server = radius_server(fake)
            for protocol, interface in (("imap4s", "outside"), ("pop3s", "outside"), ("imap4s", "dmz")):
                server.authenticate("a", b"b", ClientFacts(protocol, interface, "::1", None), in_time())
        assert [(asked.values(30)[0], asked.values(VENDOR)[0][6:]) for asked in fake.asked] == [
            (b"outside", b"imap4s"),
            (b"outside", b"pop3s"),
            (b"dmz", b"imap4s"),
        ]

    def test_an_accept_gives_the_identity(self) -> None:
        attributes = POLICY + attribute(27, struct.pack("!L", 60)) + attribute(CLASS, b"\x00two")
        with FakeRadius(lambda asked: [reply(asked, ACCEPT, attributes)]) as fake:
            assert login(radius_server(fake)) == Identity(
                "alice", "MAILUSERS", Overrides(session_timeout_s=60), (b"OU=MAILUSERS;", b"\x00two")
            )

    def test_inc_C3_a_reject_is_a_refusal_whatever_else_it_says(self) -> None:  # noqa: N802
        body = POLICY + cisco(25, b"ADMINS") + attribute(REPLY_MESSAGE, b"Go\r\naway")
        with FakeRadius(lambda asked: [reply(asked, REJECT, body)]) as fake:
            refusal = refused(radius_server(fake))
        assert refusal.refusal is Refusal.BAD_CREDENTIALS
        assert refusal.detail == r"RADIUS server radius1: Access-Reject: Go\r\naway"

    def test_what_happens_is_counted(self) -> None:
        codes = {"alice": ACCEPT, "bob": REJECT, "otp": CHALLENGE}
        tally = Tally()

        def behave(asked: Asked) -> Iterable[bytes]:
            return [reply(asked, codes[asked.user])] if asked.user in codes else []

        with FakeRadius(behave) as fake:
            server = radius_server(fake, timeout_s=0.1, tally=tally)
            for user in ("alice", "bob", "otp", "silent"):
                with contextlib.suppress(GatewayError):
                    login(server, user)
        assert tally.events == {
            ServerEvent.REQUEST: 4,
            ServerEvent.ACCEPT: 1,
            ServerEvent.REJECT: 1,
            ServerEvent.CHALLENGE: 1,
            ServerEvent.TIMEOUT: 1,
        }

    def test_inc_C1_an_unsigned_accept_is_believed_only_where_allowed_and_counted(self) -> None:  # noqa: N802
        tally = Tally()
        with FakeRadius(lambda asked: [reply(asked, ACCEPT, POLICY, is_signed=False)]) as fake:
            with pytest.raises(ServerFailed, match="no Message-Authenticator"):
                login(radius_server(fake, timeout_s=0.1))
            allowing = radius_server(fake, message_authenticator=MessageAuthenticator.ALLOW, tally=tally)
            assert login(allowing).group_policy == "MAILUSERS"
        assert tally.events[ServerEvent.UNSIGNED] == 1


class TestLimits:
    @pytest.mark.parametrize(
        ("user", "why"),
        [
            ("", "0 octets"),
            ("x" * 254, "254 octets"),
            ("ü" * 127, "254 octets"),
            ("x" * 4096, "4096 octets"),
            ("al\x00ice", "control character"),
            ("alice\r\n", "control character"),
            ("alice\x7f", "control character"),
            ("alice\udcff", "no text"),
        ],
    )
    def test_a_name_that_radius_cannot_carry_is_refused_unasked(self, user: str, why: str) -> None:
        with FakeRadius() as fake:
            server = radius_server(fake)
            refusal = refused(server, user)
            with pytest.raises(Refused, match=why):
                server.authorize(user, FACTS, in_time())
        assert refusal.refusal is Refusal.BAD_CREDENTIALS
        assert why in refusal.detail
        assert fake.asked == []

    @pytest.mark.parametrize("user", ["x" * 253, "ü" * 126, "*)(uid=*", "a'b\"c\\d", " ", "\u2028", "%{User-Password}"])
    def test_any_other_name_is_sent_as_it_is(self, user: str) -> None:
        with FakeRadius() as fake:
            assert login(radius_server(fake), user).user == user
        assert fake.asked[0].values(USER_NAME) == [user.encode()]

    @pytest.mark.parametrize(
        ("password", "why"),
        [(b"x" * 129, "a password of 129 octets; RADIUS carries 128"), (b"x\x00", "NUL in the password")],
    )
    def test_a_password_that_radius_cannot_carry_is_refused_unasked(self, password: bytes, why: str) -> None:
        with FakeRadius() as fake:
            refusal = refused(radius_server(fake), password=password)
        assert (refusal.refusal, fake.asked) == (Refusal.BAD_CREDENTIALS, [])
        assert refusal.detail == f"RADIUS server radius1: {why}"

    def test_a_server_without_a_key_cannot_be_made(self) -> None:
        with pytest.raises(ValueError, match="has no key"):
            RadiusServer(
                AaaServerSettings(group="RAD", label="r", host="192.0.2.1"),
                "g",
                lambda host, deadline: (host,),
                Tally(),
            )


def ask_otp(asked: Asked) -> Iterable[bytes]:
    """A password, then a one-time password that is good with the State alone."""
    if asked.values(STATE):
        return [reply(asked, ACCEPT if asked.password == "123456" else REJECT, POLICY)]
    body = attribute(STATE, b"0x41\x00\xff") + attribute(REPLY_MESSAGE, b"Enter\r\nOTP")
    return [reply(asked, CHALLENGE if asked.password == "secret" else REJECT, body)]


def challenged(server: RadiusServer, user: str = "otp") -> Challenge:
    with pytest.raises(Challenged) as caught:
        login(server, user)
    return caught.value.challenge


def respond(
    server: RadiusServer, challenge: Challenge, response: bytes, user: str = "otp", facts: ClientFacts = FACTS
) -> Identity:
    return server.answer(challenge, user, response, facts, in_time())


class TestChallenges:
    def test_inc_C9_the_answer_goes_back_with_the_state_in_a_new_request(self) -> None:  # noqa: N802
        with FakeRadius(ask_otp) as fake:
            server = radius_server(fake)
            challenge = challenged(server)
            assert challenge == Challenge("radius1", r"Enter\r\nOTP", b"0x41\x00\xff")
            assert respond(server, challenge, b"123456").group_policy == "MAILUSERS"
        first, second = fake.asked
        assert second.values(STATE) == [challenge.state]
        assert (first.peer, first.user) == (second.peer, second.user)
        assert first.identifier != second.identifier
        assert first.authenticator != second.authenticator

    def test_inc_C9_a_state_is_used_once_also_after_a_wrong_answer(self) -> None:  # noqa: N802
        with FakeRadius(ask_otp) as fake:
            server = radius_server(fake)
            challenge = challenged(server)
            with pytest.raises(Refused, match="Access-Reject"):
                respond(server, challenge, b"654321")
            with pytest.raises(Refused, match="answered already"):
                respond(server, challenge, b"123456")
            assert len(fake.asked) == 2

    def test_inc_C9_a_state_is_of_one_user_at_one_address_on_one_server(self) -> None:  # noqa: N802
        with FakeRadius(ask_otp) as fake:
            server = radius_server(fake)
            challenge = challenged(server)
            elsewhere = ClientFacts("imap4s", "outside", "192.0.2.2", None)
            of_another_server = Challenge("radius2", challenge.message, challenge.state)
            for attempt in (
                (challenge, "mallory", FACTS),
                (challenge, "otp", elsewhere),
                (of_another_server, "otp", FACTS),
            ):
                with pytest.raises(Refused) as caught:
                    respond(server, attempt[0], b"123456", *attempt[1:])
                assert caught.value.refusal is Refusal.BAD_CREDENTIALS
            assert len(fake.asked) == 1
            assert respond(server, challenge, b"123456").user == "otp"

    def test_a_challenge_may_follow_a_challenge_and_have_no_state(self) -> None:
        with FakeRadius(lambda asked: [reply(asked, ACCEPT if asked.password == "2" else CHALLENGE)]) as fake:
            server = radius_server(fake)
            challenge = challenged(server)
            with pytest.raises(Challenged) as again:
                respond(server, challenge, b"")
            assert respond(server, again.value.challenge, b"2").user == "otp"
        assert [asked.values(STATE) for asked in fake.asked] == [[], [], []]

    def test_no_repr_shows_the_state(self) -> None:
        with FakeRadius(ask_otp) as fake:
            assert "41" not in repr(challenged(radius_server(fake)))


class TestAuthorization:
    def test_it_asks_without_a_password_and_for_authorization_only(self) -> None:
        with FakeRadius(lambda asked: [reply(asked, ACCEPT, POLICY)]) as fake:
            identity = radius_server(fake).authorize("alice", FACTS, in_time())
        [asked] = fake.asked
        assert identity.group_policy == "MAILUSERS"
        assert (asked.values(6), asked.values(USER_PASSWORD)) == ([struct.pack("!L", 17)], [])
        assert asked.attributes[0][0] == SIGNATURE

    @pytest.mark.parametrize("code", [REJECT, CHALLENGE])
    def test_anything_but_an_accept_denies(self, code: int) -> None:
        with FakeRadius(lambda asked: [reply(asked, code, POLICY)]) as fake, pytest.raises(Refused) as caught:
            radius_server(fake).authorize("alice", FACTS, in_time())
        assert caught.value.refusal is Refusal.POLICY_DENIED

    def test_a_silent_server_has_failed(self) -> None:
        with FakeRadius(silent) as fake, pytest.raises(ServerFailed):
            radius_server(fake, timeout_s=0.05).authorize("alice", FACTS, in_time())


class TestAccounting:
    def test_a_record_is_delivered_when_its_response_is_there(self) -> None:
        tally = Tally()
        with FakeRadius(lambda asked: [reply(asked, ACCOUNTED, is_signed=False)]) as fake:
            server = radius_server(fake, tally=tally)
            for delay in (0, 7):
                server.account(
                    {"Acct-Status-Type": "Stop", "Acct-Delay-Time": delay, "Class": [b"\x00a", b"0x41"]}, in_time()
                )
        first, second = fake.asked
        assert (first.code, first.values(40), first.values(CLASS)) == (4, [struct.pack("!L", 2)], [b"\x00a", b"0x41"])
        assert first.values(32) == [b"gateway.example.test"]
        assert first.values(4) == [bytes((127, 0, 0, 1))]
        assert [asked.values(41) for asked in fake.asked] == [[struct.pack("!L", 0)], [struct.pack("!L", 7)]]
        assert first.identifier != second.identifier  # RFC 2866 section 5.2
        assert tally.events[ServerEvent.ACCOUNTED] == 2

    @pytest.mark.parametrize("code", [ACCEPT, REJECT, 4, 0])
    def test_anything_else_is_no_acknowledgement(self, code: int) -> None:
        with FakeRadius(lambda asked: [reply(asked, code)]) as fake, pytest.raises(ServerFailed):
            radius_server(fake, timeout_s=0.05).account({"Acct-Status-Type": "Start"}, in_time())

    def test_what_cannot_be_encoded_is_a_value_error_and_is_not_sent(self) -> None:
        with FakeRadius() as fake, pytest.raises(ValueError, match="Acct-Session-Id"):
            radius_server(fake).account({"Acct-Session-Id": ""}, in_time())
        assert fake.asked == []

    def test_closing_closes_every_socket(self) -> None:
        with FakeRadius(lambda asked: [reply(asked, ACCOUNTED if asked.code == 4 else ACCEPT)]) as fake:
            server = radius_server(fake)
            login(server)
            server.account({"Acct-Status-Type": "Accounting-On"}, in_time())
            multiplexers = (server._authentication, server._accounting)
            assert [multiplexer.open_ports for multiplexer in multiplexers] == [1, 1]
            server.close()
            assert [multiplexer.open_ports for multiplexer in multiplexers] == [0, 0]
