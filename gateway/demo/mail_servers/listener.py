"""A listening socket on 127.0.0.1 and a thread for each connection to it.

Errors: none gets out of a thread; what nobody foresaw ends that connection and is handed to `complain` as one line.
Limits: MAX_CONNECTIONS at a time; one more is closed at once.
"""

import contextlib
import socket
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Final
from typing import Self

from gateway.demo.mail_servers.connection import Connection
from gateway.demo.mail_servers.connection import ConnectionEnded

HOST: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 100
_STOP_S: Final = 5.0
_PAUSE_S: Final = 0.05


class MailServer:
    """Bound to a free port once constructed; it accepts inside of its `with` block."""

    def __init__(self, serve: Callable[[Connection], None], complain: Callable[[str], None]) -> None:
        """serve: holds the conversation of one connection, in a thread of its own."""
        self._serve = serve
        self._complain = complain
        self._listener = socket.create_server((HOST, 0))
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._open: dict[Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = False

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._acceptor.join(_STOP_S)
        self._listener.close()
        with self._lock:
            still_open = dict(self._open)
        for connection in still_open:
            connection.shut()
        for thread in still_open.values():
            thread.join(_STOP_S)

    def _accept(self) -> None:
        while not self._closing:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                if not self._closing:
                    time.sleep(_PAUSE_S)  # no descriptor is left: others may close some
            else:
                self._take(Connection(peer))

    def _take(self, connection: Connection) -> None:
        thread = threading.Thread(target=self._converse, args=[connection], daemon=True)
        with self._lock:
            has_room = len(self._open) < MAX_CONNECTIONS
            if has_room:
                self._open[connection] = thread
                thread.start()
        if not has_room:
            connection.close()

    def _converse(self, connection: Connection) -> None:
        try:
            self._serve(connection)
        except ConnectionEnded:
            pass
        except Exception as fault:  # noqa: BLE001  the one place: whatever it is, the other connections go on
            self._complain(f"demo mail server: {_described(fault)}")
        finally:
            with self._lock:
                del self._open[connection]
            connection.close()


def _described(fault: Exception) -> str:
    place = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} at {place.filename}:{place.lineno}"
