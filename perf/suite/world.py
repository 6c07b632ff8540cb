"""What the measurements of one run share: a folder, a certificate, the mail server, how much effort to take.

Servers are made by name, so that tables, command line and chapters speak of the same things.
"""

import fcntl
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Final

from perf.suite.servers import Backend
from perf.suite.servers import Direct
from perf.suite.servers import DovecotProxy
from perf.suite.servers import Gateway
from perf.suite.servers import Haproxy
from perf.suite.servers import MailServer
from perf.suite.servers import Nginx
from perf.suite.servers import Stunnel
from perf.suite.servers import make_certificate
from perf.suite.servers import use_all_descriptors
from tests.support.directories import world_traversable_directory

FLOOD_CAP: Final = 4000
VARIANTS: Final = {"gateway-logging", "nginx"}
"""Too much like another for a quick run."""
LOCK: Final = Path(tempfile.gettempdir(), "gateway-perf.lock")


@dataclass(frozen=True, slots=True)
class Effort:
    """`rounds`: how often all is measured. `quick`: just enough to see that the tools work.

    `sessions`: the most that are held idle, on a machine without room for more. `only`: these servers.
    """

    rounds: int
    quick: bool
    workers: int
    sessions: int
    only: frozenset[str] = frozenset()


@dataclass(slots=True)
class World:
    directory: Path
    certificate: Path
    backend: Backend
    effort: Effort
    absent: dict[str, str] = field(default_factory=dict)
    """Why a server could not be measured."""

    def available(self, *names: str) -> list[str]:
        """Those that are wanted and installed; why another is not, is said once."""
        return [name for name in names if self._is_available(name)]

    @contextmanager
    def running(self, *names: str) -> Iterator[list[MailServer]]:
        """Those of them that are available."""
        with ExitStack() as stack:
            yield [self.started(stack, MAKE[name](self)) for name in self.available(*names)]

    def started(self, stack: ExitStack, server: MailServer) -> MailServer:
        directory = self.directory / f"{len(list(self.directory.iterdir()))}"
        return stack.enter_context(server.start(directory))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One measurement at a time on this machine; a quick run measures nothing that another could disturb."""
        with LOCK.open("a") as lock:
            if not self.effort.quick:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_available(self, name: str) -> bool:
        if (self.effort.only and name not in self.effort.only) or (self.effort.quick and name in VARIANTS):
            return False
        reason = MAKE[name](self).missing()
        if reason is not None and name not in self.absent:
            self.absent[name] = reason
            print(f"{name} is left out: {reason}", file=sys.stderr)
        return reason is None


@contextmanager
def world(effort: Effort) -> Iterator[World]:
    """With the mail server running; in a quick run it checks every octet that is uploaded."""
    use_all_descriptors()
    with world_traversable_directory() as directory, ExitStack() as stack:
        backend = Backend(verify=effort.quick)
        stack.enter_context(backend.start(directory / "backend"))
        yield World(directory, make_certificate(directory), backend, effort)


def gateway(world: World, name: str, *, workers: int | None = None, **variant: str | int) -> Gateway:
    log_level = str(variant.get("log_level", "warning"))
    outstanding = int(variant["outstanding"]) if "outstanding" in variant else None
    return Gateway(
        name,
        world.backend,
        world.certificate,
        workers=workers or world.effort.workers,
        log_level=log_level,
        outstanding=outstanding,
    )


def nginx(world: World, name: str, buffer: str) -> Nginx:
    return Nginx(name, world.backend, world.certificate, workers=world.effort.workers, buffer=buffer)


MAKE: Final[Mapping[str, Callable[[World], MailServer]]] = {
    "gateway": lambda w: gateway(w, "gateway"),
    "gateway-logging": lambda w: gateway(w, "gateway-logging", log_level="info"),
    "gateway-capped": lambda w: gateway(w, "gateway-capped", outstanding=FLOOD_CAP),
    "nginx": lambda w: nginx(w, "nginx", "4k"),
    "nginx-64k": lambda w: nginx(w, "nginx-64k", "64k"),
    "dovecot": lambda w: DovecotProxy("dovecot", w.backend, w.certificate, workers=w.effort.workers),
    "haproxy": lambda w: Haproxy("haproxy", w.backend, w.certificate, workers=w.effort.workers),
    "stunnel": lambda w: Stunnel("stunnel", w.backend, w.certificate, workers=w.effort.workers),
    "direct": lambda w: Direct(w.certificate),
}
