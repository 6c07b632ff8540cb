"""One RADIUS server as an AAA group sees it: authentication, authorization, challenges, accounting.

What is sent beside User-Name and the hidden password (PAP):
- NAS-Identifier (our host name), NAS-IP-Address or NAS-IPv6-Address (of the socket), NAS-Port-Type Virtual;
- Calling-Station-Id: the client's address; Called-Station-Id: our interface's name, as the ASA's administrator gave it;
- Service-Type Login: "connected to a host" (RFC 2865 section 5.6), which is what a mail user is. Authenticate-Only
  would tell the server that its group policy is not wanted;
- 3076/146 the protocol (`imap4s`) in the place of the tunnel group, 3076/150 Clientless-SSL-VPN, as the ASA's
  clientless VPN sends them.

Authorization sends Service-Type Authorize-Only, a Message-Authenticator and no password. (The ASA sends the user's name
as the password, or one common password; either makes the name a password that works wherever passwords are checked.)

Errors: Refused(BAD_CREDENTIALS), of authorization Refused(POLICY_DENIED); ServerFailed; Challenged.
Limits: a user name of 253 octets, a password of 128 (RFC 2865 sections 5.1 and 5.2): longer ones are refused unasked.
"""

import re
from typing import Final

from gateway.aaa.base import Challenge
from gateway.aaa.base import Challenged
from gateway.aaa.base import ClientFacts
from gateway.aaa.base import Identity
from gateway.aaa.radius.answers import Answer
from gateway.aaa.radius.answers import verified
from gateway.aaa.radius.challenges import OpenChallenges
from gateway.aaa.radius.identity import identity_of
from gateway.aaa.radius.identity import message_of
from gateway.aaa.radius.multiplexer import Endpoint
from gateway.aaa.radius.multiplexer import Multiplexer
from gateway.aaa.radius.multiplexer import Resolve
from gateway.aaa.radius.observer import ServerEvent
from gateway.aaa.radius.observer import ServerObserver
from gateway.aaa.radius.packets import CALLING_STATION_ID
from gateway.aaa.radius.packets import MAX_PASSWORD_OCTETS
from gateway.aaa.radius.packets import MAX_VALUE_OCTETS
from gateway.aaa.radius.packets import STATE
from gateway.aaa.radius.packets import AccessRequest
from gateway.aaa.radius.packets import Attributes
from gateway.aaa.radius.packets import Code
from gateway.aaa.radius.packets import Draft
from gateway.aaa.radius.packets import Sealed
from gateway.aaa.radius.packets import accounting_request
from gateway.aaa.radius.packets import attribute
from gateway.aaa.radius.packets import encoded
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.words import MessageAuthenticator
from gateway.errors import Refused
from gateway.outcome import Refusal

_LOGIN: Final = "Login"
_AUTHORIZE_ONLY: Final = "Authorize-Only"
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_EVENTS: Final = {
    Code.ACCESS_ACCEPT: ServerEvent.ACCEPT,
    Code.ACCESS_REJECT: ServerEvent.REJECT,
    Code.ACCESS_CHALLENGE: ServerEvent.CHALLENGE,
    Code.ACCOUNTING_RESPONSE: ServerEvent.ACCOUNTED,
}


class RadiusServer:
    """An `AaaServer`. One a worker; sockets are opened with the first request, so it may be made before the fork."""

    def __init__(
        self, settings: AaaServerSettings, nas_identifier: str, resolve: Resolve, observer: ServerObserver
    ) -> None:
        """nas_identifier: our host name. resolve: host name to addresses, as `Resolver.addresses`."""
        if settings.key is None:
            raise ValueError(f"aaa-server {settings.group} {settings.label} has no key")
        self.label = settings.label
        self._secret = settings.key.reveal().encode()
        self._must_be_signed = settings.message_authenticator is MessageAuthenticator.REQUIRE
        self._nas_identifier = nas_identifier
        self._observer = observer
        self._constant: dict[tuple[str, str, str], bytes] = {}
        self._challenges = OpenChallenges()
        self._authentication, self._accounting = (
            Multiplexer(
                Endpoint(settings.host, port, settings.timeout_s, settings.retry_interval_s),
                resolve,
                self._verified,
                observer,
            )
            for port in (settings.authentication_port, settings.accounting_port)
        )

    def authenticate(self, user: str, password: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """See `AaaServer`."""
        attributes = self._attributes(_LOGIN, facts)
        return self._login(user, password, attributes, facts, deadline)

    def answer(self, challenge: Challenge, user: str, response: bytes, facts: ClientFacts, deadline: float) -> Identity:
        """What comes of the user's response to a challenge. Raises as `authenticate` does, also for a second answer.

        Once it was sent, the challenge is used up, whatever comes of it. The response may be empty.
        """
        if challenge.server != self.label or not self._challenges.take(challenge, user, facts):
            raise self._bad("the challenge was not put to this user, is answered already, or is too old")
        state = attribute(STATE, challenge.state) if challenge.state else b""
        attributes = state + self._attributes(_LOGIN, facts)
        return self._login(user, response, attributes, facts, deadline)

    def authorize(self, user: str, facts: ClientFacts, deadline: float) -> Identity:
        """See `AaaServer`."""
        draft = AccessRequest(self._secret, self._user_name(user), None, self._attributes(_AUTHORIZE_ONLY, facts))
        answer = self._ask(self._authentication, draft, deadline)
        if answer.code is Code.ACCESS_ACCEPT:
            return identity_of(user, answer)
        raise Refused(Refusal.POLICY_DENIED, f"RADIUS server {self.label}: {_said(answer)}")

    def account(self, attributes: Attributes, deadline: float) -> None:
        """Report one event of a session and return when the server has acknowledged it. Raises ServerFailed.

        attributes: by name, Acct-Status-Type and Acct-Delay-Time among them; NAS-Identifier, NAS-Port-Type and the
        address are added here. Each call is a new request with a new identifier (RFC 2866 section 5.2); repeating it
        until it succeeds is the caller's. ValueError: it cannot be encoded, now or ever.
        """
        ours = {"NAS-Identifier": self._nas_identifier, "NAS-Port-Type": "Virtual"}
        self._ask(self._accounting, accounting_request(self._secret, {**attributes, **ours}), deadline)

    def close(self) -> None:
        """Close all sockets."""
        self._authentication.close()
        self._accounting.close()

    def _login(self, user: str, password: bytes, attributes: bytes, facts: ClientFacts, deadline: float) -> Identity:
        draft = AccessRequest(self._secret, self._user_name(user), self._checked(password), attributes)
        answer = self._ask(self._authentication, draft, deadline)
        if answer.code is Code.ACCESS_ACCEPT:
            return identity_of(user, answer)
        if answer.code is Code.ACCESS_CHALLENGE:
            raise self._challenged(answer, user, facts)
        raise self._bad(_said(answer))

    def _ask(self, multiplexer: Multiplexer, draft: Draft, deadline: float) -> Answer:
        answer = multiplexer.exchange(draft, deadline)
        self._observer.happened(_EVENTS[answer.code])
        if not answer.is_signed and answer.code is not Code.ACCOUNTING_RESPONSE:
            self._observer.happened(ServerEvent.UNSIGNED)
        return answer

    def _verified(self, datagram: bytes, request: Sealed) -> Answer:
        return verified(datagram, request, self._secret, must_be_signed=self._must_be_signed)

    def _attributes(self, service: str, facts: ClientFacts) -> bytes:
        """All but the name and the password; what does not depend on the client is encoded once."""
        key = (service, facts.protocol, facts.interface)
        constant = self._constant.get(key)
        if constant is None:
            constant = self._constant[key] = encoded(
                {
                    "Service-Type": service,
                    "NAS-Identifier": self._nas_identifier,
                    "NAS-Port-Type": "Virtual",
                    "Called-Station-Id": facts.interface,
                    "ASA-TunnelGroupName": facts.protocol,
                    "ASA-ClientType": "Clientless-SSL-VPN",
                }
            )
        return attribute(CALLING_STATION_ID, facts.address.encode()) + constant

    def _user_name(self, user: str) -> bytes:
        """A name may come out of a certificate: what no login can hold is refused here once more."""
        try:
            octets = user.encode()
        except UnicodeEncodeError:
            raise self._bad("a user name that is no text") from None
        if not 1 <= len(octets) <= MAX_VALUE_OCTETS:
            raise self._bad(f"a user name of {len(octets)} octets; RADIUS carries 1 to {MAX_VALUE_OCTETS}")
        if _CONTROL.search(octets):
            raise self._bad("control character in the user name")
        return octets

    def _checked(self, password: bytes) -> bytes:
        if len(password) > MAX_PASSWORD_OCTETS:
            raise self._bad(f"a password of {len(password)} octets; RADIUS carries {MAX_PASSWORD_OCTETS}")
        if b"\0" in password:
            raise self._bad("NUL in the password")  # it is the padding of RFC 2865 section 5.2
        return password

    def _challenged(self, answer: Answer, user: str, facts: ClientFacts) -> Challenged:
        state = answer.values(STATE)
        challenge = Challenge(self.label, message_of(answer), state[0] if state else b"")
        self._challenges.add(challenge, user, facts)
        return Challenged(challenge)

    def _bad(self, detail: str) -> Refused:
        return Refused(Refusal.BAD_CREDENTIALS, f"RADIUS server {self.label}: {detail}")


def _said(answer: Answer) -> str:
    word = answer.code.name.replace("_", "-").title()
    return ": ".join(filter(None, (word, message_of(answer))))
