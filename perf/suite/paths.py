"""Where things lie."""

from pathlib import Path
from typing import Final

SUITE: Final = Path(__file__).resolve().parent
PERF: Final = SUITE.parent
ROOT: Final = PERF.parent
BUILD: Final = PERF / "build"
TEMPLATES: Final = PERF / "peers"
DOCS: Final = ROOT / "docs"
