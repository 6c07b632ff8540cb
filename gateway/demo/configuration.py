"""The demo's gateway.ini: complete, short, and to be read by who looks around.

Paths in it are relative to it. Passwords are in it as hashes only, yet it is for its owner alone, as a real one is.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.aaa.local import hash_password
from gateway.config.model.words import ProtocolName
from gateway.demo.people import GROUP_POLICY
from gateway.demo.people import Person
from gateway.demo.ports import ADDRESS
from gateway.demo.ports import Ports

WORKERS: Final = 2
AUTHORITY: Final = "ca.pem"
CHAIN: Final = "server.pem"
KEY: Final = "server.key"
FILE: Final = "gateway.ini"

_HEAD: Final = f"""\
; Made by "gateway demo". What else there is: conf/gateway.ini.example, docs/settings.md

[gateway]
workers = {WORKERS}
hostname = localhost
runtime-directory = run
state-directory = state
shutdown-grace = 1s

[tls]
certificate = {CHAIN}
private-key = {KEY}

[interface loopback]
address = {ADDRESS}
enable = {" ".join(ProtocolName)}
"""
_PROTOCOL: Final = """
[{protocol}]
port = {port}
server = {server}
server-port = {server_port}
; the mail servers that a user may name besides: vpn:alice@localhost
allowed-servers = localhost
{authentication}
authentication-server-group = LOCAL
failure-delay = 1s
"""
_MAILHOST_TOO: Final = """\
; the VPN user by the group LOCAL, the mail user by the mail server; both have to succeed
authentication = aaa mailhost"""
_AAA_ONLY: Final = """\
; the VPN user by the group LOCAL; the mail server trusts the gateway and is not logged in to
authentication = aaa"""
_AUTHENTICATION: Final = {
    ProtocolName.IMAP4S: _MAILHOST_TOO,
    ProtocolName.POP3S: _MAILHOST_TOO,
    ProtocolName.SMTPS: _AAA_ONLY,
}
_POLICY: Final = f"""
; the users of this file
[aaa-server-group LOCAL]
protocol = local

[group-policy {GROUP_POLICY}]
simultaneous-logins = none
idle-timeout = 30m
"""
_USER: Final = f"""
[user {{name}}]
password = {{hash}}
group-policy = {GROUP_POLICY}
"""


@dataclass(frozen=True, slots=True)
class MailServers:
    """Where they listen; a port for each protocol."""

    address: str
    ports: Ports


def write_configuration(directory: Path, ports: Ports, mail_servers: MailServers, people: Iterable[Person]) -> Path:
    """Write gateway.ini (mode 0600) below `directory`; its path."""
    path = directory / FILE
    path.touch(mode=0o600)
    path.write_text("".join(_sections(ports, mail_servers, people)))
    return path


def _sections(ports: Ports, mail_servers: MailServers, people: Iterable[Person]) -> Iterator[str]:
    yield _HEAD
    for protocol, port in ports.items():
        yield _PROTOCOL.format(
            protocol=protocol,
            port=port,
            server=mail_servers.address,
            server_port=mail_servers.ports[protocol],
            authentication=_AUTHENTICATION[protocol],
        )
    yield _POLICY
    for person in people:
        yield _USER.format(name=person.vpn_user, hash=hash_password(person.vpn_password.encode()))
