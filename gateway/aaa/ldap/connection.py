"""One connection to a directory server: python-ldap's asynchronous calls, its descriptor watched by the hub.

Every operation sends its request, waits in the hub for the result with its message id, and leaves the connection sound
whatever ends the wait: a search is abandoned, a bind (which cannot be, RFC 4511 section 4.2.1) closes it.

Errors: `ServerFailed`; `ConnectionLost`, its subclass, when the connection was gone before the answer, so that one that
had been idle may be tried again. Whatever is thrown into the waiting greenlet passes.
Limits: ANSWER_OCTETS for an operation.
Source: RFC 4511; libldap gives one message for a call, so a callback takes one and is called again.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import cast

import gevent
import ldap
from gevent.event import AsyncResult

from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap import password_policy
from gateway.aaa.ldap.answers import Answer
from gateway.aaa.ldap.answers import Entry
from gateway.aaa.ldap.tunnel import Tunnel
from gateway.transport.channel import Channel
from gateway.transport.waiting import READ
from gateway.transport.waiting import Expired

# 2,500 groups of 100 octets. What python-ldap makes of it takes the hub about 15 ms.
ANSWER_OCTETS: Final = 256 * 1024

# libldap opens a connection that has broken anew by its URI, and waits for it. This one leads nowhere, at once.
_NOWHERE: Final = "ldapi://%2Fnonexistent"
_CONTROLS: Final = {password_policy.OID: password_policy.PolicyAnswer}
_SERVER_DOWN: Final = -1


class ConnectionLost(ServerFailed):
    """The connection was closed, or broke, before the answer came."""


@dataclass(frozen=True, slots=True)
class Search:
    """filter_text: RFC 4515, with everything foreign escaped. scope: ldap.SCOPE_ONELEVEL or _SUBTREE."""

    base: str
    scope: int
    filter_text: str
    attributes: tuple[str, ...]
    size_limit: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    kind: int
    result: "AsyncResult[Answer]"


class LdapConnection:
    """Owns the channel. on_closed: called once, when no more operations can begin.

    answered_at: when the server last said something, or the connection was made; monotonic.
    """

    def __init__(self, channel: Channel, on_closed: Callable[["LdapConnection"], None]) -> None:
        """Raises OSError when there are no descriptors left; then the channel is still the caller's."""
        self._tunnel = Tunnel(channel, self.close)
        self._library = ldap.initialize(_NOWHERE, fileno=self._tunnel.descriptor)
        self._library.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
        self._library.set_option(ldap.OPT_DEREF, ldap.DEREF_NEVER)
        self._on_closed = on_closed
        self._waiting: dict[int, _Waiting] = {}
        self.is_open = True
        self.answered_at = time.monotonic()
        self._readable = gevent.get_hub().loop.io(self._tunnel.descriptor, READ)
        self._readable.start(self._take_answer)

    @property
    def outstanding(self) -> int:
        """Operations that have no answer yet."""
        return len(self._waiting)

    def bind(self, dn: str, password: bytes, deadline: float) -> Answer:
        """One at a time, with nothing else under way (RFC 4511 section 4.2.1). No answer closes the connection."""
        try:
            message_id = self._begin(
                lambda library: library.simple_bind(dn, password, serverctrls=[password_policy.REQUEST])
            )
            return self._answer(message_id, ldap.RES_BIND, deadline)
        except BaseException:
            self.close()
            raise

    def search(self, search: Search, deadline: float) -> Answer:
        """Any number at a time."""
        limit_s = max(1, round(deadline - time.monotonic()))
        message_id = self._begin(
            lambda library: library.search_ext(
                search.base,
                search.scope,
                search.filter_text,
                list(search.attributes),
                timeout=limit_s,
                sizelimit=search.size_limit,
            )
        )
        try:
            return self._answer(message_id, ldap.RES_SEARCH_RESULT, deadline)
        except BaseException:
            self._abandon(message_id)
            raise

    def close(self, reason: str = "closed") -> None:
        """Say unbind, and end what is under way. Idempotent."""
        if not self.is_open:
            return
        self.is_open = False
        self._readable.close()
        with contextlib.suppress(ldap.LDAPError):
            self._library.unbind_ext()
        self._tunnel.close()
        while self._waiting:
            self._waiting.popitem()[1].result.set_exception(ConnectionLost(reason))
        self._on_closed(self)

    def _begin(self, operation: Callable[[Any], int]) -> int:
        if not self.is_open:
            raise ConnectionLost("closed")
        self._tunnel.allow((len(self._waiting) + 2) * ANSWER_OCTETS)
        try:
            message_id = operation(self._library)
        except ldap.SERVER_DOWN:
            self.close("lost")
            raise ConnectionLost("lost") from None
        except ldap.LDAPError as error:
            raise ServerFailed(f"libldap: {_words(error)}") from None
        self._tunnel.send()
        return message_id

    def _answer(self, message_id: int, kind: int, deadline: float) -> Answer:
        if not self.is_open:
            raise ConnectionLost("lost")
        result: AsyncResult[Answer] = AsyncResult()
        self._waiting[message_id] = _Waiting(kind, result)
        try:
            with gevent.Timeout(max(deadline - time.monotonic(), 0), Expired):
                return cast("Answer", result.get())
        except Expired:
            raise ServerFailed("no answer in time") from None
        finally:
            self._waiting.pop(message_id, None)

    def _abandon(self, message_id: int) -> None:
        if self.is_open:
            with contextlib.suppress(ldap.LDAPError):
                self._library.abandon_ext(message_id)

    def _take_answer(self) -> None:
        """Runs in the hub, once for each message that has come."""
        try:
            kind, found, message_id, controls, _, _ = self._library.result4(
                ldap.RES_ANY, ldap.MSG_ALL, 0, resp_ctrl_classes=_CONTROLS
            )
        except ldap.LDAPError as error:
            self._take_error(error)
        except UnicodeDecodeError:
            self.close("an answer that is not UTF-8")
        else:
            if kind is not None:
                account_error = next((control.error for control in controls), None)
                self._give(message_id, kind, Answer(0, entries=_entries(found), account_error=account_error))

    def _take_error(self, error: ldap.LDAPError) -> None:
        """A result that is not success, or no result at all."""
        facts = _facts(error)
        code, message_id, kind = facts.get("result", _SERVER_DOWN), facts.get("msgid"), facts.get("msgtype")
        if code < 0 or not message_id:
            self.close(f"libldap: {_words(error)}")
            return
        values = [value for oid, _, value in facts.get("ctrls", ()) if oid == password_policy.OID]
        account_error = password_policy.account_error(values[0] if values else None)
        self._give(message_id, kind, Answer(code, _words(error), facts.get("info", ""), account_error=account_error))

    def _give(self, message_id: int, kind: int | None, answer: Answer) -> None:
        self.answered_at = time.monotonic()
        waiting = self._waiting.get(message_id)
        if waiting is None:
            return  # nobody waits for it any more
        if kind != waiting.kind and answer.code == 0:
            self.close("an answer of another kind than the question")  # no bind succeeds by the answer to a search
            return
        del self._waiting[message_id]
        waiting.result.set(answer)


def _entries(found: list[tuple[str | None, Any]]) -> tuple[Entry, ...]:
    """Without references to other servers, which come with None for a name."""
    return tuple(
        Entry(dn, {name.lower(): tuple(values) for name, values in attributes.items()})
        for dn, attributes in found
        if dn is not None
    )


def _facts(error: ldap.LDAPError) -> dict[str, Any]:
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}


def _words(error: ldap.LDAPError) -> str:
    """libldap's own for the code: fixed, unlike the server's."""
    return str(_facts(error).get("desc", type(error).__name__))
