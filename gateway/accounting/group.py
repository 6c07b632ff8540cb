"""One server group in the accountant: its journals, and its streams that read them.

`tick` is called every POLL_S: journals appear and are read, dead writers are found and their sessions ended, reports
are sent, segments that everybody has are removed.

Errors: none leave `tick`; what the file system refuses is logged, once as long as it lasts, and tried again.
"""

import os
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gateway.accounting.causes import TerminateCause
from gateway.accounting.journal import JournalFull
from gateway.accounting.last_seen import collect
from gateway.accounting.node import Node
from gateway.accounting.spooled import SpooledJournal
from gateway.accounting.stream import Stream
from gateway.log import Log

POLL_S: Final = 0.1
# The master reaps a dead worker and says what it has seen of its sessions; it is as quick to hear of the death as we.
LAST_WORDS_S: Final = 1.0
_READS_AT_ONCE: Final = 20  # of 500 records or so: a long journal does not keep the others waiting


@dataclass(slots=True)
class _Death:
    at: float
    cause: TerminateCause


class Group:
    """waiting: records not acknowledged, of the stream with most. running: sessions that began and have not ended."""

    def __init__(self, name: str, directory: Path, node: Node, streams: Sequence[Stream], log: Log) -> None:
        self.name = name
        self._directory = directory
        self._node = node
        self._streams = streams
        self._log = log
        self._journals: dict[str, SpooledJournal] = {}
        self._deaths: dict[str, _Death] = {}
        self._trouble = ""

    @property
    def waiting(self) -> int:
        journals = self._journals.values()
        return max(sum(stream.waiting_of(journal) for journal in journals) for stream in self._streams)

    @property
    def running(self) -> int:
        return sum(journal.running for journal in self._journals.values())

    @property
    def is_busy(self) -> bool:
        """Whether a writer lives, a session runs or a record waits."""
        writers = (journal for name, journal in self._journals.items() if name != self._node.name)
        return self.waiting > 0 or any(not journal.is_over for journal in writers)

    def start(self, *, as_node: bool) -> None:
        """Find what was left behind. as_node: the gateway itself starts, so what was running ended with it.

        Writers that live and are older are of a gateway that still serves (an upgrade): that is no start.
        """
        self._discover()
        self._notice_deaths(TerminateCause.NAS_REBOOT if as_node else TerminateCause.NAS_ERROR, LAST_WORDS_S)
        if as_node and not any(journal.is_alive for name, journal in self._journals.items() if name < self._node.name):
            self._attempt([self._node.go_up])

    def tick(self, cause: TerminateCause = TerminateCause.NAS_ERROR) -> None:
        """cause: why sessions end whose worker is found dead now."""
        bury = [partial(self._bury, name) for name in self._due_for_burial()]
        find = partial(self._notice_deaths, cause, 0.0)
        self._attempt([self._discover, self._read_all, find, *bury, self._serve_streams, self._retire])

    def go_down(self) -> None:
        """Accounting-Off."""
        self._attempt([self._node.go_down])
        self.tick()

    def close(self) -> None:
        for journal in self._journals.values():
            journal.close()
        self._node.close()

    def _attempt(self, steps: Sequence[Callable[[], None]]) -> None:
        """All of them; what one is refused does not stop the others."""
        trouble = ""
        for step in steps:
            try:
                step()
            except (OSError, JournalFull) as error:
                trouble = str(error)
        if trouble and trouble != self._trouble:
            self._log.error("accounting_trouble", group=self.name, detail=trouble)
        self._trouble = trouble

    def _discover(self) -> None:
        names = {entry.name for entry in os.scandir(self._directory) if entry.is_dir(follow_symlinks=False)}
        for name in sorted(names - self._journals.keys()):
            self._journals[name] = SpooledJournal(self._directory / name)

    def _read_all(self) -> None:
        for journal in self._journals.values():
            for _ in range(_READS_AT_ONCE):
                if journal.is_over or not journal.poll():
                    break
        damage = sum(journal.new_damage() for journal in self._journals.values())
        if damage:
            self._log.error("accounting_journal_damaged", group=self.name, octets=damage)

    def _notice_deaths(self, cause: TerminateCause, already_s: float) -> None:
        for name, journal in self._journals.items():
            if journal.notice_death():
                self._deaths[name] = _Death(time.monotonic() - already_s, cause)

    def _due_for_burial(self) -> list[str]:
        return [name for name, death in self._deaths.items() if time.monotonic() - death.at >= LAST_WORDS_S]

    def _bury(self, name: str) -> None:
        cause = self._deaths[name].cause
        ended = self._journals[name].bury(cause, collect(self._directory.parent))
        del self._deaths[name]
        if ended:
            self._log.warning("accounting_sessions_ended", group=self.name, sessions=ended, cause=cause.name)

    def _serve_streams(self) -> None:
        for stream in self._streams:
            stream.follow(journal for name, journal in sorted(self._journals.items()) if self._is_due(name, stream))
            stream.pump()

    def _is_due(self, name: str, stream: Stream) -> bool:
        if name <= self._node.name or not self._node.holds_back:
            return True
        node = self._journals.get(self._node.name)
        return node is not None and stream.is_told(node, self._node.segment)

    def _retire(self) -> None:
        for name, journal in tuple(self._journals.items()):
            for segment in journal.retire(partial(self._is_told, journal)):
                for stream in self._streams:
                    stream.forget(journal, segment)
            if journal.is_gone:
                del self._journals[name]
                self._deaths.pop(name, None)  # nothing ran, so there was nothing to bury
                journal.close()

    def _is_told(self, journal: SpooledJournal, segment: int) -> bool:
        return all(stream.is_told(journal, segment) for stream in self._streams)
