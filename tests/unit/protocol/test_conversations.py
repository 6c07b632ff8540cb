"""Every conversation of every protocol, its input whole, octet by octet, and cut at random."""

import importlib
import pkgutil
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import tests.conversations
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.registry import PROTOCOLS
from tests.support.conversation import ClientConversation
from tests.support.conversation import Conversation
from tests.support.conversation import ServerConversation
from tests.support.conversation import at_random
from tests.support.conversation import octet_by_octet
from tests.support.conversation import play
from tests.support.conversation import whole

RANDOM_SEEDS = range(8)


def _tables() -> list[tuple[ProtocolSpec, tuple[Conversation, ...]]]:
    names = sorted(module.name for module in pkgutil.iter_modules(tests.conversations.__path__))
    modules = [importlib.import_module(f"tests.conversations.{name}") for name in names]
    return [(module.SPEC, module.CONVERSATIONS) for module in modules]


TABLES = _tables()
PAIRS = [(spec, conversation) for spec, conversations in TABLES for conversation in conversations]
ROWS = [pytest.param(spec, conversation, id=f"{spec.name}-{conversation.id}") for spec, conversation in PAIRS]


@pytest.mark.parametrize(("spec", "conversation"), ROWS)
def test_conversation_whole(spec: ProtocolSpec, conversation: Conversation) -> None:
    play(spec, conversation, whole)


@pytest.mark.parametrize(("spec", "conversation"), ROWS)
def test_conversation_octet_by_octet(spec: ProtocolSpec, conversation: Conversation) -> None:
    play(spec, conversation, octet_by_octet)


@pytest.mark.parametrize(("spec", "conversation"), ROWS)
def test_conversation_cut_at_random(spec: ProtocolSpec, conversation: Conversation) -> None:
    for seed in RANDOM_SEEDS:
        play(spec, conversation, at_random(seed))


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_conversation_cut_anywhere(data: st.DataObject) -> None:
    spec, conversation = data.draw(st.sampled_from(PAIRS))
    play(spec, conversation, at_random(data.draw(st.integers(0, 2**32))))


@pytest.mark.parametrize(("spec", "conversations"), TABLES, ids=[spec.name for spec, _ in TABLES])
def test_conversation_ids_are_unique_and_rows_name_their_rfc(
    spec: ProtocolSpec, conversations: tuple[Conversation, ...]
) -> None:
    assert [name for name, count in Counter(row.id for row in conversations).items() if count > 1] == []
    assert [row.id for row in conversations if not row.rfc.startswith("RFC ")] == []


def test_every_protocol_has_conversations_of_both_roles() -> None:
    roles = {spec.name: {type(conversation) for conversation in conversations} for spec, conversations in TABLES}
    assert roles == {name: {ServerConversation, ClientConversation} for name in PROTOCOLS}
