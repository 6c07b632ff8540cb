"""From the configuration to the accountant's groups."""

from gateway.accountant.delivery import RadiusDelivery
from gateway.accountant.inheritance import Inheritance
from gateway.accounting.group import Group
from gateway.accounting.node import Node
from gateway.accounting.pace import TIMING
from gateway.accounting.pace import Timing
from gateway.accounting.segments import group_directory
from gateway.accounting.setup import accounting_groups
from gateway.accounting.stream import Deliver
from gateway.accounting.stream import Stream
from gateway.accounting.targets import Targets
from gateway.config.model import AaaServerGroup
from gateway.config.model.words import AccountingMode
from gateway.config.model.words import Reactivation
from gateway.log import Log
from gateway.upstream.resolve import Resolver


def make_groups(inheritance: Inheritance, timing: Timing = TIMING) -> list[Group]:
    resolver = Resolver()
    groups = []
    for name, settings in accounting_groups(inheritance.config).items():
        directory = group_directory(inheritance.spool, name)
        deliver = RadiusDelivery(settings.servers, inheritance.config.hostname, resolver.addresses)
        streams = make_streams(settings, deliver, inheritance.log, timing)
        groups.append(Group(name, directory, Node(directory, inheritance.node), streams, inheritance.log))
    return groups


def make_streams(group: AaaServerGroup, deliver: Deliver, log: Log, timing: Timing) -> list[Stream]:
    """One for each server that is told everything; with `accounting-mode = single` one for all together."""
    labels = tuple(server.label for server in group.servers)
    simultaneous = group.accounting_mode is AccountingMode.SIMULTANEOUS
    destinations = [(f"server-{label}", (label,)) for label in labels] if simultaneous else [("group", labels)]
    timed = group.reactivation_mode is Reactivation.TIMED
    return [
        Stream(name, Targets(together, group.max_failed_attempts, timed=timed), deliver, log, timing)
        for name, together in destinations
    ]
