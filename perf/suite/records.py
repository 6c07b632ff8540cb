"""Results: a file of JSON lines, the first about the machine, each other one measurement.

Errors: ValueError when a file does not start with its head.
"""

import json
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import IO
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One measurement.

    `target` is what was measured, `round` the turn it was measured in: figures of one round may be compared as a pair.
    `wrong` says why the figures are not to be believed.
    """

    chapter: str
    mode: str
    target: str
    round: int
    figures: Mapping[str, float]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """A whole file. `head`: the machine, the versions, the date."""

    head: Mapping[str, str]
    records: tuple[Record, ...] = field(default=())

    def of(self, chapter: str, mode: str | None = None, target: str | None = None) -> list[Record]:
        """In the order measured; only those whose figures can be believed."""
        return [
            record
            for record in self.records
            if record.chapter == chapter
            and (mode is None or record.mode == mode)
            and (target is None or record.target == target)
            and not record.wrong
        ]

    def modes(self, chapter: str) -> list[str]:
        return list(dict.fromkeys(record.mode for record in self.of(chapter)))

    def targets(self, chapter: str, mode: str | None = None) -> list[str]:
        return list(dict.fromkeys(record.target for record in self.of(chapter, mode)))

    def wrong(self) -> list[Record]:
        return [record for record in self.records if record.wrong]


def write_head(file: IO[str], head: Mapping[str, str]) -> None:
    _write(file, {"head": dict(head)})


def write(file: IO[str], record: Record) -> None:
    """At once on disk: a run that is cut off keeps what it has measured."""
    _write(file, asdict(record))


def read(path: Path) -> Results:
    with path.open() as file:
        return parse(file, str(path))


def parse(lines: Iterable[str], name: str) -> Results:
    rows: Iterator[dict[str, Any]] = map(json.loads, lines)
    first = next(rows, {})
    if "head" not in first:
        raise ValueError(f"{name} is not a file of results: its first line has no head")
    return Results(first["head"], tuple(_records(rows)))


def _records(rows: Iterator[dict[str, Any]]) -> Iterator[Record]:
    for row in rows:
        match row:
            case {
                "chapter": str(chapter),
                "mode": str(mode),
                "target": str(target),
                "round": int(turn),
                "figures": dict(figures),
                "wrong": list(wrong),
            }:
                yield Record(chapter, mode, target, turn, {name: float(n) for name, n in figures.items()}, tuple(wrong))
            case _:
                raise ValueError(f"not a record: {row}")


def _write(file: IO[str], row: Mapping[str, object]) -> None:
    file.write(json.dumps(row) + "\n")
    file.flush()
