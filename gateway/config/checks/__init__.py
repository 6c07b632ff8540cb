"""Rules that one value alone cannot break: over several settings, over other files, over the machine.

A rule is a function from `Subject` to problems, listed in `RULES`. It runs even when other values are wrong."""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Final
from typing import TypeAlias

from gateway.config.checks.certificates import check_authorities
from gateway.config.checks.certificates import check_ciphers
from gateway.config.checks.certificates import check_server_certificates
from gateway.config.checks.effect import check_effect
from gateway.config.checks.login import check_enabled_protocols
from gateway.config.checks.login import check_protocols
from gateway.config.checks.machine import check_accounts
from gateway.config.checks.machine import check_secrets
from gateway.config.checks.network import check_devices_beside_addresses
from gateway.config.checks.network import check_interfaces
from gateway.config.checks.network import check_modes
from gateway.config.checks.network import check_ports
from gateway.config.checks.references import check_attribute_maps
from gateway.config.checks.references import check_portal_interfaces
from gateway.config.checks.references import check_references
from gateway.config.checks.references import check_servers
from gateway.config.checks.references import check_time_ranges
from gateway.config.checks.subject import Subject
from gateway.config.problems import Problem

Rule: TypeAlias = Callable[[Subject], Iterator[Problem]]

RULES: Final[tuple[Rule, ...]] = (
    check_modes,
    check_interfaces,
    check_ports,
    check_devices_beside_addresses,
    check_server_certificates,
    check_ciphers,
    check_authorities,
    check_protocols,
    check_enabled_protocols,
    check_references,
    check_portal_interfaces,
    check_servers,
    check_attribute_maps,
    check_time_ranges,
    check_accounts,
    check_secrets,
    check_effect,
)


def run_checks(subject: Subject) -> list[Problem]:
    return [problem for rule in RULES for problem in rule(subject)]
