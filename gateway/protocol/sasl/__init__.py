"""The SASL mechanisms, both roles, shared by the three protocols. A new one is a module and a line in the table."""

from collections.abc import Iterable
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.protocol.sasl.exchange import Aborted as Aborted
from gateway.protocol.sasl.exchange import Ask as Ask
from gateway.protocol.sasl.exchange import Exchange as Exchange
from gateway.protocol.sasl.exchange import Outcome as Outcome
from gateway.protocol.sasl.exchange import encoded_responses as encoded_responses
from gateway.protocol.sasl.login import LOGIN as LOGIN
from gateway.protocol.sasl.mechanism import Mechanism as Mechanism
from gateway.protocol.sasl.plain import PLAIN as PLAIN

MECHANISMS: Final[Mapping[str, Mechanism]] = MappingProxyType({each.name: each for each in (PLAIN, LOGIN)})


def find(name: bytes, offered: Iterable[str]) -> Mechanism | None:
    """The mechanism a client or a mail server named, in any case; None: unknown, or not offered."""
    wanted = name.decode("ascii", "replace").upper()
    return MECHANISMS.get(wanted) if wanted in offered else None


def best(announced: Iterable[bytes]) -> Mechanism | None:
    """Of the mechanisms a mail server announced, the first of our table; None: none in common."""
    names = {name.upper() for name in announced}
    return next((each for each in MECHANISMS.values() if each.name.encode() in names), None)
