"""The INI text of one file, octets in, sections out.

`=` and `:` separate; `#` and `;` start a comment at the start of a line, and behind a blank. A value that is only `;`
or `#` is that character; in "quotes" everything is literal but `\\"` and `\\\\`. A line that is indented deeper than
its option continues it.
Errors: none is raised, whatever the octets; problems E105 to E113 are collected.
Limits: MAX_LINE_OCTETS, MAX_PROBLEMS (reading stops there). No excerpt shows the value of a secret (`Vocabulary`)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.config.document import Option
from gateway.config.document import Piece
from gateway.config.document import Section
from gateway.config.document import Value
from gateway.config.document import Vocabulary
from gateway.config.problems import MAX_PROBLEMS
from gateway.config.problems import Place
from gateway.config.problems import Problem
from gateway.config.problems import quoted

MAX_LINE_OCTETS: Final = 16 * 1024
MASK: Final = "<set>"
REFERENCES: Final = ("file:", "env:", "credential:")  # such a value says where the secret is, and may be shown
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_SECTION: Final = re.compile(r'\s*\[((?:"[^"]*"|[^"\]])*)\]\s*(?:[;#].*)?')
_SECTION_WORD: Final = re.compile(r'"([^"]*)"|[^\s"]+')
_OPTION: Final = re.compile(r"\s*([^\s=:]+)\s*[=:]\s*")
_LONE: Final = re.compile(r"[;#](?=\s*$|\s+[;#])")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(slots=True)
class _OpenOption:
    """An option that the next line may continue."""

    key: str
    place: Place
    indent: int
    hidden: bool
    lines: list[tuple[str, Place]] = field(default_factory=list)

    def close(self) -> Option:
        pieces: list[Piece] = []
        offset = 0
        for text, place in self.lines:
            pieces.append(Piece(offset, place))
            offset += len(text) + 1
        text = "\n".join(text for text, _ in self.lines)
        return Option(self.key, self.place, Value(text, tuple(pieces), self.hidden))


class Reader:
    """Reads one file. `sections` and `problems` are complete after `feed`, which is called once."""

    def __init__(self, file: str, vocabulary: Vocabulary) -> None:
        self.sections: list[Section] = []
        self.problems: list[Problem] = []
        self._file = file
        self._directory = Path(file).absolute().parent
        self._vocabulary = vocabulary
        self._section: Section | None = None
        self._open: _OpenOption | None = None
        self._is_lost = False  # behind a header that cannot be read, options without a section say nothing new

    def feed(self, octets: bytes) -> None:
        for number, line in self._lines(octets):
            if len(self.problems) >= MAX_PROBLEMS:
                break
            text = line.strip()
            if text and text[0] not in "#;":
                self._line(line, Place(self._file, number, line.index(text[0]) + 1, len(text), line))
        self._close_option()

    def _line(self, line: str, place: Place) -> None:
        if self._open is not None and place.column - 1 > self._open.indent:
            self._continuation(self._open, line, place)
            return
        self._close_option()
        if line[place.column - 1] == "[":
            self._header(line, place)
        else:
            self._option(line, place)

    def _close_option(self) -> None:
        if self._open is not None and self._section is not None:
            self._section.options.append(self._open.close())
        self._open = None

    def _report(self, code: str, place: Place, text: str, hint: str = "") -> None:
        self.problems.append(Problem(code, place, text, hint))

    def _lines(self, octets: bytes) -> Iterator[tuple[int, str]]:
        for number, raw in enumerate(octets.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            line = self._decode(number, raw.removesuffix(b"\r"))
            if line is not None:
                yield number, line
            elif raw.lstrip().startswith(b"["):
                self._lose_section()

    def _decode(self, number: int, raw: bytes) -> str | None:
        if len(raw) > MAX_LINE_OCTETS:
            self._report("E112", Place(self._file, number), f"the line is longer than {MAX_LINE_OCTETS} octets")
            return None
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode("utf-8")) + 1
            self._report("E110", Place(self._file, number, column), f"octet 0x{raw[error.start]:02x} is not UTF-8")
            return None
        control = _CONTROL.search(line)
        if control is None:
            return line
        text = f"control character 0x{ord(control[0]):02x}"
        self._report("E110", Place(self._file, number, control.start() + 1), text)
        return None

    def _lose_section(self) -> None:
        self._close_option()
        self._section, self._is_lost = None, True

    def _header(self, line: str, place: Place) -> None:
        match = _SECTION.fullmatch(line)
        words = list(_SECTION_WORD.finditer(match[1])) if match else []
        if match is None or not words or words[0][1] is not None:
            self._report("E107", place, "expected [section] or [section name]")
            self._lose_section()
            return
        names = tuple(word[0] if word[1] is None else word[1] for word in words[1:])
        places = tuple(
            replace(place, column=match.start(1) + word.start() + 1, width=len(word[0])) for word in words[1:]
        )
        header = replace(place, width=match.end(1) + 2 - place.column)
        self._section = Section(words[0][0], names, header, places, self._directory)
        self.sections.append(self._section)

    def _option(self, line: str, place: Place) -> None:
        match = _OPTION.match(line)
        if match is None:
            self._not_an_option(line, place)
            return
        is_reference = line.startswith(REFERENCES, match.end())
        hidden = not is_reference and self._vocabulary.hides(match[1])
        excerpt = line[: match.end()] + MASK if hidden else line
        key_place = replace(place, width=len(match[1]), excerpt=excerpt)
        if self._section is None:
            if not self._is_lost:
                self._report("E106", key_place, f"{quoted(match[1])} stands before the first [section]")
            return
        self._open = _OpenOption(match[1], key_place, place.column - 1, hidden)
        self._open.lines.append(self._value(line, match.end(), key_place, hidden))

    def _not_an_option(self, line: str, place: Place) -> None:
        """What follows the first word may be a secret whose "=" was forgotten: it is not shown."""
        word, *others = line.split()
        excerpt = line[: place.column - 1] + word + (" ..." if others else "")
        self._report("E105", replace(place, width=len(word), excerpt=excerpt), "expected setting = value, or [section]")

    def _continuation(self, option: _OpenOption, line: str, place: Place) -> None:
        start = place.column - 1
        shown = replace(place, excerpt=line[:start] + MASK) if option.hidden else place
        match = _OPTION.match(line)
        if match is not None and match[1] in self._vocabulary.settings:
            text = f"{quoted(match[1])} is indented, so this line continues {quoted(option.key)}"
            self._report("E113", replace(shown, width=len(match[1])), text, "remove the blanks before it")
        option.lines.append(self._value(line, start, shown, option.hidden))

    def _value(self, line: str, start: int, place: Place, hidden: bool) -> tuple[str, Place]:
        text = self._uncommented(line, start, place)
        column = start + 1
        if _QUOTED.fullmatch(text):
            text, column = re.sub(r'\\(["\\])', r"\1", text[1:-1]), column + 1
        if hidden:
            return text, replace(place, column=start + 1, width=len(MASK))
        return text, replace(place, column=column, width=max(1, len(text)))

    def _uncommented(self, line: str, start: int, place: Place) -> str:
        """The value that starts at `start`: up to a comment, without the blanks behind it."""
        lone = _LONE.match(line, start)
        if lone is not None:
            return lone[0]
        at = start
        while at < len(line):
            is_word_start = at == start or line[at - 1].isspace()
            if is_word_start and line[at] in ";#":
                break
            if is_word_start and line[at] == '"':
                closed = _QUOTED.match(line, at)
                if closed is None:
                    self._report("E111", replace(place, column=at + 1, width=1), "the quote is not closed")
                    break
                at = closed.end()
            else:
                at += 1
        return line[start:at].rstrip()
