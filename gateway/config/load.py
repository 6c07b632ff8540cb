"""`load`: a file in, a configuration or the list of everything that is wrong with it out.

Errors: none is raised for what the file says. See also: cli/options.py, which prints the problems and exits."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Final
from typing import TypeVar
from typing import cast

from gateway.config.build import Parts
from gateway.config.build import build
from gateway.config.checks import run_checks
from gateway.config.checks.subject import Subject
from gateway.config.document import Document
from gateway.config.model import DEFAULT_POLICY_NAME
from gateway.config.model import LOCAL_GROUP_NAME
from gateway.config.model import AaaServerGroup
from gateway.config.model import AaaServerSettings
from gateway.config.model import AttributeMap
from gateway.config.model import ClusterSettings
from gateway.config.model import Config
from gateway.config.model import ConsoleSettings
from gateway.config.model import GatewaySettings
from gateway.config.model import GroupPolicySettings
from gateway.config.model import InterfaceSettings
from gateway.config.model import Method
from gateway.config.model import MetricsSettings
from gateway.config.model import NamedCertificate
from gateway.config.model import PortalSettings
from gateway.config.model import ProtocolSettings
from gateway.config.model import TimeRange
from gateway.config.model import TlsSettings
from gateway.config.model import UserSettings
from gateway.config.model.words import AaaProtocol
from gateway.config.network import is_host_name
from gateway.config.problems import Problem
from gateway.config.sections import vocabulary
from gateway.config.settings import PROTOCOLS
from gateway.config.sources import read

T = TypeVar("T")
_MAILHOST_ALWAYS: Final = ("imap4s", "pop3s")


@dataclass(frozen=True, slots=True)
class LoadResult:
    """`config` is None when one of the problems is an error. `document` is the text, for who asks where a value is."""

    config: Config | None
    problems: tuple[Problem, ...]
    document: Document


def load(path: Path) -> LoadResult:
    return judge(path, read(path, vocabulary()))


def judge(path: Path, document: Document) -> LoadResult:
    """What the text means and what is wrong with it. A file that could not be read is not judged further."""
    if any(problem.code == "E100" for problem in document.problems):
        return LoadResult(None, document.problems, document)
    parts = build(document)
    config = _assemble(path, parts)
    found = run_checks(Subject(config, document, parts.built, frozenset(parts.broken)))
    problems = tuple(sorted({*document.problems, *parts.problems, *found}, key=_in_file_order(document)))
    is_usable = not any(problem.is_error for problem in problems)
    return LoadResult(config if is_usable else None, problems, document)


def _in_file_order(document: Document) -> Callable[[Problem], tuple[int, str, int, int, str, str]]:
    files = {file: index for index, file in enumerate(dict.fromkeys(one.place.file for one in document.sections))}

    def key(problem: Problem) -> tuple[int, str, int, int, str, str]:
        place = problem.place
        return files.get(place.file, 0), place.file, place.line, place.column, problem.code, problem.text

    return key


def _assemble(path: Path, parts: Parts) -> Config:
    gateway = _single(parts, GatewaySettings)
    return Config(
        path=path.absolute(),
        hostname=gateway.hostname or _own_name(),
        gateway=gateway,
        tls=_single(parts, TlsSettings),
        tls_by_name={one.name.lower(): one for one in parts.of(NamedCertificate)},
        interfaces={one.name: one for one in parts.of(InterfaceSettings)},
        protocols=_protocols(parts),
        aaa_groups=_groups(parts),
        attribute_maps={one.name: one for one in parts.of(AttributeMap)},
        group_policies=_policies(parts),
        time_ranges={one.name: one for one in parts.of(TimeRange)},
        users={one.name: one for one in parts.of(UserSettings)},
        portal=_single(parts, PortalSettings),
        console=_single(parts, ConsoleSettings),
        metrics=_single(parts, MetricsSettings),
        cluster=_single(parts, ClusterSettings),
    )


def _single(parts: Parts, model: Callable[[], T]) -> T:
    """The section there is at most one of."""
    found = parts.of(cast("type[T]", model))
    return found[0] if found else model()


def _protocols(parts: Parts) -> dict[str, ProtocolSettings]:
    given = {one.name: one for one in parts.of(ProtocolSettings)}
    protocols = {name: given.get(name) or ProtocolSettings.defaults(name) for name in PROTOCOLS}
    for name in _MAILHOST_ALWAYS:
        methods = protocols[name].authentication | {Method.MAILHOST}
        protocols[name] = replace(protocols[name], authentication=methods)
    return protocols


def _groups(parts: Parts) -> dict[str, AaaServerGroup]:
    servers = parts.of(AaaServerSettings)
    groups = {LOCAL_GROUP_NAME: AaaServerGroup(name=LOCAL_GROUP_NAME, protocol=AaaProtocol.LOCAL)}
    for group in parts.of(AaaServerGroup):
        own = tuple(server for server in servers if server.group == group.name)
        groups[group.name] = replace(group, servers=own)
    return groups


def _policies(parts: Parts) -> dict[str, GroupPolicySettings]:
    default = GroupPolicySettings(name=DEFAULT_POLICY_NAME)
    return {default.name: default} | {one.name: one for one in parts.of(GroupPolicySettings)}


def _own_name() -> str:
    """The machine's name; the resolver is asked only when the kernel's name has no domain."""
    name = socket.gethostname()
    if "." not in name:
        name = socket.getfqdn(name)
    return name.lower() if is_host_name(name) else "localhost"
