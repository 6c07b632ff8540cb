"""Waiting for a descriptor in the hub. The only place where this package's greenlets give way, but for `pause`.

Errors: `Expired` once the deadline has passed, also when the descriptor is ready: what dribbles in is cut off.
"""

import time

import gevent

READ = 1
WRITE = 2


class Expired(Exception):
    """The deadline, a point of `time.monotonic()`, has passed."""


def wait(descriptor: int, events: int, deadline: float | None) -> None:
    """Return once the descriptor is ready for one of `events`. deadline None: wait for ever.

    Any exception may be thrown into the waiting greenlet. The descriptor must stay open meanwhile.
    """
    remaining_s = None if deadline is None else deadline - time.monotonic()
    if remaining_s is not None and remaining_s <= 0:
        raise Expired
    hub = gevent.get_hub()
    watcher = hub.loop.io(descriptor, events)
    try:
        with gevent.Timeout(remaining_s, Expired):
            hub.wait(watcher)
    finally:
        watcher.close()
