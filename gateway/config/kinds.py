"""Kinds of value: how the text of one setting becomes a typed value, and back.

Errors: `parse` raises `BadValue`, with the part of the text that is wrong and what would be right; nothing else.
Limits: numbers have at most MAX_DIGITS digits before they are converted."""

import difflib
import re
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from typing import Generic
from typing import TypeVar

from gateway.config.problems import quoted
from gateway.errors import ConfigError

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
MAX_DIGITS: Final = 12
_ITEM: Final = re.compile(r"[^\s,]+")
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(rf"(?:[0-9]{{1,{MAX_DIGITS}}}(?:ms|[smhd]))+")
_DURATION_PART: Final = re.compile(r"([0-9]+)(ms|[smhd])")
_SIZE: Final = re.compile(rf"([0-9]{{1,{MAX_DIGITS}}})([kmg]?)")
_SIZE_OCTETS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class BadValue(ConfigError):
    """`offset` and `width` say which part of the value is meant (width 0: all that follows); `code` "": the kind's."""

    def __init__(self, text: str, *, hint: str = "", offset: int = 0, width: int = 0, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.offset = offset
        self.width = width
        self.code = code


@dataclass(frozen=True, slots=True)
class Context:
    """What a value's meaning depends on besides its text: relative paths start at the directory of the file."""

    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """`word` names the kind in the reference, `unit` is the suffix of the field's name, `code` is the problem's."""

    word: str
    code: str
    parse: Callable[[str, Context], T]
    render: Callable[[T], str]
    unit: str = ""
    secret: bool = False
    repeatable: bool = False
    is_list: bool = False


def did_you_mean(word: str, known: Iterable[str]) -> str:
    close = closest(word, known)
    return f'did you mean "{close}"?' if close else ""


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` was probably meant to be, or ""."""
    folded = {one.lower(): one for one in known}
    plain = word[:64].lower().replace("_", "-")  # the comparison is quadratic; no name is longer
    found = difflib.get_close_matches(plain, folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def one_of(words: Iterable[str]) -> str:
    listed = list(words)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"


def items(text: str) -> list[tuple[int, str]]:
    """The items of a list separated by blanks or commas, each with its offset."""
    return [(match.start(), match.group()) for match in _ITEM.finditer(text)]


def _plain(value: object) -> str:
    return str(value)


def number(low: int, high: int, word: str = "") -> Kind[int]:
    def parse(text: str, _: Context) -> int:
        if not re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", text, re.ASCII) or not low <= int(text) <= high:
            raise BadValue(f"{quoted(text)} is not a number from {low} to {high}")
        return int(text)

    return Kind(word=word or f"number, {low} to {high}", code="E202", parse=parse, render=_plain)


PORT: Final = number(1, 65535, "port")


def _parse_duration(text: str, _: Context) -> float:
    if not _DURATION.fullmatch(text):
        hint = f'did you mean "{text}s"?' if text.isascii() and text.isdigit() else ""
        raise BadValue(f"{quoted(text)} is not a duration such as 30s, 10m or 2h", hint=hint)
    milliseconds = sum(int(amount) * _UNIT_MS[unit] for amount, unit in _DURATION_PART.findall(text))
    if milliseconds == 0:
        raise BadValue("a duration of zero has no meaning here")
    return milliseconds / 1000


def render_duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        if milliseconds % _UNIT_MS[unit] == 0:
            return f"{milliseconds // _UNIT_MS[unit]}{unit}"
    return f"{milliseconds}ms"


DURATION: Final[Kind[float]] = Kind(
    word="duration", code="E203", unit="_s", parse=_parse_duration, render=render_duration
)


def _parse_size(text: str, _: Context) -> int:
    match = _SIZE.fullmatch(text.lower())
    if match is None or int(match[1]) == 0:
        raise BadValue(f"{quoted(text)} is not a size such as 64k or 8m")
    return int(match[1]) * _SIZE_OCTETS[match[2]]


def _render_size(octets: int) -> str:
    for unit in ("g", "m", "k"):
        if octets % _SIZE_OCTETS[unit] == 0:
            return f"{octets // _SIZE_OCTETS[unit]}{unit}"
    return str(octets)


SIZE: Final[Kind[int]] = Kind(word="size", code="E204", unit="_octets", parse=_parse_size, render=_render_size)


def _parse_yes_no(text: str, _: Context) -> bool:
    meaning = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
    if text.lower() not in meaning:
        raise BadValue(f"{quoted(text)} is neither yes nor no")
    return meaning[text.lower()]


YES_NO: Final[Kind[bool]] = Kind(
    word="yes or no", code="E201", parse=_parse_yes_no, render=lambda value: "yes" if value else "no"
)


def choice(words: type[E]) -> Kind[E]:
    """Exactly one of the words of an enumeration."""
    known = [word.value for word in words]

    def parse(text: str, _: Context) -> E:
        return _word(words, known, text, 0)

    return Kind(word=one_of(known), code="E201", parse=parse, render=_plain)


def some_of(words: type[E]) -> Kind[frozenset[E]]:
    """A set of words of an enumeration, in any order; a word given twice counts once."""
    known = [word.value for word in words]

    def parse(text: str, _: Context) -> frozenset[E]:
        return frozenset(_word(words, known, item, offset) for offset, item in items(text))

    def render(chosen: frozenset[E]) -> str:
        return " ".join(word.value for word in words if word in chosen)

    return Kind(word=f"list of {', '.join(known)}", code="E201", parse=parse, render=render, is_list=True)


def _word(words: type[E], known: list[str], text: str, offset: int) -> E:
    if text.lower() not in known:
        hint = did_you_mean(text, known)
        raise BadValue(f"{quoted(text)} is not {one_of(known)}", hint=hint, offset=offset, width=len(text))
    return words(text.lower())


def matching(word: str, code: str, pattern: str, wanted: str) -> Kind[str]:
    """Text that matches a regular expression as a whole; `wanted` ends the sentence `"x" is not ...`."""
    compiled = re.compile(pattern)

    def parse(text: str, _: Context) -> str:
        if not compiled.fullmatch(text):
            raise BadValue(f"{quoted(text)} is not {wanted}")
        return text

    return Kind(word=word, code=code, parse=parse, render=_plain)


NAME: Final = matching("name", "E205", r"\S{1,128}", "a name (one word of at most 128 characters)")
LINE: Final[Kind[str]] = Kind(word="text", code="E205", parse=lambda text, _: " ".join(text.split("\n")), render=_plain)


def _parse_path(text: str, context: Context) -> Path:
    if not text:
        raise BadValue("expected the path of a file")
    return context.directory / text


PATH: Final[Kind[Path]] = Kind(word="path", code="E205", parse=_parse_path, render=_plain)


def listed(kind: Kind[T], plural: str) -> Kind[tuple[T, ...]]:
    """Items of one kind, separated by blanks or commas; an item given twice counts once."""

    def parse(text: str, context: Context) -> tuple[T, ...]:
        return tuple(dict.fromkeys(_item(kind, item, offset, context) for offset, item in items(text)))

    def render(values: tuple[T, ...]) -> str:
        return " ".join(kind.render(value) for value in values)

    return Kind(word=f"list of {plural}", code=kind.code, parse=parse, render=render, is_list=True)


def repeated(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """One value a line: the setting may be repeated, or continued on the next line."""

    def parse(text: str, context: Context) -> tuple[T, ...]:
        values: list[T] = []
        offset = 0
        for line in text.split("\n"):
            if line:
                values.append(_item(kind, line, offset, context))
            offset += len(line) + 1
        return tuple(values)

    def render(values: tuple[T, ...]) -> str:
        return "\n".join(kind.render(value) for value in values)

    return Kind(word=f"{kind.word}, repeatable", code=kind.code, parse=parse, render=render, repeatable=True)


def _item(kind: Kind[T], text: str, offset: int, context: Context) -> T:
    try:
        return kind.parse(text, context)
    except BadValue as bad:
        width = bad.width or len(text) - bad.offset
        raise BadValue(bad.text, hint=bad.hint, offset=offset + bad.offset, width=width) from None


def optional(kind: Kind[T], absent: str = "none") -> Kind[T | None]:
    """`kind`, or None for the word `absent` and for no value at all."""

    def parse(text: str, context: Context) -> T | None:
        if text.lower() in ("", absent):
            return None
        try:
            return kind.parse(text, context)
        except BadValue as bad:
            bad.hint = bad.hint or (f"or {absent}" if absent != "none" else "")
            raise

    def render(value: T | None) -> str:
        return absent if value is None else kind.render(value)

    return Kind(
        word=f"{kind.word}, or {absent}",
        code=kind.code,
        unit=kind.unit,
        secret=kind.secret,
        is_list=kind.is_list,
        parse=parse,
        render=render,
    )
