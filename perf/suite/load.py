"""The load generator `mailload`: started, stopped at its gates, its line of JSON read.

With a gate it says "ready" once every session is logged in and "done" once the work is over, and each time waits for
a line: a script reads the proxy's processor time and memory in between, without the logins or the ends of sessions.

Errors: LoadFailed when it ends without a result.
"""

import contextlib
import json
import shlex
import subprocess
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from perf.suite.paths import BUILD

GATE_S: Final = 120
HOLD_S: Final = 3600
MAILLOAD: Final = str(BUILD / "mailload")


class LoadFailed(Exception):
    """The load generator ended, or was ended, without a result; carries what it said."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the load generator saw. `figures` are its numbers, `login_ms.p50` for one within; `complaint` its stderr."""

    figures: Mapping[str, float]
    complaint: str


def gated(arguments: str) -> bool:
    """Whether this load has something to prepare before what is measured."""
    kind, *options = shlex.split(arguments)
    return kind in {"bulk", "pingpong", "idle"} or (kind == "login" and "-r" in options)


def command(port: int, arguments: str, more: str = "") -> list[str]:
    kind, *options = shlex.split(arguments)
    gate = ["-g", str(GATE_S)] if gated(arguments) else []
    return [MAILLOAD, kind, f"127.0.0.1:{port}", *options, *shlex.split(more), *gate]


def drive(
    words: list[str], on_ready: Callable[[], None], on_done: Callable[[], None], timeout_s: float = 300.0
) -> Loaded:
    """Runs it; `on_ready` right before the measured part begins, `on_done` as soon as it is over.

    With a gate the sessions are there in both; without one the load has not begun in `on_ready`, and has ended in
    `on_done`.
    """
    gate = "-g" in words
    if not gate:
        on_ready()
    with _running(words, timeout_s) as load:
        if gate:
            _expect(load, "ready")
            on_ready()
            _open_gate(load)
        result = _result(load)
        if gate:
            _expect(load, "done")
            on_done()
            _open_gate(load)
        complaint = load.communicate(timeout=timeout_s)[1].strip()
        if not gate:
            on_done()
    return Loaded(result, complaint)


class Holder:
    """Sessions that are logged in and then do nothing, until `end` has each of them answer once more."""

    def __init__(self, load: subprocess.Popen[str]) -> None:
        self._load = load
        _expect(load, "ready")

    def end(self) -> Loaded:
        _open_gate(self._load)
        result = _result(self._load)
        _expect(self._load, "done")
        _open_gate(self._load)
        return Loaded(result, self._load.communicate(timeout=GATE_S)[1].strip())


@contextmanager
def holding(port: int, arguments: str, timeout_s: float = HOLD_S) -> Iterator[Holder]:
    """Within the block the sessions are there."""
    kind, *options = shlex.split(arguments)
    with _running([MAILLOAD, kind, f"127.0.0.1:{port}", *options, "-g", str(HOLD_S)], timeout_s) as load:
        yield Holder(load)


@contextmanager
def _running(words: list[str], timeout_s: float) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as load:
        timer = threading.Timer(timeout_s, load.kill)
        timer.start()
        try:
            yield load
        finally:
            timer.cancel()
            load.kill()


def _expect(load: subprocess.Popen[str], word: str) -> None:
    line = _line(load)
    if line.strip() != word:
        raise LoadFailed(f"{line.strip() or 'nothing'} instead of {word}: {_last_words(load)}")


def _result(load: subprocess.Popen[str]) -> dict[str, float]:
    line = _line(load)
    if not line.startswith("{"):
        raise LoadFailed(f"no result: {_last_words(load)}")
    return dict(flat(json.loads(line)))


def _line(load: subprocess.Popen[str]) -> str:
    assert load.stdout is not None
    return load.stdout.readline()


def _last_words(load: subprocess.Popen[str]) -> str:
    load.kill()
    return load.communicate()[1].strip() or f"exit code {load.returncode}"


def _open_gate(load: subprocess.Popen[str]) -> None:
    assert load.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended; what it said tells why
        load.stdin.write("\n")
        load.stdin.flush()


def flat(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Its numbers, those of inner objects by dotted names."""
    for name, value in row.items():
        match value:
            case int() | float():
                yield prefix + name, float(value)
            case dict():
                yield from flat(value, f"{prefix}{name}.")
            case _:
                pass
