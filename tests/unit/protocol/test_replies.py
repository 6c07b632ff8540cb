"""The answers of every registered protocol to every word of `outcome`: none is missing, each says what it should."""

from typing import Final

import pytest

from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.base import ServerDialogue
from gateway.protocol.base import ServerSettings
from gateway.protocol.registry import PROTOCOLS

# How an answer begins, behind the tag of IMAP.
CODES: Final[dict[Refusal, dict[str, bytes]]] = {
    Refusal.BAD_CREDENTIALS: {"imap4s": b"NO [AUTHENTICATIONFAILED]", "pop3s": b"-ERR [AUTH]", "smtps": b"535 5.7.8"},
    Refusal.UPSTREAM_REJECTED: {"imap4s": b"NO [AUTHENTICATIONFAILED]", "pop3s": b"-ERR [AUTH]", "smtps": b"535 5.7.8"},
    Refusal.EXPIRED: {"imap4s": b"NO [EXPIRED]", "pop3s": b"-ERR [AUTH]", "smtps": b"535 5.7.8"},
    Refusal.POLICY_DENIED: {"imap4s": b"NO [AUTHORIZATIONFAILED]", "pop3s": b"-ERR [AUTH]", "smtps": b"535 5.7.8"},
    Refusal.LOGIN_DISABLED: {"imap4s": b"NO [AUTHORIZATIONFAILED]", "pop3s": b"-ERR [AUTH]", "smtps": b"525 5.7.13"},
    Refusal.SESSION_LIMIT: {"imap4s": b"NO [LIMIT]", "pop3s": b"-ERR [IN-USE]", "smtps": b"454 4.7.0"},
    Refusal.TEMPORARY: {"imap4s": b"NO [UNAVAILABLE]", "pop3s": b"-ERR [SYS/TEMP]", "smtps": b"454 4.7.0"},
    Refusal.UPSTREAM_UNAVAILABLE: {"imap4s": b"NO [UNAVAILABLE]", "pop3s": b"-ERR [SYS/TEMP]", "smtps": b"454 4.7.0"},
}
SILENT: Final = {
    EndReason.HANDSHAKE_FAILED,
    EndReason.HANDSHAKE_TIMEOUT,
    EndReason.TOO_MUCH_OUTPUT,
    EndReason.NOT_THIS_PROTOCOL,
    EndReason.CLIENT_CLOSED,
    EndReason.CLIENT_LOST,
}
SPOKEN: Final = {
    EndReason.LOGIN_TIMEOUT,
    EndReason.LOGOUT,
    EndReason.TOO_MANY_ERRORS,
    EndReason.LINE_TOO_LONG,
    EndReason.TOO_MUCH_INPUT,
    EndReason.EVICTED,
    EndReason.LOGGED_OFF,
    EndReason.SHUTDOWN,
    EndReason.INTERNAL_ERROR,
}
MAY_BE_SAID_AFTER_LOGIN: Final = {
    EndReason.LOGGED_OFF,
    EndReason.SHUTDOWN,
    EndReason.IDLE_TIMEOUT,
    EndReason.SESSION_TIMEOUT,
    EndReason.UPSTREAM_LOST,
    EndReason.INTERNAL_ERROR,
}

every_protocol = pytest.mark.parametrize("spec", PROTOCOLS.values(), ids=PROTOCOLS)
every_refusal = pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.value)
every_reason = pytest.mark.parametrize("reason", EndReason, ids=lambda reason: reason.value)


def dialogue(spec: ProtocolSpec) -> ServerDialogue:
    return spec.server(ServerSettings(b"mail.example.org", ()))


def is_a_line(octets: bytes) -> bool:
    return octets.endswith(b"\r\n") and octets[:-2].isascii() and octets[:-2].decode().isprintable()


def test_registry_has_the_three_protocols_under_their_own_names() -> None:
    assert list(PROTOCOLS) == ["imap4s", "pop3s", "smtps"]
    assert [spec.name for spec in PROTOCOLS.values()] == list(PROTOCOLS)
    assert [spec.alpn for spec in PROTOCOLS.values()] == [b"imap", b"pop3", b"smtp"]


@every_protocol
@every_refusal
def test_refusal_has_its_code(spec: ProtocolSpec, refusal: Refusal) -> None:
    reply = dialogue(spec).refuse(refusal)
    assert is_a_line(reply)
    assert reply.removeprefix(b"* ").startswith(CODES[refusal][spec.name] + b" ")


@every_protocol
def test_wrong_password_here_and_at_the_mail_server_look_the_same(spec: ProtocolSpec) -> None:
    server = dialogue(spec)
    assert server.refuse(Refusal.BAD_CREDENTIALS) == server.refuse(Refusal.UPSTREAM_REJECTED)


@every_protocol
@every_reason
def test_farewell_is_a_line_or_silence(spec: ProtocolSpec, reason: EndReason) -> None:
    farewell = dialogue(spec).farewell(reason)
    assert farewell == b"" or is_a_line(farewell)
    assert not (reason in SILENT and farewell)
    assert not (reason in SPOKEN and not farewell)


@every_protocol
def test_farewells_after_login_are_lines_for_reasons_of_ours(spec: ProtocolSpec) -> None:
    assert set(spec.relay_farewells) <= MAY_BE_SAID_AFTER_LOGIN
    assert all(is_a_line(farewell) for farewell in spec.relay_farewells.values())


def test_smtp_ends_with_421_whenever_the_session_is_not_the_clients_to_end() -> None:
    spec = PROTOCOLS["smtps"]
    said = {reason: dialogue(spec).farewell(reason) for reason in EndReason}
    assert {reason for reason, farewell in said.items() if farewell.startswith(b"421 4.")} == {
        EndReason.LOGIN_TIMEOUT,
        EndReason.TOO_MANY_ERRORS,
        EndReason.TOO_MANY_FAILURES,
        EndReason.TOO_MUCH_INPUT,
        EndReason.EVICTED,
        EndReason.LOGGED_OFF,
        EndReason.SHUTDOWN,
        EndReason.INTERNAL_ERROR,
        EndReason.UPSTREAM_LOST,
        EndReason.IDLE_TIMEOUT,
        EndReason.SESSION_TIMEOUT,
    }
    assert all(farewell.startswith(b"421 4.") for farewell in spec.relay_farewells.values())
