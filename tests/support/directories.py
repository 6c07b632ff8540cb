"""Temporary directories that a daemon under another user id can reach.

pytest's `tmp_path` is 0700, so a mail server that drops its privileges could not enter it.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRAVERSABLE = 0o755
OTHERS_MAY_ENTER = 0o001


@contextmanager
def world_traversable_directory() -> Iterator[Path]:
    """A fresh directory, mode 0755, short enough for unix socket paths (108 octets); removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="gwt-", dir=_base()))
    path.chmod(TRAVERSABLE)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _base() -> str:
    chosen = Path(tempfile.gettempdir()).resolve()
    reachable = all(parent.stat().st_mode & OTHERS_MAY_ENTER for parent in (chosen, *chosen.parents))
    return str(chosen) if reachable else "/tmp"
