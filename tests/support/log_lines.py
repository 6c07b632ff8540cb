"""The gateway's log as a test sees it: every line of stderr, taken apart into fields, and a wait for an event.

A line that is not an event, be it a traceback or a warning of an interpreter, is kept in `strays`.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO
from typing import Final

Line = dict[str, str]

_FIELD: Final = re.compile(
    r'(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"]*))(?: |\Z)'
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")


class NoSuchLine(AssertionError):
    """An event that a test waits for did not come; carries the log."""


def parse_line(text: str) -> Line | None:
    """Fields of a logfmt or JSON line, escapes resolved; None when it is neither or has no event."""
    fields = _parse_json(text) if text.startswith("{") else _parse_logfmt(text)
    return fields if fields is not None and "event" in fields else None


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log, for `after`."""

    index: int


class LogLines:
    """Follows a stream in a thread until it ends; `text` is all of it, `lines` its events."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.lines: list[Line] = []
        self.strays: list[str] = []
        self._raw: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._follow, args=[stream], daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        with self._news:
            return "".join(self._raw)

    def mark(self) -> Mark:
        """The present end of the log."""
        with self._news:
            return Mark(len(self.lines))

    def find(self, event: str | None = None, *, after: Mark | None = None, **fields: object) -> list[Line]:
        """The lines so far with that event and those fields (compared as text)."""
        with self._news:
            return list(self._matching(event, after, fields))

    def wait_for(
        self,
        event: str | None = None,
        *,
        after: Mark | None = None,
        count: int = 1,
        timeout_s: float = 10.0,
        **fields: object,
    ) -> Line:
        """The `count`th matching line; NoSuchLine after `timeout_s`, or at once when the log has ended without it."""

        def found() -> list[Line]:
            return list(self._matching(event, after, fields))

        with self._news:
            self._news.wait_for(lambda: len(found()) >= count or self._ended, timeout_s)
            matching = found()
            if len(matching) >= count:
                return matching[count - 1]
            raise NoSuchLine(f"no line {count} with event={event} {fields} in\n{''.join(self._raw)}")

    def wait_for_end(self, timeout_s: float = 10.0) -> None:
        """Every process that held the stream has closed it."""
        with self._news:
            if not self._news.wait_for(lambda: self._ended, timeout_s):
                raise NoSuchLine(f"the log goes on: somebody still holds it\n{''.join(self._raw)}")
        self._reader.join()

    def _matching(self, event: str | None, after: Mark | None, fields: dict[str, object]) -> Iterator[Line]:
        wanted = {name: str(value) for name, value in fields.items()}
        if event is not None:
            wanted["event"] = event
        for line in self.lines[after.index if after else 0 :]:
            if wanted.items() <= line.items():
                yield line

    def _follow(self, stream: IO[bytes]) -> None:
        with stream:
            for octets in stream:
                self._add(octets.decode("utf-8", "backslashreplace"))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _add(self, text: str) -> None:
        fields = parse_line(text.rstrip("\n"))
        with self._news:
            self._raw.append(text)
            if fields is None:
                self.strays.append(text.rstrip("\n"))
            else:
                self.lines.append(fields)
            self._news.notify_all()


def _parse_json(text: str) -> Line | None:
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return {str(name): _as_text(value) for name, value in fields.items()}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _parse_logfmt(text: str) -> Line | None:
    fields: Line = {}
    at = 0
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None or match["name"] in fields:
            return None
        fields[match["name"]] = match["bare"] if match["quoted"] is None else _ESCAPE.sub(_resolve, match["quoted"])
        at = match.end()
    return fields


def _resolve(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2] or escape[3]
    return chr(int(digits, 16)) if digits else escape[4]
