"""The step behind authentication: a second server group says what the user may do. It gets a name and no password.

The name is the one that the methods before have found, or that of the client's certificate (`dn`). What the group says
wins over what authentication said, item by item, as on the ASA; what it leaves open stays. Class attributes of both
are kept: each accounting server knows its own.

A user whom the group does not know goes on with what is known, unless `authorization-required` is set. Everything else
that keeps the group from answering refuses, set or not: its answer might have been a restriction.

Errors: Refused(POLICY_DENIED) for an unknown user; whatever the group refuses with; Refused(BAD_CREDENTIALS) for a
certificate without a name.
"""

from dataclasses import fields
from dataclasses import replace

from gateway.aaa.base import Backend
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import Overrides
from gateway.aaa.dn import certified_name
from gateway.config.attributes import DnAttributes
from gateway.credentials import Login
from gateway.errors import Refused
from gateway.outcome import Refusal


class AuthorizationMethod:
    """A `Method`. is_required: `authorization-required`.

    name_from: which part of the certificate is the name to ask for, where users authenticate by certificate and by no
    password of AAA; None: the name that the methods before have found.
    """

    def __init__(self, backend: Backend, *, is_required: bool, name_from: DnAttributes | None = None) -> None:
        self._backend = backend
        self._is_required = is_required
        self._name_from = name_from

    def apply(self, identity: Identity, login: Login, facts: ClientFacts, deadline: float) -> Identity:
        """See `Method`."""
        name = identity.user if self._name_from is None else certified_name(facts.certificate_der, self._name_from)
        try:
            authorized = self._backend.authorize(name, facts, deadline)
        except Refused as refused:
            if self._is_required or refused.refusal is not Refusal.POLICY_DENIED:
                raise
            return identity
        return merged(identity, authorized)


def merged(identity: Identity, authorized: Identity) -> Identity:
    """`identity` with everything that `authorized` says of the same user."""
    return replace(
        identity,
        group_policy=authorized.group_policy or identity.group_policy,
        overrides=_merged_overrides(identity.overrides, authorized.overrides),
        classes=tuple(dict.fromkeys(identity.classes + authorized.classes)),
    )


def _merged_overrides(before: Overrides, after: Overrides) -> Overrides:
    said = {one.name: value for one in fields(after) if (value := getattr(after, one.name)) is not None}
    return replace(before, **said)
