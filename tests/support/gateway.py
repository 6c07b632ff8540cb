"""The gateway as a real process: a configuration file of its own, free ports, its log, its workers, its end.

Whoever starts one ends it by `terminate`, which is a test in itself: exit code 0, no process left, nothing in the log
that is not an event, no traceback, and none of the registered secrets in any form.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from typing import Protocol

from tests.support import canaries
from tests.support import guard
from tests.support import processes
from tests.support.log_lines import Line
from tests.support.log_lines import LogLines
from tests.support.ports import LOOPBACK
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.tls import Certificate

Value = str | int | Path | Sequence[str]
Section = Mapping[str, Value]
Sections = Mapping[str, Section | None]

PROTOCOLS: Final = ("imap4s", "pop3s", "smtps")
REPOSITORY: Final = Path(__file__).resolve().parents[2]
RUN: Final = (sys.executable, "-m", "gateway", "run")
READY_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 15.0
# What may never be in a log, beside secrets: the last words of the interpreter and of the sanitizers.
LAST_WORDS: Final = ("Traceback", "Fatal Python error", "Segmentation fault", "AddressSanitizer", "runtime error:")


class RunningGateway:
    """Running once constructed, listening for each protocol that `sections` configures.

    `sections` are laid over the defaults, key by key; underscores in keys stand for hyphens, a list of values for a
    repeated key; None takes a section away. `ports` is protocol -> port on 127.0.0.1. `command` may put a tool (strace,
    valgrind) in front of `RUN`.
    """

    def __init__(
        self,
        directory: Path,
        certificate: Certificate,
        sections: Sections,
        *,
        command: Sequence[str] = RUN,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.path = directory / "gateway.ini"
        self.secrets: set[str] = set()
        self._killed = False
        self.ports = {name: free_port() for name in PROTOCOLS if sections.get(name) is not None}
        self._certificate = certificate
        self.configure(sections)
        self._process = subprocess.Popen(
            [*command, "-c", str(self.path), *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONFAULTHANDLER": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # so that a stray print is seen, too
            start_new_session=True,
        )
        guard.watch(self._process.pid)
        assert self._process.stdout is not None
        self.log = LogLines(self._process.stdout)
        try:
            self.log.wait_for("ready", timeout_s=READY_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The master's."""
        return self._process.pid

    def workers(self) -> list[Process]:
        """The master's children, oldest first."""
        return processes.children(self.pid)

    def canary(self, secret: str) -> str:
        """`secret` itself; from now on it may not appear in the log in any form."""
        canaries.disguises(secret)
        self.secrets.add(secret)
        return secret

    def configure(self, sections: Sections) -> None:
        """Write the configuration file anew, for `reload`. The ports stay."""
        self.path.write_text(render(_merged(self._defaults(), sections)))
        self.path.chmod(0o600)

    def reload(self, event: str = "reloaded") -> Line:
        """SIGHUP; the line that says what came of it."""
        before = self.log.mark()
        self.send_signal(signal.SIGHUP)
        return self.log.wait_for(event, after=before)

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait_for_exit(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """The master's exit code."""
        return self._process.wait(timeout_s)

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """SIGTERM, and the checks of the module's description; after `kill`, those of the log only."""
        if not self._killed:
            self._process.terminate()
            try:
                code = self._process.wait(timeout_s)
                left = processes.in_session(self.pid)
            finally:
                self.kill()
            assert code == 0, f"the gateway ended with {code}\n{self.log.text}"
            assert not left, f"the gateway left {left}\n{self.log.text}"
        self.check_log()

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        processes.kill_all(processes.in_session(self.pid))
        self._process.wait()
        guard.release(self.pid)
        self._killed = True
        self.log.wait_for_end()

    def check_log(self) -> None:
        """Events only, no last words, no secret."""
        text = self.log.text
        for words in LAST_WORDS:
            assert words not in text, f"{words!r} in the log:\n{text}"
        assert not self.log.strays, f"lines that are no events: {self.log.strays}"
        found = canaries.found_in(text, self.secrets)
        assert not found, f"secrets in the log: {found}\n{text}"

    def _defaults(self) -> dict[str, Section | None]:
        protocols: dict[str, Section | None] = {name: {"port": port} for name, port in self.ports.items()}
        return {
            "gateway": {
                "workers": 1,
                "runtime-directory": self.directory / "run",
                "state-directory": self.directory / "state",
                "log-level": "debug",
                "shutdown-grace": "1s",
            },
            "tls": {"certificate": self._certificate.chain, "private-key": self._certificate.key},
            "interface loopback": {"address": LOOPBACK, "enable": list(self.ports)},
            **protocols,
        }


class StartGateway(Protocol):
    """The fixture `gateway`: `gateway({"imap4s": {...}, "user alice": {...}})`, or `gateway(imap4s={...})`."""

    def __call__(
        self,
        sections: Sections | None = None,
        *,
        command: Sequence[str] = RUN,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        **more_sections: Section | None,
    ) -> RunningGateway: ...


def mail_server(port: int, host: str = LOOPBACK, **settings: Value) -> Section:
    """A protocol's section with that default server."""
    return {"server": host, "server-port": port, **settings}


def render(sections: Sections) -> str:
    """INI text; a list is a repeated key, except `enable`, which is a list in one line."""
    lines: list[str] = []
    for name, section in sections.items():
        if section is None:
            continue
        lines.append(f"[{name}]")
        for key, value in section.items():
            lines += [f"{key} = {one}" for one in _values(key, value)]
        lines.append("")
    return "\n".join(lines)


def _values(key: str, value: Value) -> list[str]:
    if isinstance(value, (str, int, Path)):
        return [str(value)]
    return [" ".join(value)] if key == "enable" else list(value)


def _merged(defaults: Sections, sections: Mapping[str, Section | None]) -> dict[str, Section | None]:
    merged = dict(defaults)
    for name, section in sections.items():
        below = merged.get(name) or {}
        own = {key.replace("_", "-"): value for key, value in (section or {}).items()}
        merged[name] = None if section is None else {**below, **own}
    return merged
