"""Accepts from one listening socket that the workers share.

A few connections at a time, then the hub and the other workers have their turn. Without descriptors or memory (EMFILE
and the like) it stops for a while and lets what is queued wait, here or for another worker; sessions go on meanwhile.
"""

import errno
import socket
import time
from collections.abc import Callable
from typing import Any
from typing import Final

import gevent

from gateway.transport.waiting import READ

_BATCH: Final = 8
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_TROUBLE_EVERY_S: Final = 10.0


class Acceptor:
    """Owns its copy of the listening socket. on_trouble: called once in ten seconds at most."""

    def __init__(
        self,
        listener: socket.socket,
        on_accept: Callable[[socket.socket, Any], None],
        on_trouble: Callable[[OSError], None],
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._on_accept = on_accept
        self._on_trouble = on_trouble
        self._pause_s = _FIRST_PAUSE_S
        self._quiet_until = 0.0
        loop = gevent.get_hub().loop
        self._readable = loop.io(listener.fileno(), READ)
        self._resume = loop.timer(0.0)

    def start(self) -> None:
        self._readable.start(self._accept_batch)

    def stop(self) -> None:
        """For good. What is queued is left to the others who have the socket."""
        self._readable.close()
        self._resume.close()
        self._listener.close()

    def _accept_batch(self) -> None:
        for _ in range(_BATCH):
            try:
                connected, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._back_off(error)
                    return
                continue  # a connection that was gone before it was accepted
            self._pause_s = _FIRST_PAUSE_S
            self._on_accept(connected, address)

    def _back_off(self, error: OSError) -> None:
        self._readable.stop()
        self._resume = gevent.get_hub().loop.timer(self._pause_s)
        self._resume.start(self.start)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _TROUBLE_EVERY_S
            self._on_trouble(error)
