"""The model: what an administrator may set, as frozen dataclasses. One field is one setting (config/settings.py).

A field's name is the setting's name with "_" for "-", and its unit behind it (_s, _octets)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Final

from gateway.config.model.aaa import AaaServerGroup
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.aaa import AttributeMap
from gateway.config.model.aaa import UserSettings
from gateway.config.model.policy import BUILT_IN_POLICY
from gateway.config.model.policy import GroupPolicySettings
from gateway.config.model.policy import TimeRange
from gateway.config.model.protocol import ProtocolSettings
from gateway.config.model.server import GatewaySettings
from gateway.config.model.server import InterfaceSettings
from gateway.config.model.server import NamedCertificate
from gateway.config.model.server import TlsSettings
from gateway.config.model.web import ClusterSettings
from gateway.config.model.web import ConsoleSettings
from gateway.config.model.web import MetricsSettings
from gateway.config.model.web import PortalSettings
from gateway.config.model.words import Method

__all__ = [
    "BUILT_IN_POLICY",
    "DEFAULT_POLICY_NAME",
    "LOCAL_GROUP_NAME",
    "AaaServerGroup",
    "AaaServerSettings",
    "AttributeMap",
    "ClusterSettings",
    "Config",
    "ConsoleSettings",
    "GatewaySettings",
    "GroupPolicySettings",
    "InterfaceSettings",
    "Method",
    "MetricsSettings",
    "NamedCertificate",
    "PortalSettings",
    "ProtocolSettings",
    "TimeRange",
    "TlsSettings",
    "UserSettings",
]

# As on the ASA these two exist without being configured; a section of that name changes them.
LOCAL_GROUP_NAME: Final = "LOCAL"
DEFAULT_POLICY_NAME: Final = "DfltGrpPolicy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that is configured. Mappings are by name, in the order of the file; `protocols` has all three,
    `aaa_groups` always has LOCAL and `group_policies` DfltGrpPolicy."""

    path: Path
    hostname: str
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    tls_by_name: Mapping[str, NamedCertificate] = field(default_factory=dict)
    interfaces: Mapping[str, InterfaceSettings] = field(default_factory=dict)
    protocols: Mapping[str, ProtocolSettings]
    aaa_groups: Mapping[str, AaaServerGroup] = field(default_factory=dict)
    attribute_maps: Mapping[str, AttributeMap] = field(default_factory=dict)
    group_policies: Mapping[str, GroupPolicySettings] = field(default_factory=dict)
    time_ranges: Mapping[str, TimeRange] = field(default_factory=dict)
    users: Mapping[str, UserSettings] = field(default_factory=dict)
    portal: PortalSettings = field(default_factory=PortalSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)

    @property
    def worker_count(self) -> int:
        return self.gateway.workers or len(os.sched_getaffinity(0))

    def policy_without_class(self, protocol: ProtocolSettings) -> GroupPolicySettings | None:
        """The policy of a user for whom AAA named none; None: refuse.

        Where the mail server alone authenticates, no AAA was asked that could have named one: the built-in policy."""
        if protocol.default_group_policy is not None:
            return self.group_policies[protocol.default_group_policy]
        return BUILT_IN_POLICY if protocol.authentication == {Method.MAILHOST} else None
