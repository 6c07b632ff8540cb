"""What a rule looks at: the typed configuration, and the text it came from to point at."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.document import Document
from gateway.config.document import Option
from gateway.config.document import Section
from gateway.config.model import Config
from gateway.config.model import ProtocolSettings
from gateway.config.problems import Place
from gateway.config.problems import Problem
from gateway.config.sections import shape_of
from gateway.config.settings import Setting


@dataclass(frozen=True, slots=True)
class Subject:
    """A section is named by its words: `("imap4s",)`, `("aaa-server", "RAD", "radius1")`.

    `built` is what became of each section that is complete. `broken` holds (section label, setting) of values that are
    wrong by themselves: a rule about one of these would only repeat that, so `problem` drops it."""

    config: Config
    document: Document
    built: Mapping[tuple[str, ...], object]
    broken: frozenset[tuple[str, str]]

    def option(self, section: tuple[str, ...], key: str) -> Option | None:
        """The option as the file has it, None where it has none."""
        found = self.document.section(*section)
        return found.option(key) if found else None

    def given(self) -> Iterator[tuple[Section, Setting[Any], Any]]:
        """Every setting that the file sets, with its value."""
        for section in self.document.sections:
            shape, made = shape_of(section.kind, len(section.names)), self.built.get(section.words)
            for option in section.options if shape is not None and made is not None else ():
                setting = shape.settings.get(option.key) if shape is not None else None
                if setting is not None and (section.label, option.key) not in self.broken:
                    yield section, setting, getattr(made, setting.field_name)

    def sets(self, section: tuple[str, ...], key: str) -> bool:
        return self.option(section, key) is not None

    def place(self, section: tuple[str, ...], key: str = "") -> Place:
        """The setting's value; where the file does not set it the section's header, else the first line of the file."""
        option = self.option(section, key)
        if option is not None:
            return option.value.place()
        found = self.document.section(*section)
        return found.place if found else Place(self.document.file)

    def is_broken(self, section: tuple[str, ...], *keys: str) -> bool:
        """Whether one of the settings has a value that is wrong by itself."""
        return any((label(section), key) in self.broken for key in keys)

    def problem(self, code: str, section: tuple[str, ...], key: str, text: str, hint: str = "") -> Iterator[Problem]:
        """At most one problem, at the setting; its name comes first in the text."""
        if not self.is_broken(section, key):
            said = f"{key}: {text}" if key and self.sets(section, key) else text
            yield Problem(code, self.place(section, key), said, hint)

    def names(self, kind: str) -> list[str]:
        """The names of all sections of a kind, also of those that could not be built."""
        return [section.names[0] for section in self.document.sections if section.kind == kind and section.names]

    def enabled(self) -> Iterator[ProtocolSettings]:
        """The protocols that are enabled on an interface."""
        used = {name for interface in self.config.interfaces.values() for name in interface.enable}
        return (protocol for name, protocol in self.config.protocols.items() if name in used)


def label(section: Iterable[str]) -> str:
    return f"[{' '.join(section)}]"
