"""How much the servers still have to be told, for whoever shows it: a small file that the accountant renews.

Errors: none; without the file nothing is known, which is None.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = "status.json"


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """waiting: records that are not acknowledged, by group (`gateway_accounting_spool_records` is their sum).

    running: sessions begun and not ended, by group. written_at: seconds since 1970.
    """

    waiting: Mapping[str, int]
    running: Mapping[str, int]
    written_at: float

    @property
    def spool_records(self) -> int:
        return sum(self.waiting.values())


def write_status(spool: Path, status: SpoolStatus) -> None:
    """Whole or not at all."""
    path = spool / _NAME
    draft = path.with_suffix(".new")
    text = json.dumps({"waiting": status.waiting, "running": status.running, "written_at": status.written_at})
    with contextlib.suppress(OSError):
        draft.write_text(text)
        draft.rename(path)


def read_status(spool: Path) -> SpoolStatus | None:
    """spool: see `spool_directory`."""
    try:
        found = json.loads((spool / _NAME).read_text())
        return SpoolStatus(found["waiting"], found["running"], found["written_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
