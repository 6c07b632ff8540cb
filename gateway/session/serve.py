"""The whole product in one screen: a client's session, from its first line to the relay.

Errors: none leave; whatever happens, the connection is closed or handed over, and one `session_end` line is written.
"""

from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.policy.rules import tighter
from gateway.protocol.base import ServerDialogue
from gateway.session.login import OpenSession
from gateway.session.login import log_in
from gateway.session.record import SessionRecord
from gateway.session.service import Service
from gateway.transport.base import ClientConnection
from gateway.transport.base import RelayLimits


def serve(client: ClientConnection, service: Service) -> None:
    """Serve one session. Runs in a greenlet of its own, which may end at every wait with SessionEnded."""
    record = SessionRecord(
        service.log, service.spec.name, service.interface, client.peer[0], client.accepted_at, client.tls
    )
    dialogue = service.spec.server(service.dialogue)
    try:
        opened = log_in(client, dialogue, service, record)
        _hand_over(client, opened, dialogue, service, record)
    except SessionEnded as ended:
        client.close(dialogue.farewell(ended.reason))
        record.ended(ended.reason, ended.detail)
    except Exception as error:  # noqa: BLE001  the last line of defence: one session, not the worker
        record.failed(error)
        client.close(dialogue.farewell(EndReason.INTERNAL_ERROR))
        record.ended(EndReason.INTERNAL_ERROR)


def _hand_over(
    client: ClientConnection, opened: OpenSession, dialogue: ServerDialogue, service: Service, record: SessionRecord
) -> None:
    try:
        client.write(dialogue.accept(opened.ready, opened.grant.banner))
    except BaseException:
        opened.upstream.close()
        raise
    limits = RelayLimits(
        tighter(opened.grant.idle_timeout_s, service.idle_timeout_s),
        tighter(opened.grant.session_timeout_s, service.session_timeout_s),
    )
    client.hand_over(opened.upstream, limits, service.relay_farewell, record.relay_ended)
