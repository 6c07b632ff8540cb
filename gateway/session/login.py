"""From frames to an open upstream: the dialogue is driven, each attempt passes the stages, a refusal is answered.

Errors: `SessionEnded` when the client leaves, a deadline passes or the dialogue closes; `Refused` never leaves here.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from gateway.aaa.base import ClientFacts
from gateway.config.network import canonical
from gateway.credentials import Login
from gateway.credentials import split_login
from gateway.errors import FrameTooLong
from gateway.errors import GatewayError
from gateway.errors import Refused
from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.outcome import State
from gateway.policy.rules import Facts
from gateway.policy.rules import Grant
from gateway.policy.rules import decide
from gateway.protocol.base import Closed
from gateway.protocol.base import Line
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ServerDialogue
from gateway.protocol.base import Step
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from gateway.session.record import SessionRecord
from gateway.session.service import Service
from gateway.transport.base import ClientConnection
from gateway.transport.base import UpstreamConnection

# Refusals that say nothing about the password: no reason to make the client wait for the answer.
_NO_DELAY = frozenset({Refusal.TEMPORARY, Refusal.UPSTREAM_UNAVAILABLE, Refusal.SESSION_LIMIT})


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A login that succeeded: the mail server is logged in to and waits."""

    upstream: UpstreamConnection
    ready: UpstreamReady
    grant: Grant


def log_in(client: ClientConnection, dialogue: ServerDialogue, service: Service, record: SessionRecord) -> OpenSession:
    """Read attempts until one succeeds; every refusal is answered, delayed and logged."""
    deadline = client.accepted_at + service.login_timeout_s
    for _ in range(service.max_login_attempts):
        attempt = _next_attempt(client, dialogue, deadline)
        started_at = time.monotonic()
        try:
            opened = _try(attempt, client, service, record, deadline)
        except Refused as refused:
            record.refused(refused)
            if refused.refusal not in _NO_DELAY:
                client.pause(service.failure_delay_s)
            client.write(dialogue.refuse(refused.refusal))
        else:
            record.logged_in(started_at)
            return opened
    raise SessionEnded(EndReason.TOO_MANY_FAILURES)


def _next_attempt(client: ClientConnection, dialogue: ServerDialogue, deadline: float) -> LoginAttempt:
    while True:
        step = _next_step(client, dialogue, deadline)
        if isinstance(step.event, Closed):
            client.close(step.reply)  # these are the last words; `serve` adds none to a connection that is closed
            raise SessionEnded(step.event.reason)
        if step.reply:
            client.write(step.reply)
        if isinstance(step.event, LoginAttempt):
            return step.event
        if isinstance(step.event, UserNamed):
            client.advance(State.AUTHENTICATING)


def _next_step(client: ClientConnection, dialogue: ServerDialogue, deadline: float) -> Step:
    want = dialogue.want
    if not isinstance(want, Line):
        return dialogue.receive(client.read_octets(want.count, deadline))
    try:
        return dialogue.receive(client.read_line(want.limit_octets, deadline))
    except FrameTooLong:
        return dialogue.too_long()


def _try(
    attempt: LoginAttempt, client: ClientConnection, service: Service, record: SessionRecord, deadline: float
) -> OpenSession:
    """The stages of one attempt: split, methods, policy, upstream. Raises Refused."""
    client.advance(State.AUTHENTICATING)
    record.attempt_begins()
    login = _split(attempt, service)
    record.named(login)
    facts = ClientFacts(service.spec.name, service.interface, client.peer[0], client.tls.certificate_der)
    identity = service.chain.identify(login, facts, deadline)
    grant = decide(
        Facts(
            protocol=facts.protocol,
            address=facts.address,
            named_policy=identity.group_policy,
            overrides=identity.overrides,
            server=login.server,
            now=datetime.now(),
        ),
        service.policies,
    )
    server = grant.server or service.default_server
    if server is None:
        raise Refused(Refusal.POLICY_DENIED, "the user named no server and there is no default server")
    server = canonical(server)
    record.placed(grant.policy, server)
    password = login.mail_password if service.mailhost else None
    upstream, ready = service.mail_servers.log_in(server, MailLogin(login.mail_user.encode(), password))
    try:
        client.admit(identity.user, grant.simultaneous_logins, grant.by_address)
        client.describe(vpn_user=login.vpn_user, mail_user=login.mail_user, server=server, group_policy=grant.policy)
    except GatewayError:
        upstream.close()
        raise
    return OpenSession(upstream, ready, grant)


def _split(attempt: LoginAttempt, service: Service) -> Login:
    if attempt.authzid not in (b"", attempt.authcid):
        raise Refused(Refusal.BAD_CREDENTIALS, "an authorization identity that differs from the user")
    return split_login(attempt.authcid, attempt.password, service.delimiters, service.is_allowed_server)
