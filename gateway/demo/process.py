"""The gateway as a process of its own: started, its log followed, ended with all its workers.

Errors: none; that it ended is news. Limits: STOP_S from SIGTERM to SIGKILL.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO
from typing import Final
from typing import Self

from gateway.demo import tether
from gateway.demo.news import GatewayEnded
from gateway.demo.news import GatewayReady
from gateway.demo.news import NewsQueue

STOP_S: Final = 10.0
_EVENT: Final = re.compile(r"time=\S+ level=(\S+) event=(\S+)")


@dataclass(frozen=True, slots=True)
class LogLine:
    """level and event are empty in a line that is no event: a problem of the configuration, a traceback."""

    text: str
    level: str
    event: str

    @classmethod
    def of(cls, octets: bytes) -> "LogLine":
        text = octets.decode("utf-8", "backslashreplace").rstrip("\n")
        match = _EVENT.match(text)
        return cls(text, match[1], match[2]) if match else cls(text, "", "")


class GatewayProcess:
    """Runs inside of its `with` block. `logged_error`: it has said that someone must act."""

    def __init__(self, configuration: Path, news: NewsQueue, show: Callable[[LogLine], None]) -> None:
        """show: is given each line of the log."""
        self._command = [sys.executable, "-m", "gateway", "run", "-c", str(configuration)]
        self._news = news
        self._show = show
        self.logged_error = False

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *self._command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that Ctrl-C reaches the demo only, which then ends the gateway in order
        )
        self._reader = threading.Thread(target=self._follow, args=[self._process.stderr], daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        if self.wait_for_exit() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(STOP_S)  # the log ends when the last worker has

    def wait_for_exit(self) -> int | None:
        """The exit code; None: it would not end, and is about to be killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(STOP_S)
        return None

    def _follow(self, log: IO[bytes]) -> None:
        with log:
            for octets in log:
                line = LogLine.of(octets)
                self._show(line)
                self.logged_error = self.logged_error or line.level == "error"
                if line.event == "ready":
                    self._news.put(GatewayReady())
        self._news.put(GatewayEnded())
