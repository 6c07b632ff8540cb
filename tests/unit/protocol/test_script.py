"""The driver of client scripts: who may speak when."""

import pytest

from gateway.errors import ProtocolError
from gateway.protocol.base import MAX_LINE_OCTETS
from gateway.protocol.base import ClientStep
from gateway.protocol.base import Line
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import StartTls
from gateway.protocol.base import UpstreamReady
from gateway.protocol.script import MAX_LINES
from gateway.protocol.script import MAX_OCTETS
from gateway.protocol.script import Script
from gateway.protocol.script import ScriptedClient


def starting_tls() -> Script:
    yield ClientStep()
    yield ClientStep(event=StartTls())
    yield ClientStep(b"hello")
    yield ClientStep(event=LoggedIn(UpstreamReady()))


def listening() -> Script:
    while True:
        yield ClientStep()


def test_script_goes_on_behind_tls() -> None:
    client = ScriptedClient(starting_tls())
    assert client.want == Line(MAX_LINE_OCTETS)
    assert client.receive(b"welcome") == ClientStep(event=StartTls())
    assert client.tls_started() == ClientStep(b"hello")
    assert client.receive(b"hello") == ClientStep(event=LoggedIn(UpstreamReady()))


def test_line_between_agreement_and_tls_is_an_error() -> None:
    client = ScriptedClient(starting_tls())
    client.receive(b"welcome")
    with pytest.raises(ProtocolError):
        client.receive(b"injected")


def test_one_line_more_than_the_limit_is_an_error() -> None:
    client = ScriptedClient(listening())
    for _ in range(MAX_LINES):
        assert client.receive(b"") == ClientStep()
    with pytest.raises(ProtocolError):
        client.receive(b"")


def test_one_octet_more_than_the_limit_is_an_error() -> None:
    client = ScriptedClient(listening())
    for _ in range(MAX_OCTETS // MAX_LINE_OCTETS):
        assert client.receive(b"x" * MAX_LINE_OCTETS) == ClientStep()
    with pytest.raises(ProtocolError):
        client.receive(b"x")


def test_secret_in_a_step_is_not_in_its_repr() -> None:
    assert "hunter2" not in repr(ClientStep(b"PASS hunter2\r\n"))
