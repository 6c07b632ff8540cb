"""The files of a configuration: the one that is named, and those its `include` names.

`include` stands in `[gateway]` and is relative to the file; a pattern reads its matches in the order of their names.
An included file cannot include.
Errors: none is raised; problems E100 to E102 besides those of ini.py. Limits: MAX_FILE_OCTETS, MAX_FILES."""

import glob
import os
import re
from pathlib import Path
from typing import Final

from gateway.config.document import Document
from gateway.config.document import Section
from gateway.config.document import Vocabulary
from gateway.config.ini import Reader
from gateway.config.problems import Place
from gateway.config.problems import Problem
from gateway.config.problems import quoted

MAX_FILE_OCTETS: Final = 4 * 1024 * 1024
MAX_FILES: Final = 256


def read(path: Path, vocabulary: Vocabulary) -> Document:
    octets = _octets_of(path)
    if isinstance(octets, str):
        return Document(str(path), (), (Problem("E100", Place(str(path)), octets),))
    document = parse(octets, str(path), vocabulary)
    sections, problems = list(document.sections), list(document.problems)
    for found, place in _included(document, path, problems):
        text = _octets_of(found)
        if isinstance(text, str):
            problems.append(Problem("E101", place, text))
            continue
        more = parse(text, str(found), vocabulary)
        sections += more.sections
        problems += more.problems
    return Document(str(path), tuple(sections), tuple(problems))


def parse(octets: bytes, file: str, vocabulary: Vocabulary) -> Document:
    """The text of one file; an `include` in it is not followed."""
    reader = Reader(file, vocabulary)
    reader.feed(octets)
    return Document(file, tuple(reader.sections), tuple(reader.problems))


def _octets_of(path: Path) -> bytes | str:
    """The file's octets, or why there are none."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_OCTETS + 1)
    except (OSError, ValueError) as error:
        return f"cannot read {quoted(str(path))}: {getattr(error, 'strerror', None) or error}"
    if len(octets) > MAX_FILE_OCTETS:
        return f"{quoted(str(path))} is larger than {MAX_FILE_OCTETS // 1024**2} MiB"
    return octets


def _included(document: Document, main: Path, problems: list[Problem]) -> list[tuple[Path, Place]]:
    """The files to read, each once, with the place that asks for it."""
    section = document.section("gateway")
    real_main = os.path.realpath(main)
    chosen: dict[str, tuple[Path, Place]] = {}
    for path, place in _asked_for(section, main.parent) if section else []:
        real = os.path.realpath(path)
        if real == real_main:
            problems.append(Problem("E102", place, f"{quoted(str(path))} includes itself"))
        elif len(chosen) == MAX_FILES:
            problems.append(Problem("E102", place, f"more than {MAX_FILES} files are included"))
            break
        else:
            chosen.setdefault(real, (path, place))
    return list(chosen.values())


def _asked_for(section: Section, directory: Path) -> list[tuple[Path, Place]]:
    option = section.option("include")
    if option is None:
        return []
    return [
        (path, option.value.place(match.start(), len(match[0])))
        for match in re.finditer(r"[^\s,]+", option.value.text)
        for path in _matches(match[0], directory)
    ]


def _matches(pattern: str, directory: Path) -> list[Path]:
    if not glob.has_magic(pattern):
        return [directory / pattern]
    found = glob.glob(os.path.join(glob.escape(str(directory)), pattern))
    return [Path(name) for name in sorted(found)]
