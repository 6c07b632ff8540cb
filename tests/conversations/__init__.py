"""Conversation tables, data only: one module a protocol, with its `SPEC` and its `CONVERSATIONS`.

The format is in tests/support/conversation.py; tests/unit/protocol/test_conversations.py plays them.
"""
