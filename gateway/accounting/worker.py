"""All accounting of one worker: from the configuration to what the session layer is given for each protocol.

Errors: OSError when a journal cannot be made, unless it is the disk that is full.
"""

import errno

from gateway.accounting.base import NO_ACCOUNTING
from gateway.accounting.base import Accounting
from gateway.accounting.journal import SPARES
from gateway.accounting.journal import JournalWriter
from gateway.accounting.segments import group_directory
from gateway.accounting.segments import spool_directory
from gateway.accounting.segments import writer_name
from gateway.accounting.sessions import JournaledSessions
from gateway.accounting.setup import accounting_groups
from gateway.accounting.upkeep import Upkeep
from gateway.config.model import Config
from gateway.config.model.words import AccountingFull
from gateway.log import Log


class WorkerAccounting:
    """Made after the fork and the change of user; `start` before the first session."""

    def __init__(self, config: Config, worker: int, log: Log) -> None:
        self._config = config
        self._upkeep = Upkeep(log)
        spool = spool_directory(config.gateway.state_directory)
        allow = config.gateway.accounting_full is AccountingFull.ALLOW
        self._sessions = {
            name: JournaledSessions(
                name,
                JournalWriter(group_directory(spool, name) / writer_name(f"worker-{worker}")),
                log,
                self._upkeep.note,
                interim_update_s=group.interim_update_s,
                allow_unaccounted=allow,
            )
            for name, group in accounting_groups(config).items()
        }

    def of(self, protocol: str) -> Accounting:
        """What `Service` takes for that protocol."""
        group = self._config.protocols[protocol].accounting_server_group
        return NO_ACCOUNTING if group is None else self._sessions[group]

    def start(self) -> None:
        """Make the journals. A full disk stops no worker: it refuses logins, or lets them go unaccounted."""
        for sessions in self._sessions.values():
            for _ in range(SPARES):
                error = sessions.extend()
                if error is not None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise error
        if self._sessions:
            self._upkeep.start(list(self._sessions.values()))

    def close(self) -> None:
        """When the last session has ended, or the worker gives up on it."""
        self._upkeep.stop()
        for sessions in self._sessions.values():
            sessions.close()
