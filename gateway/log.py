"""One event, one line: `time=… level=… event=… session=… protocol=… client=…`, then what users control.

The fields that the gateway itself makes come first, so that a forged user name cannot pass for an earlier field; what
a user can influence is always quoted, and every octet outside printable ASCII and letters is escaped. JSON has the
same fields in the same order.

Errors: a line that cannot be written is dropped and counted in `dropped`; logging never raises and a full disk
never stops a login.
Limits: MAX_VALUE octets a value, as written, so that a line stays below PIPE_BUF and processes do not cut each
other's lines.
"""

import json
import os
import re
import traceback
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from enum import IntEnum
from itertools import accumulate
from itertools import takewhile
from pathlib import Path
from typing import Final

Value = str | int | float | bool | None

MAX_VALUE: Final = 512
_MAX_JSON_CHAR: Final = 12  # a pair of surrogates
_BARE: Final = re.compile(r"[A-Za-z0-9_.:/@%+-]+\Z")
# Fields that hold what a client, a mail server or an AAA server said.
_FOREIGN: Final = frozenset({"user", "mail_user", "server", "detail", "server_name", "upstream_said"})


class Level(IntEnum):
    """error: someone must act. warning: may need to. info: one line per start, login and end. debug: the rest."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


def fault(error: BaseException) -> str:
    """What was raised, and where, innermost first, for the log; not its message, which may quote a client's input."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return f"{type(error).__name__} in " + " < ".join(
        f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames
    )


class Log:
    """Writes events to a descriptor. Safe to share across a fork."""

    def __init__(self, style: str = "logfmt", level: Level = Level.INFO, descriptor: int = 2) -> None:
        """style: `logfmt` or `json`."""
        self._render = _render_json if style == "json" else _render_logfmt
        self._level = level
        self._descriptor = descriptor
        self.dropped = 0

    def debug(self, event: str, **fields: Value) -> None:
        """An event for who looks into one session."""
        self._emit(Level.DEBUG, event, fields)

    def info(self, event: str, **fields: Value) -> None:
        """An event of the normal course of things."""
        self._emit(Level.INFO, event, fields)

    def warning(self, event: str, **fields: Value) -> None:
        """An event that someone may need to act on."""
        self._emit(Level.WARNING, event, fields)

    def error(self, event: str, **fields: Value) -> None:
        """An event that someone must act on."""
        self._emit(Level.ERROR, event, fields)

    def _emit(self, level: Level, event: str, fields: dict[str, Value]) -> None:
        if level < self._level:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        head: dict[str, Value] = {"time": now, "level": level.name.lower(), "event": event}
        line = self._render(head | _own_fields_first(fields)) + "\n"
        try:
            os.write(self._descriptor, line.encode("utf-8", "backslashreplace"))
        except OSError:
            self.dropped += 1


def _own_fields_first(fields: dict[str, Value]) -> dict[str, Value]:
    given = [(name, value) for name, value in fields.items() if value is not None]
    return dict(sorted(given, key=lambda pair: pair[0] in _FOREIGN))


def _render_logfmt(fields: dict[str, Value]) -> str:
    return " ".join(f"{name}={_logfmt_value(name, value)}" for name, value in fields.items())


def _logfmt_value(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if name not in _FOREIGN and _BARE.match(text):
        return text
    return f'"{"".join(_escaped(text))}"'


def _escaped(text: str) -> Iterator[str]:
    """Printable text as it is, all else as \\xNN or \\uNNNN, so that a line is one line on any terminal."""
    left = MAX_VALUE
    for char in text:
        piece = _escaped_char(char)
        left -= len(piece.encode())
        if left < 0:
            yield "…"
            return
        yield piece


def _escaped_char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char == " " or (char.isprintable() and not char.isspace()):
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _render_json(fields: dict[str, Value]) -> str:
    tidy = {name: _cut(value) if isinstance(value, str) else _rounded(value) for name, value in fields.items()}
    return json.dumps(tidy, ensure_ascii=True)


def _cut(text: str) -> str:
    """As much of the text as JSON writes in MAX_VALUE octets."""
    if len(text) * _MAX_JSON_CHAR <= MAX_VALUE:
        return text
    ends = accumulate(len(json.dumps(char)) - 2 for char in text)
    fits = sum(1 for _ in takewhile(lambda end: end <= MAX_VALUE, ends))
    return text if fits == len(text) else text[:fits] + "…"


def _rounded(value: Value) -> Value:
    return round(value, 3) if isinstance(value, float) else value
