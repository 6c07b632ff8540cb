"""What is wrong with a configuration, where, and how it is shown.

A problem is printed as `FILE:LINE:COLUMN: error[CODE]: text`, then the line with a gutter, then a caret line with the
hint. Codes are stable: E1xx syntax, E2xx one value, E3xx several settings or the machine, W warnings (codes.py).
Limits: an excerpt shows at most EXCERPT_COLUMNS columns around the caret; control characters never reach a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

EXCERPT_COLUMNS: Final = 100
QUOTE_MAX: Final = 160
TEXT_MAX: Final = 500
MAX_PROBLEMS: Final = 500  # for one file: what has more is no configuration, and reading it stops


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file: line and column count from 1, `width` characters are meant, `excerpt` is the line to show.

    An excerpt of "" shows no line: the file could not be read, or there is no line to show."""

    file: str
    line: int = 1
    column: int = 1
    width: int = 1
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` starts with E (error) or W (warning); `hint` ends the caret line and may be empty."""

    code: str
    place: Place
    text: str
    hint: str = ""

    @property
    def is_error(self) -> bool:
        return self.code.startswith("E")

    @property
    def severity(self) -> str:
        return "error" if self.is_error else "warning"

    def headline(self) -> str:
        text = self.text if len(self.text) <= TEXT_MAX else self.text[: TEXT_MAX - 3] + "..."
        return f"{printable(str(self.place))}: {self.severity}[{self.code}]: {printable(text)}"

    def render(self) -> str:
        return "\n".join([self.headline(), *self.context()])

    def context(self) -> list[str]:
        """The excerpt and the caret line; without an excerpt the hint alone, if there is one."""
        hint = printable(self.hint)
        if not self.place.excerpt:
            return [f"      | {hint}"] if hint else []
        shown, start = _window(self.place)
        width = max(1, min(self.place.width, len(shown) - start))
        caret = " " * start + "^" * width
        return [f"{self.place.line:>5} | {shown}", f"      | {caret} {hint}".rstrip()]


def _window(place: Place) -> tuple[str, int]:
    """The part of a long line that holds the caret, and the caret's offset in it."""
    line, start = printable(place.excerpt), place.column - 1
    if len(line) <= EXCERPT_COLUMNS:
        return line, min(start, len(line))
    if start + place.width <= EXCERPT_COLUMNS:
        return line[:EXCERPT_COLUMNS].rstrip(), start
    first = max(0, min(start - EXCERPT_COLUMNS // 4, len(line) - EXCERPT_COLUMNS))
    shown = line[first : first + EXCERPT_COLUMNS]
    return shown, min(start - first, len(shown))


def printable(text: str) -> str:
    """`text` safe for a terminal and a log, one column for one character (a tab becomes a blank)."""
    return "".join(
        char if char.isprintable() else " " if char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def quoted(text: str) -> str:
    """`text` as a message shows it. Never call it with a secret."""
    shown = text if len(text) <= QUOTE_MAX else text[: QUOTE_MAX - 3] + "..."
    return f'"{printable(" ".join(shown.split(chr(10))))}"'


def summary(problems: Iterable[Problem]) -> str:
    severities = [problem.is_error for problem in problems]
    errors, warnings = sum(severities), len(severities) - sum(severities)
    if not severities:
        return "no problems found"
    return f"{_count(len(severities), 'problem')}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
