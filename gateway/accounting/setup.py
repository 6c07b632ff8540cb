"""From the configuration to the groups that are told, and to the directories that master, workers and accountant share.

Errors: ConfigError for a group that cannot be told; OSError when a directory cannot be made.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.accounting.last_seen import make_place
from gateway.accounting.segments import group_directory
from gateway.accounting.segments import spool_directory
from gateway.config.model import AaaServerGroup
from gateway.config.model import Config
from gateway.config.model.words import AaaProtocol
from gateway.errors import ConfigError


def accounting_groups(config: Config) -> Mapping[str, AaaServerGroup]:
    """The groups that are told of sessions, by name; empty: accounting is not configured."""
    enabled = {protocol.value for interface in config.interfaces.values() for protocol in interface.enable}
    named = {config.protocols[protocol].accounting_server_group for protocol in sorted(enabled)}
    groups = {name: config.aaa_groups[name] for name in sorted(name for name in named if name is not None)}
    for group in groups.values():
        if group.protocol is not AaaProtocol.RADIUS or not group.servers:
            reason = "has no server" if group.protocol is AaaProtocol.RADIUS else "is not of protocol = radius"
            raise ConfigError(f"accounting-server-group = {group.name}: the group {reason}, so it cannot be told")
    return groups


def make_spool(config: Config, uid: int = -1, gid: int = -1) -> Path | None:
    """By the master, before the first fork; the workers' user owns it. None: accounting is not configured."""
    groups = accounting_groups(config)
    if not groups:
        return None
    spool = spool_directory(config.gateway.state_directory)
    for directory in (spool, *(group_directory(spool, name) for name in groups)):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(directory, uid, gid)
    make_place(spool, uid, gid)
    return spool
