"""A configuration as text: sections, options and values, each with its place; what they mean is up to the model."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from gateway.config.kinds import closest
from gateway.config.problems import Place
from gateway.config.problems import Problem

_SECRET_WORDS: Final = re.compile(r"pass|pwd|secret|key|token|hash|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names the reader must know without knowing the model: all settings, and those whose values are secret."""

    settings: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()

    def hides(self, key: str) -> bool:
        """Whether no message may show the value of `key`: a secret, or a name that may be a secret's, misspelt."""
        return key in self.secrets or (key not in self.settings and _sounds_secret(key, self.secrets))


@lru_cache(1024)
def _sounds_secret(key: str, secrets: frozenset[str]) -> bool:
    return _SECRET_WORDS.search(key) is not None or closest(key, secrets) != ""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a value that stands on one line; `offset` is where it starts in the whole text."""

    offset: int
    place: Place


@dataclass(frozen=True, slots=True)
class Value:
    """An option's text without comments and outer quotes, its lines joined by a newline."""

    text: str
    pieces: tuple[Piece, ...]
    hidden: bool

    def place(self, offset: int = 0, width: int = 0) -> Place:
        """Where the part of the text stands that starts at `offset`; width 0 means to the end of its line."""
        piece = self.pieces[max(0, bisect_right(self.pieces, offset, key=lambda one: one.offset) - 1)]
        if self.hidden:
            return piece.place
        inside = offset - piece.offset
        return replace(
            piece.place, column=piece.place.column + inside, width=width or max(1, piece.place.width - inside)
        )


@dataclass(frozen=True, slots=True)
class Option:
    key: str
    place: Place
    value: Value


@dataclass(frozen=True, slots=True)
class Section:
    """`[kind name ...]`. `directory` is where the paths in it start. `options` is in the order of the file."""

    kind: str
    names: tuple[str, ...]
    place: Place
    name_places: tuple[Place, ...]
    directory: Path
    options: list[Option] = field(default_factory=list)

    @property
    def words(self) -> tuple[str, ...]:
        return (self.kind, *self.names)

    @property
    def label(self) -> str:
        return f"[{' '.join(self.words)}]"

    def option(self, key: str) -> Option | None:
        return next((option for option in self.options if option.key == key), None)


@dataclass(frozen=True, slots=True)
class Document:
    """`file` is the main file's name as given. Of two sections with the same words, `section` finds the first."""

    file: str
    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]
    _by_words: Mapping[tuple[str, ...], Section] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_words", {one.words: one for one in reversed(self.sections)})

    def section(self, *words: str) -> Section | None:
        return self._by_words.get(words)
