"""A configuration with accounting, as far as accounting looks at it; no file and no certificate."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.config.model import AaaServerGroup
from gateway.config.model import AaaServerSettings
from gateway.config.model import Config
from gateway.config.model import GatewaySettings
from gateway.config.model import InterfaceSettings
from gateway.config.model import ProtocolSettings
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import AccountingFull
from gateway.config.model.words import AccountingMode
from gateway.config.model.words import ProtocolName
from gateway.config.secret import Secret

SECRET: Final = "testing123testing123"


def configuration(
    state_directory: Path,
    ports: Sequence[int] = (1813,),
    *,
    group: str | None = "RAD",
    full: AccountingFull = AccountingFull.DENY,
    mode: AccountingMode = AccountingMode.SINGLE,
) -> Config:
    """imap4s and pop3s are enabled, imap4s is accounted by `group`. RAD has servers s0, s1 ... on the ports."""
    settings = {name.value: ProtocolSettings.defaults(name.value) for name in ProtocolName}
    settings["imap4s"] = replace(settings["imap4s"], accounting_server_group=group)
    settings["smtps"] = replace(settings["smtps"], accounting_server_group="UNUSED")
    servers = tuple(_server(f"s{number}", port) for number, port in enumerate(ports))
    groups = [
        AaaServerGroup(name="RAD", protocol=AaaProtocol.RADIUS, servers=servers, accounting_mode=mode),
        AaaServerGroup(name="EMPTY", protocol=AaaProtocol.RADIUS),
        AaaServerGroup(name="UNUSED", protocol=AaaProtocol.RADIUS),
        AaaServerGroup(name="LOCAL", protocol=AaaProtocol.LOCAL),
    ]
    enabled = frozenset({ProtocolName.IMAP4S, ProtocolName.POP3S})
    return Config(
        path=state_directory / "gateway.ini",
        hostname="gateway.example.test",
        gateway=GatewaySettings(state_directory=state_directory, accounting_full=full),
        interfaces={"loopback": InterfaceSettings(name="loopback", enable=enabled)},
        protocols=settings,
        aaa_groups={one.name: one for one in groups},
    )


def _server(label: str, port: int) -> AaaServerSettings:
    key = Secret(SECRET, is_bare=True)
    return AaaServerSettings(group="RAD", label=label, host="127.0.0.1", accounting_port=port, key=key)
