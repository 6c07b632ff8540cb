"""The methods of one protocol, ANDed, in the order certificate, piggyback, aaa, authorization.

`mailhost` is the last of them and not here: the mail server itself answers it (`gateway.upstream`).
A method that the configuration names and this version cannot perform refuses every login: it fails closed.

Errors: the first method's `Refused` ends the chain; the client sees one uniform answer whatever the method.
Source: the ASA's E-Mail Proxy chapter, panel "Authentication".
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.aaa.base import Backend
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.credentials import Login
from gateway.errors import Refused
from gateway.outcome import Refusal


class Method(Protocol):
    """One step of the chain: takes what is known of the user so far, returns more, or raises Refused."""

    def apply(self, identity: Identity, login: Login, facts: ClientFacts, deadline: float) -> Identity:
        """Return the identity with what this method has found out."""


class AaaMethod:
    """`aaa`: the authentication server group must accept the VPN user with the VPN password."""

    def __init__(self, group: str, backend: Backend) -> None:
        self._group = group
        self._backend = backend

    def apply(self, identity: Identity, login: Login, facts: ClientFacts, deadline: float) -> Identity:
        """See `Method`. An empty password never reaches a backend (RFC 4513 section 5.1.2)."""
        if not login.vpn_password:
            raise Refused(Refusal.BAD_CREDENTIALS, f"no password for AAA group {self._group}")
        return self._backend.authenticate(login.vpn_user, login.vpn_password, facts, deadline)


class ClosedMethod:
    """A method that always refuses, with the reason why: not set up, or not in effect in this version."""

    def __init__(self, detail: str) -> None:
        self._detail = detail

    def apply(self, identity: Identity, login: Login, facts: ClientFacts, deadline: float) -> Identity:
        """See `Method`."""
        raise Refused(Refusal.LOGIN_DISABLED, self._detail)


class Chain:
    """The methods of one protocol, in order. Empty: only the mail server decides."""

    def __init__(self, methods: Sequence[Method]) -> None:
        self._methods = tuple(methods)

    def identify(self, login: Login, facts: ClientFacts, deadline: float) -> Identity:
        """Who it is, when every method agrees. Raises Refused."""
        identity = Identity(login.vpn_user)
        for method in self._methods:
            identity = method.apply(identity, login, facts, deadline)
        return identity
