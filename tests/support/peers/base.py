"""What every peer shares: one directory, one main process in the foreground, free ports, a wait until it answers.

A peer is its own session leader, so `stop` finds whatever it forked. It is ended by SIGKILL: nothing of it is kept, and
Dovecot alone would take a second to say good-bye.

Errors: PeerError, with the tail of the peer's own log, when it ends early or does not answer in time.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar
from typing import Protocol
from typing import Self
from typing import TypeVar

from tests.support import guard
from tests.support import processes
from tests.support.ports import LOOPBACK
from tests.support.waiting import POLL_S

START_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 2.0
LOG_TAIL_OCTETS = 4000
# Debian keeps daemons in sbin, which is not on the PATH of an ordinary user.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


class PeerError(Exception):
    """A peer did not start, or does not do what it was asked for."""


class Peer(ABC):
    """Subclasses choose ports in `__init__`, and write their configuration, command line and probe."""

    packages: ClassVar[Mapping[str, str]]
    """Executable -> the Debian package that brings it."""
    needs_root: ClassVar[bool] = False
    start_timeout_s: float = START_TIMEOUT_S
    directory: Path
    _process: subprocess.Popen[bytes] | None = None
    _paused: tuple[processes.Process, ...] = ()

    @classmethod
    def missing(cls) -> str | None:
        """Why this peer cannot run here; None when it can."""
        absent = sorted({package for name, package in cls.packages.items() if find_program(name) is None})
        if absent:
            return f"{cls.__name__} needs the Debian package(s) {' '.join(absent)}"
        if cls.needs_root and os.geteuid() != 0:
            return f"{cls.__name__} must be started by root"
        return None

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self, directory: Path) -> Self:
        """Return when the peer answers. `directory` is created; other users must be able to enter its parents."""
        reason = self.missing()
        if reason is not None:
            raise PeerError(reason)
        self.directory = directory
        directory.mkdir(mode=0o755, exist_ok=True)
        self.configure()
        self._launch()
        return self

    def stop(self) -> None:
        """End it and all it forked. Stopping twice is allowed."""
        if self._process is not None:
            pid = self._process.pid
            processes.kill_all({*processes.tree(pid), *processes.in_session(pid)})
            self._process.wait()
            guard.release(pid)
        self._process, self._paused = None, ()

    def restart(self) -> None:
        """Start a stopped peer again, or a running one anew, with the same ports, files and data."""
        self.stop()
        self._launch()

    def pause(self) -> None:
        """Stop answering without closing anything (SIGSTOP): what a hung server looks like."""
        self._paused = tuple(processes.tree(self.pid))
        for process in self._paused:
            process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        for process in self._paused:
            process.send_signal(signal.SIGCONT)
        self._paused = ()

    def log(self) -> str:
        """Everything the peer has said so far, its log files one after the other."""
        paths = sorted(self.directory.glob("*.log"))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    @abstractmethod
    def configure(self) -> None:
        """Write the files the peer needs into `self.directory`."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line that keeps the peer in the foreground."""

    @abstractmethod
    def probe(self) -> None:
        """Return when the peer answers; OSError or PeerError as long as it does not."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        with (self.directory / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command_found(),
                cwd=self.directory,
                env={"PATH": SEARCH_PATH, "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard.watch(self._process.pid)
        try:
            self._wait_for_answer()
        except BaseException:
            self.stop()
            raise

    def _command_found(self) -> list[str]:
        program, *arguments = self.command()
        return [find_program(program) or program, *arguments]

    def _wait_for_answer(self) -> None:
        process = self._running()
        deadline = time.monotonic() + self.start_timeout_s
        while True:
            try:
                return self.probe()
            except (OSError, PeerError) as error:
                problem = error
            if process.poll() is not None:
                raise PeerError(f"{type(self).__name__} ended with {process.returncode}\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise PeerError(f"{type(self).__name__} does not answer: {problem}\n{self._log_tail()}")
            time.sleep(POLL_S)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise PeerError(f"{type(self).__name__} is not running")
        return self._process

    def _log_tail(self) -> str:
        return self.log()[-LOG_TAIL_OCTETS:]


PeerType = TypeVar("PeerType", bound=Peer)


class StartPeer(Protocol):
    """The fixture `start_peer`."""

    def __call__(self, peer: PeerType) -> PeerType: ...


def find_program(name: str) -> str | None:
    return shutil.which(name, path=SEARCH_PATH)


def run_program(*arguments: str, stdin: str | None = None, timeout_s: float = 20.0) -> str:
    """Standard output of a helper program of a peer (slapadd, postfix check ...); PeerError when it fails."""
    done = subprocess.run(
        arguments,
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        env={"PATH": SEARCH_PATH, "LANG": "C.UTF-8"},
    )
    if done.returncode != 0:
        raise PeerError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def first_line(port: int, question: bytes = b"", host: str = LOOPBACK) -> bytes:
    """What a server on `port` says first, after `question` if there is one; OSError when it says nothing."""
    with socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S) as connection:
        connection.sendall(question)
        with connection.makefile("rb") as reader:
            line = reader.readline()
    if not line:
        raise ConnectionResetError(f"port {port} was closed without a word")
    return line


def expect_greeting(port: int, greeting: bytes, question: bytes = b"", host: str = LOOPBACK) -> None:
    """PeerError when the first line on `port` starts otherwise."""
    line = first_line(port, question, host)
    if not line.startswith(greeting):
        raise PeerError(f"port {port} answers {line!r}, not {greeting!r}")
