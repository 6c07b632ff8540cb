"""What a worker does with faults outside every session."""

import os

import gevent
from gevent.hub import Hub

from gateway.log import Log
from gateway.worker.main import log_faults


def test_a_fault_outside_every_session_is_an_event_and_quotes_nothing() -> None:
    def fail() -> None:
        raise ValueError("tops3cret")

    hub = gevent.get_hub()
    read_end, write_end = os.pipe()
    try:
        log_faults(hub, Log("logfmt", descriptor=write_end), 3)
        gevent.spawn(fail).join()
    finally:
        vars(hub).pop("print_exception", None)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        log = pipe.read().decode()
    assert "event=internal_error worker=3" in log
    assert "ValueError" in log
    assert "tops3cret" not in log
    assert log.count("\n") == 1
    assert hub.print_exception.__func__ is Hub.print_exception
