"""Redis: what the machines of a cluster share."""

from typing import ClassVar

from tests.support.peers.base import Peer
from tests.support.peers.base import expect_greeting
from tests.support.ports import LOOPBACK
from tests.support.ports import free_port


class Redis(Peer):
    packages: ClassVar = {"redis-server": "redis-server"}

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def configure(self) -> None:
        """Nothing to write: the command line says it all."""

    def command(self) -> list[str]:
        options = {"port": str(self.port), "bind": LOOPBACK, "save": "", "appendonly": "no", "dir": str(self.directory)}
        return ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", value))]

    def probe(self) -> None:
        expect_greeting(self.port, b"+PONG", question=b"PING\r\n")
