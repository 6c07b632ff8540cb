"""One directory server as an AAA group sees it: search for the user as the gateway, then bind as what was found.

A name that is not there costs a bind, too, under a name that cannot be: the time of the answer tells nothing.
There is no "who am I" after the bind: what could make a bind anonymous (an empty password, an empty name) never gets
there, and servers answer it in forms of their own.

Errors: Refused, ServerFailed; see `answers`.
Limits: the server's timeout for all of it, and the caller's deadline.
Source: RFC 4513 sections 5.1.1 to 5.1.3, RFC 4515 section 3 (escaping), RFC 4512 section 2.5 (attribute names).
"""

import secrets
import time
from functools import partial
from typing import Final

import ldap
from ldap.filter import filter_format
from OpenSSL import SSL

from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap import answers
from gateway.aaa.ldap.attributes import AttributeReader
from gateway.aaa.ldap.connection import LdapConnection
from gateway.aaa.ldap.connection import Search
from gateway.aaa.ldap.dial import Dial
from gateway.aaa.ldap.dial import connect
from gateway.aaa.ldap.dial import directory
from gateway.aaa.ldap.pool import BindConnections
from gateway.aaa.ldap.pool import OnClosed
from gateway.aaa.ldap.pool import SearchConnections
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.aaa import AttributeMap
from gateway.config.model.words import LdapScope
from gateway.errors import Refused
from gateway.outcome import Refusal
from gateway.transport.sockets import os_fault

_SCOPES: Final = {LdapScope.ONELEVEL: ldap.SCOPE_ONELEVEL, LdapScope.SUBTREE: ldap.SCOPE_SUBTREE}


class LdapServer:
    """An `AaaServer`. One a worker, made after the fork; it connects with the first login."""

    def __init__(
        self, settings: AaaServerSettings, attribute_map: AttributeMap | None, context: SSL.Context | None, dial: Dial
    ) -> None:
        """context: for TLS towards this server; None exactly where ldap-over-ssl = disable. dial: `Dialer.dial`."""
        if settings.ldap_base_dn is None or settings.ldap_naming_attribute is None:
            raise ValueError(f"aaa-server {settings.group} {settings.label} has no base DN or no naming attribute")
        if (settings.ldap_login_dn is None) is not (settings.ldap_login_password is None):
            raise ValueError(f"aaa-server {settings.group} {settings.label} has a login DN or a login password only")
        self.label = settings.label
        self._timeout_s = settings.timeout_s
        self._base = settings.ldap_base_dn
        self._scope = _SCOPES[settings.ldap_scope]
        self._naming_attribute = settings.ldap_naming_attribute
        self._login_dn = settings.ldap_login_dn
        self._login_password = settings.ldap_login_password
        self._reader = AttributeReader(settings.ldap_naming_attribute, attribute_map)
        self._connect = partial(connect, directory(settings, context), dial)
        self._searches = SearchConnections(self._open_for_searches, settings.timeout_s)
        self._binds = BindConnections(self._open)

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """See `AaaServer`. An empty password would be an anonymous bind, which succeeds (RFC 4513 section 5.1.2)."""
        if not password:
            raise Refused(Refusal.BAD_CREDENTIALS, "no password for LDAP")
        deadline = self._own_deadline(deadline)
        try:
            entry = self._find(user, deadline)
        except Refused:
            self._binds.bind(self._nobody(), password, deadline)
            raise
        answers.check_bind(self._binds.bind(entry.dn, password, deadline))
        return self._reader.identity(user, entry)

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        """See `AaaServer`."""
        try:
            entry = self._find(user, self._own_deadline(deadline))
        except answers.NoSuchUser as unknown:
            raise Refused(Refusal.POLICY_DENIED, unknown.detail) from None
        return self._reader.identity(user, entry)

    def close(self) -> None:
        """Close all connections."""
        self._searches.close()
        self._binds.close()

    def _own_deadline(self, deadline: float) -> float:
        return min(deadline, time.monotonic() + self._timeout_s)

    def _find(self, user: str, deadline: float) -> answers.Entry:
        """With a size limit of 2, two are enough to know that there is not exactly one."""
        try:
            user.encode()
        except UnicodeEncodeError:
            raise Refused(Refusal.BAD_CREDENTIALS, "a user name that is no text") from None
        filter_text = filter_format("(%s=%s)", (self._naming_attribute, user))
        search = Search(self._base, self._scope, filter_text, self._reader.wanted, size_limit=2)
        return answers.only_entry(self._searches.search(search, deadline))

    def _nobody(self) -> str:
        return f"cn={secrets.token_hex(8)},{self._base}"

    def _open(self, on_closed: OnClosed, deadline: float) -> LdapConnection:
        channel = self._connect(deadline)
        try:
            return LdapConnection(channel, on_closed)
        except OSError as error:
            channel.close()
            raise ServerFailed(os_fault(error)) from None

    def _open_for_searches(self, on_closed: OnClosed, deadline: float) -> LdapConnection:
        connection = self._open(on_closed, deadline)
        if self._login_dn is None:
            return connection
        password = self._login_password.reveal().encode() if self._login_password else b""
        answer = connection.bind(self._login_dn, password, deadline)
        if answer.code != answers.SUCCESS:
            connection.close()
            raise ServerFailed(f"ldap-login-dn: {answer.words} ({answer.code})")
        return connection
