"""Which sections there are, and which class of the model each becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from itertools import chain
from typing import Any
from typing import Final

from gateway.config.document import Vocabulary
from gateway.config.model import AaaServerGroup
from gateway.config.model import AaaServerSettings
from gateway.config.model import AttributeMap
from gateway.config.model import ClusterSettings
from gateway.config.model import ConsoleSettings
from gateway.config.model import GatewaySettings
from gateway.config.model import GroupPolicySettings
from gateway.config.model import InterfaceSettings
from gateway.config.model import MetricsSettings
from gateway.config.model import NamedCertificate
from gateway.config.model import PortalSettings
from gateway.config.model import ProtocolSettings
from gateway.config.model import TimeRange
from gateway.config.model import TlsSettings
from gateway.config.model import UserSettings
from gateway.config.settings import PROTOCOLS
from gateway.config.settings import Setting
from gateway.config.settings import settings_of


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of section. `names` are the fields that the words behind the kind fill."""

    kind: str
    model: type[Any]
    names: tuple[str, ...] = ()
    settings: Mapping[str, Setting[Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", settings_of(self.model))

    @property
    def label(self) -> str:
        return f"[{' '.join([self.kind, *(name.upper() for name in self.names)])}]"

    @property
    def is_not_yet(self) -> bool:
        """Whether nothing of it is in effect."""
        return all(one.not_yet for one in self.settings.values())


SHAPES: Final = (
    Shape("gateway", GatewaySettings),
    Shape("tls", TlsSettings),
    Shape("tls", NamedCertificate, ("name",)),
    Shape("interface", InterfaceSettings, ("name",)),
    *(Shape(name, ProtocolSettings) for name in PROTOCOLS),
    Shape("aaa-server-group", AaaServerGroup, ("name",)),
    Shape("aaa-server", AaaServerSettings, ("group", "label")),
    Shape("ldap-attribute-map", AttributeMap, ("name",)),
    Shape("group-policy", GroupPolicySettings, ("name",)),
    Shape("time-range", TimeRange, ("name",)),
    Shape("user", UserSettings, ("name",)),
    Shape("portal", PortalSettings),
    Shape("console", ConsoleSettings),
    Shape("metrics", MetricsSettings),
    Shape("cluster", ClusterSettings),
)
KINDS: Final = tuple(dict.fromkeys(shape.kind for shape in SHAPES))


def shape_of(kind: str, name_count: int) -> Shape | None:
    return next((shape for shape in SHAPES if shape.kind == kind and len(shape.names) == name_count), None)


def vocabulary() -> Vocabulary:
    declared = list(chain.from_iterable(shape.settings.items() for shape in SHAPES))
    secrets = frozenset(key for key, one in declared if one.kind.secret)
    return Vocabulary(frozenset(key for key, _ in declared), secrets)
