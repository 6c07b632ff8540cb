"""How a setting is declared: one dataclass field is one setting, with its kind, default, one sentence and ASA command.

`setting` returns a dataclass field, typed as the value it will hold. A setting whose function is still to come says
so in `not_yet` (what happens instead, for the warning); when the function comes, that argument is deleted, no more."""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import Generic
from typing import TypedDict
from typing import TypeVar
from typing import Unpack

from gateway.config.kinds import Kind

T = TypeVar("T")
PROTOCOLS: Final = ("imap4s", "pop3s", "smtps")
_METADATA: Final = "gateway.setting"


class Facts(TypedDict, total=False):
    """What may be said of a setting besides its kind, default and sentence; see `Setting`."""

    asa: str
    not_yet: str
    not_yet_values: Mapping[str, str]
    only: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[T]):
    """What the reader, the checks and the reference know about one setting.

    `defaults` has one entry for each protocol where the default differs, else the single key "". Empty: required.
    `not_yet_values` maps single words of a value to what happens instead; `only` names the AAA protocol that has it;
    `example` is what the reference shows where the default would show nothing."""

    kind: Kind[T]
    doc: str
    defaults: Mapping[str, T]
    field_name: str = ""
    asa: str = ""
    not_yet: str = ""
    not_yet_values: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    example: str = ""

    @property
    def key(self) -> str:
        """The name in the file: the field's name without its unit, hyphenated."""
        return self.field_name.removesuffix(self.kind.unit).replace("_", "-")

    @property
    def required(self) -> bool:
        return not self.defaults

    def default(self, section: str) -> T:
        return self.defaults[section] if section in self.defaults else self.defaults[""]


def setting(kind: Kind[T], default: T, doc: str, **facts: Unpack[Facts]) -> T:
    declared = Setting(kind=kind, doc=doc, defaults={"": default}, **facts)
    return field(default=default, metadata={_METADATA: declared})


def per_protocol(kind: Kind[T], defaults: tuple[T, T, T], doc: str, **facts: Unpack[Facts]) -> T:
    """A setting whose default differs: `defaults` in the order of PROTOCOLS."""
    by_name = dict(zip(PROTOCOLS, defaults, strict=True))
    return _without_default(Setting(kind=kind, doc=doc, defaults=by_name, **facts))


def required(kind: Kind[T], doc: str, **facts: Unpack[Facts]) -> T:
    nothing: Mapping[str, T] = {}
    return _without_default(Setting(kind=kind, doc=doc, defaults=nothing, **facts))


def _without_default(declared: Setting[T]) -> T:
    made: T = field(metadata={_METADATA: declared})
    return made


def settings_of(model: Callable[..., Any]) -> Mapping[str, Setting[Any]]:
    """The settings of a model class by the name they have in the file, in the order of the class."""
    declared = [(one.name, one.metadata.get(_METADATA)) for one in fields(model)]  # type: ignore[arg-type]
    named = [replace(found, field_name=name) for name, found in declared if found is not None]
    return MappingProxyType({one.key: one for one in named})
