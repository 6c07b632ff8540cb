"""Rules about how users log in: separators, servers, methods, policies."""

from collections.abc import Iterator

from gateway.config.checks.subject import Subject
from gateway.config.model import LOCAL_GROUP_NAME
from gateway.config.model import Config
from gateway.config.model import Method
from gateway.config.model import ProtocolSettings
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import UpstreamTls
from gateway.config.problems import Problem

_MAX_NAMED = 5


def check_protocols(subject: Subject) -> Iterator[Problem]:
    """What is wrong in a section whether or not its protocol is enabled."""
    for protocol in subject.config.protocols.values():
        section = (protocol.name,)
        if protocol.name_separator is not None and protocol.name_separator == protocol.server_separator:
            keys = ("server-separator", "name-separator")
            key, other = keys if subject.sets(section, "server-separator") else reversed(keys)
            yield from subject.problem("E305", section, key, f"it must differ from {other}")
        if not protocol.authentication:
            text = f"expected at least one of {', '.join(Method)}"
            yield from subject.problem("E319", section, "authentication", text)
        if protocol.authorization_required and protocol.authorization_server_group is None:
            text = "it needs authorization-server-group"
            yield from subject.problem("E326", section, "authorization-required", text)
        yield from _check_unused(subject, protocol)


def _check_unused(subject: Subject, protocol: ProtocolSettings) -> Iterator[Problem]:
    """What is set and does nothing."""
    section = (protocol.name,)
    if protocol.authentication_server_group is not None and Method.AAA not in protocol.authentication:
        text = "it has no effect: authentication has no aaa"
        yield from subject.problem("W104", section, "authentication-server-group", text)
    for key, value in (("server-ca", protocol.server_ca), ("server-name", protocol.server_name)):
        if value is not None and protocol.server_tls is UpstreamTls.NONE:
            yield from subject.problem("W104", section, key, "it has no effect: server-tls is none")


def check_enabled_protocols(subject: Subject) -> Iterator[Problem]:
    """What keeps an enabled protocol from serving anybody."""
    for protocol in subject.enabled():
        has_server = protocol.server is not None or bool(protocol.allowed_servers)
        if not has_server and not any(policy.server for policy in subject.config.group_policies.values()):
            where = _where(subject, protocol, "server")
            text = f"{protocol.name} has no mail server"
            yield from subject.problem("E316", *where, text, "set server, or allowed-servers")
        if Method.AAA not in protocol.authentication:
            continue
        if protocol.authentication_server_group is not None:
            yield from _check_local_policies(subject, protocol, (protocol.name,))
        elif not subject.is_broken((protocol.name,), "authentication-server-group"):
            text = f"{protocol.name} has authentication = aaa and no authentication-server-group: "
            where = _where(subject, protocol, "authentication")
            yield from subject.problem("W103", *where, text + "every login is refused")


def _where(subject: Subject, protocol: ProtocolSettings, key: str) -> tuple[tuple[str, ...], str]:
    """The setting to point at: the protocol's, or where it has no section the one that enables the protocol."""
    if subject.document.section(protocol.name) is not None:
        return (protocol.name,), key
    users = (one.name for one in subject.config.interfaces.values() if protocol.name in one.enable)
    return ("interface", next(users)), "enable"


def _check_local_policies(subject: Subject, protocol: ProtocolSettings, section: tuple[str, ...]) -> Iterator[Problem]:
    """Of a local group all is known: who has no policy, and whether there is anybody."""
    group = subject.config.aaa_groups.get(protocol.authentication_server_group or LOCAL_GROUP_NAME)
    if group is None or group.protocol is not AaaProtocol.LOCAL:
        return
    if not subject.names("user"):
        text = f"the group {group.name} is local and there is no [user NAME]: every login is refused"
        yield from subject.problem("W103", section, "authentication-server-group", text)
        return
    without = _users_without_policy(subject.config)
    if protocol.default_group_policy is None and without:
        named = ", ".join(without[:_MAX_NAMED]) + (", ..." if len(without) > _MAX_NAMED else "")
        text = f"users without group-policy are refused, as {protocol.name} has no default-group-policy: {named}"
        yield from subject.problem("W105", section, "default-group-policy", text)


def _users_without_policy(config: Config) -> list[str]:
    return [user.name for user in config.users.values() if user.group_policy is None]
