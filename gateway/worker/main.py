"""A worker's life after the fork: make what must not be shared, accept, serve, drain, end.

Signals: SIGTERM ends every session now, each with its farewell; SIGQUIT stops accepting and waits for the sessions'
own end. SIGINT is left to the master, since a terminal sends it to the whole group. The master's end is as SIGQUIT.

Errors: what cannot be served is an exception, which ends the worker before it says that it is ready.
"""

import os
import signal
import time
from functools import partial
from typing import Final

import gevent
from gevent.event import Event
from gevent.hub import Hub
from gevent.socket import wait_read

from gateway.log import Log
from gateway.log import fault
from gateway.outcome import EndReason
from gateway.protocol.registry import NUMBERS
from gateway.session.record import SessionRecord
from gateway.session.serve import serve
from gateway.session.service import Service
from gateway.transport.base import Address
from gateway.transport.engine import Endpoint
from gateway.transport.engine import Transport
from gateway.transport.tls import ServerTls
from gateway.upstream.connect import Dialer
from gateway.upstream.resolve import Resolver
from gateway.worker.assemble import Assembly
from gateway.worker.inheritance import Inheritance

# How long ended sessions may take to flush their farewells; the master's patience is a little longer.
_FLUSH_S: Final = 1.0
_POLL_S: Final = 0.05
# Between two log lines on the same trouble.
_TROUBLE_EVERY_S: Final = 10.0


def run(index: int, inheritance: Inheritance, ready_fd: int) -> int:
    """Serve until told to stop; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_now, drain = Event(), Event()
    gevent.signal_handler(signal.SIGTERM, stop_now.set)
    gevent.signal_handler(signal.SIGQUIT, drain.set)
    log_faults(gevent.get_hub(), inheritance.log, index)
    transport = Transport(_Trouble(inheritance.log, index), inheritance.table, index)
    _listen(transport, inheritance)
    os.write(ready_fd, b"R")
    os.close(ready_fd)
    gevent.spawn(_watch_master, inheritance, drain)
    gevent.wait([stop_now, drain], count=1)
    transport.stop_accepting()
    if not stop_now.is_set():
        _wait_for_sessions(transport, stop_now, inheritance.config.gateway.shutdown_grace_s)
    transport.end_all(EndReason.SHUTDOWN)
    _wait_for_sessions(transport, Event(), _FLUSH_S)
    return 0


def _listen(transport: Transport, inheritance: Inheritance) -> None:
    dialer = Dialer(transport, Resolver())
    assembly = Assembly(inheritance.config, inheritance.tls, dialer, inheritance.log)
    services = {
        (bound.protocol, bound.interface): assembly.service(bound.protocol, bound.interface)
        for bound in inheritance.listeners
    }
    for bound in inheritance.listeners:
        endpoint = _endpoint(services[bound.protocol, bound.interface], inheritance.tls.server[bound.protocol])
        transport.listen(bound.socket, endpoint)


def _endpoint(service: Service, tls: ServerTls) -> Endpoint:
    dialogue = service.spec.server(service.dialogue)
    return Endpoint(
        tls=tls,
        greeting=dialogue.greeting(),
        farewell=dialogue.farewell,
        handshake_timeout_s=service.handshake_timeout_s,
        login_timeout_s=service.login_timeout_s,
        on_session=partial(serve, service=service),
        on_end_early=partial(_log_early_end, service),
        protocol=NUMBERS[service.spec.name],
    )


def _log_early_end(service: Service, client: Address, accepted_at: float, reason: EndReason, detail: str) -> None:
    """A connection that ended before its first line is no session, but has its one line too."""
    record = SessionRecord(service.log, service.spec.name, service.interface, client[0], accepted_at)
    record.ended(reason, detail)


def log_faults(hub: Hub, log: Log, index: int) -> None:
    """What fails outside every session, gevent would print as it is: the log has events only, and quotes no input."""

    def print_exception(_context: object, _kind: object, error: BaseException, _trace: object) -> None:
        log.error("internal_error", worker=index, detail=fault(error))

    hub.print_exception = print_exception  # type: ignore[method-assign, assignment]


def _watch_master(inheritance: Inheritance, drain: Event) -> None:
    wait_read(inheritance.life_line)
    inheritance.log.warning("master_gone", detail="accepting no more; sessions go on to their own end")
    drain.set()


def _wait_for_sessions(transport: Transport, stop_now: Event, patience_s: float | None) -> None:
    deadline = None if patience_s is None else time.monotonic() + patience_s
    while transport.live and not stop_now.is_set() and (deadline is None or time.monotonic() < deadline):
        stop_now.wait(_POLL_S)


class _Trouble:
    """Says that accepting pauses (no descriptors, no memory), but not every time it does."""

    def __init__(self, log: Log, index: int) -> None:
        self._log = log
        self._index = index
        self._said_at = 0.0

    def __call__(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._said_at >= _TROUBLE_EVERY_S:
            self._said_at = now
            self._log.error("accept_paused", worker=self._index, detail=error.strerror)
