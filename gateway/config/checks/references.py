"""Rules about names: what a setting names must be in the file, and fit."""

from collections.abc import Iterator
from typing import Final

from gateway.config.checks.subject import Subject
from gateway.config.kinds import did_you_mean
from gateway.config.model import DEFAULT_POLICY_NAME
from gateway.config.model import LOCAL_GROUP_NAME
from gateway.config.model import AaaServerGroup
from gateway.config.model import AaaServerSettings
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import LdapTls
from gateway.config.model.words import MessageAuthenticator
from gateway.config.problems import Problem
from gateway.config.problems import quoted
from gateway.config.settings import settings_of

_ALWAYS_THERE: Final = {"aaa-server-group": (LOCAL_GROUP_NAME,), "group-policy": (DEFAULT_POLICY_NAME,)}
_NAMED: Final = {
    "authentication-server-group": "aaa-server-group",
    "authorization-server-group": "aaa-server-group",
    "accounting-server-group": "aaa-server-group",
    "default-group-policy": "group-policy",
    "group-policy": "group-policy",
    "access-hours": "time-range",
    "ldap-attribute-map": "ldap-attribute-map",
}


def check_references(subject: Subject) -> Iterator[Problem]:
    known = {kind: [*subject.names(kind), *_ALWAYS_THERE.get(kind, ())] for kind in _NAMED.values()}
    for section, setting, name in subject.given():
        kind = _NAMED.get(setting.key)
        if kind is not None and name is not None and name not in known[kind]:
            text = f"there is no [{kind} {name[:64]}]"
            yield from subject.problem("E306", section.words, setting.key, text, did_you_mean(name, known[kind]))


def check_portal_interfaces(subject: Subject) -> Iterator[Problem]:
    known = subject.names("interface")
    for name in subject.config.portal.enable:
        if name not in known:
            text = f"there is no [interface {name[:64]}]"
            yield from subject.problem("E306", ("portal",), "enable", text, did_you_mean(name, known))


def check_servers(subject: Subject) -> Iterator[Problem]:
    """AAA servers and their groups."""
    known = subject.names("aaa-server-group")
    for section in subject.document.sections:
        if section.kind == "aaa-server" and len(section.names) == 2 and section.names[0] not in known:
            text = f"there is no [aaa-server-group {section.names[0][:64]}]"
            yield Problem("E306", section.name_places[0], text, did_you_mean(section.names[0], known))
    for group in subject.config.aaa_groups.values():
        yield from _check_group(subject, group)


def _check_group(subject: Subject, group: AaaServerGroup) -> Iterator[Problem]:
    section = ("aaa-server-group", group.name)
    if group.protocol is AaaProtocol.LOCAL:
        for server in group.servers:
            text = f"the group {quoted(group.name)} has protocol = local: its users stand in this file"
            yield from subject.problem("E320", ("aaa-server", group.name, server.label), "", text)
        return
    if not any(one.kind == "aaa-server" and one.names[:1] == (group.name,) for one in subject.document.sections):
        text = f"no [aaa-server {group.name} ...]: every login that needs the group is refused"
        yield from subject.problem("W107", section, "protocol", text)
    for server in group.servers:
        yield from _check_server(subject, server, group.protocol)


def _check_server(subject: Subject, server: AaaServerSettings, protocol: AaaProtocol) -> Iterator[Problem]:
    section = ("aaa-server", server.group, server.label)
    for key, setting in settings_of(AaaServerSettings).items():
        if setting.only and setting.only != protocol and subject.sets(section, key):
            text = f"it belongs to protocol = {setting.only}, and the group has {protocol.value}"
            yield from subject.problem("E320", section, key, text)
    yield from _check_radius(subject, server) if protocol is AaaProtocol.RADIUS else _check_ldap(subject, server)


def _check_radius(subject: Subject, server: AaaServerSettings) -> Iterator[Problem]:
    section = ("aaa-server", server.group, server.label)
    if server.key is None:
        yield from subject.problem("E321", section, "key", "a RADIUS server needs the setting key")
    if server.message_authenticator is MessageAuthenticator.ALLOW:
        text = "answers without a Message-Authenticator can be forged (CVE-2024-3596)"
        yield from subject.problem("W108", section, "message-authenticator", text)


def _check_ldap(subject: Subject, server: AaaServerSettings) -> Iterator[Problem]:
    section = ("aaa-server", server.group, server.label)
    for key, value in (
        ("ldap-base-dn", server.ldap_base_dn),
        ("ldap-naming-attribute", server.ldap_naming_attribute),
    ):
        if value is None:
            yield from subject.problem("E321", section, key, f"an LDAP server needs the setting {key}")
    keys = ("ldap-login-dn", "ldap-login-password")
    is_half = (server.ldap_login_dn is None) is not (server.ldap_login_password is None)
    if is_half and not subject.is_broken(section, *keys):
        key, other = keys if server.ldap_login_dn is not None else reversed(keys)
        yield from subject.problem("E321", section, key, f"it needs {other}")
    if server.ldap_over_ssl is LdapTls.DISABLE:
        yield from subject.problem("W108", section, "ldap-over-ssl", "passwords cross the network in clear")


def check_attribute_maps(subject: Subject) -> Iterator[Problem]:
    for attribute_map in subject.config.attribute_maps.values():
        named = [line.ldap for line in attribute_map.map_name]
        for attribute in dict.fromkeys(line.ldap for line in attribute_map.map_value):
            if attribute not in named:
                text = f"no map-name says what {quoted(attribute)} stands for"
                section = ("ldap-attribute-map", attribute_map.name)
                yield from subject.problem("E306", section, "map-value", text, did_you_mean(attribute, named))


def check_time_ranges(subject: Subject) -> Iterator[Problem]:
    for time_range in subject.config.time_ranges.values():
        section = ("time-range", time_range.name)
        is_empty = not time_range.periodic and time_range.absolute is None
        if is_empty and not subject.is_broken(section, "periodic", "absolute"):
            text = f"[time-range {time_range.name}] needs periodic or absolute"
            yield from subject.problem("E212", section, "", text)
