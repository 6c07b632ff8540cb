"""From text to model: each section becomes the dataclass of its kind, each option the value of its field.

Errors: none is raised; problems E103, E104, E108, E109, E114 and E2xx are collected, all of them. A value that is wrong
is replaced by its default, so that the rules over several settings can still look at the rest; `broken` tells them."""

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from itertools import groupby
from typing import Any
from typing import TypeVar

from gateway.config.document import Document
from gateway.config.document import Option
from gateway.config.document import Section
from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.kinds import closest
from gateway.config.kinds import did_you_mean
from gateway.config.problems import MAX_PROBLEMS
from gateway.config.problems import Place
from gateway.config.problems import Problem
from gateway.config.problems import quoted
from gateway.config.sections import KINDS
from gateway.config.sections import SHAPES
from gateway.config.sections import Shape
from gateway.config.sections import shape_of
from gateway.config.settings import PROTOCOLS
from gateway.config.settings import Setting

T = TypeVar("T")


@dataclass(slots=True)
class Parts:
    """What the sections became, by their words. `broken` holds (section label, setting) of each value that is wrong."""

    built: dict[tuple[str, ...], object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[tuple[str, str]] = field(default_factory=set)

    def of(self, model: type[T]) -> list[T]:
        """All sections of one class, in the order of the file."""
        return [one for one in self.built.values() if isinstance(one, model)]

    def report(self, code: str, place: Place, text: str, hint: str = "") -> None:
        self.problems.append(Problem(code, place, text, hint))


def build(document: Document) -> Parts:
    parts = Parts()
    first: dict[tuple[str, ...], Section] = {}
    for section in document.sections:
        if len(parts.problems) >= MAX_PROBLEMS:
            break
        shape = _shape(section, parts)
        if shape is None:
            continue
        earlier = first.setdefault(section.words, section)
        made = _section(section, shape, parts)
        if earlier is not section:
            parts.report("E108", section.place, f"{section.label} is already at {earlier.place}")
        elif made is not None:
            parts.built[section.words] = made
    return parts


def _shape(section: Section, parts: Parts) -> Shape | None:
    shape = shape_of(section.kind, len(section.names))
    if shape is not None:
        return shape
    forms = [shape.label for shape in SHAPES if shape.kind == section.kind]
    if forms:
        parts.report("E114", section.place, f"expected {' or '.join(forms)}")
    else:
        hint = did_you_mean(section.kind, KINDS)
        parts.report("E104", section.place, f"unknown section [{section.kind}]", hint)
    return None


def _section(section: Section, shape: Shape, parts: Parts) -> object | None:
    """The dataclass, or None when a required setting is absent or wrong."""
    values: dict[str, object] = dict(zip(shape.names, section.names, strict=True))
    if shape.kind in PROTOCOLS:
        values = {"name": shape.kind, **{one.field_name: one.default(shape.kind) for one in shape.settings.values()}}
    for key, options in _by_key(section.options):
        if len(parts.problems) >= MAX_PROBLEMS:
            return None
        setting = shape.settings.get(key)
        if setting is None:
            _unknown(options[0], section, shape, parts)
        else:
            _refuse_repetition(options, setting, parts)
            values |= _value(options, setting, section, parts)
    return shape.model(**values) if _is_complete(section, shape, values, parts) else None


def _by_key(options: list[Option]) -> Iterator[tuple[str, list[Option]]]:
    """The options of each name, in the order of their first line."""
    order = {key: index for index, key in enumerate(dict.fromkeys(option.key for option in options))}
    ordered = sorted(options, key=lambda option: order[option.key])
    for key, same in groupby(ordered, key=lambda option: option.key):
        yield key, list(same)


def _unknown(option: Option, section: Section, shape: Shape, parts: Parts) -> None:
    meant = closest(option.key, shape.settings)
    parts.broken.add((section.label, meant))
    hint = f'did you mean "{meant}"?' if meant else _elsewhere(option.key)
    parts.report("E103", option.place, f"unknown setting {quoted(option.key)} in {section.label}", hint)


def _elsewhere(key: str) -> str:
    owners = [shape.label for shape in SHAPES if key in shape.settings]
    return f"it belongs to {' or '.join(owners[:3])}" if owners else ""


def _refuse_repetition(options: list[Option], setting: Setting[Any], parts: Parts) -> None:
    if not setting.kind.repeatable:
        for option in options[1:]:
            parts.report("E109", option.place, f"{quoted(option.key)} is already at {options[0].place}")


def _value(options: list[Option], setting: Setting[Any], section: Section, parts: Parts) -> Mapping[str, object]:
    """The field and its value; nothing when the value is wrong."""
    values: list[object] = []
    context = Context(section.directory)
    for option in options:
        try:
            values.append(setting.kind.parse(option.value.text, context))
        except BadValue as bad:
            place = option.value.place(bad.offset, bad.width)
            text = bad.text if option.value.text else "it has no value"
            parts.report(bad.code or setting.kind.code, place, f"{option.key}: {text}", bad.hint)
            parts.broken.add((section.label, option.key))
    if not values:
        return {}
    if setting.kind.repeatable:
        return {setting.field_name: tuple(line for lines in values if isinstance(lines, tuple) for line in lines)}
    return {setting.field_name: values[0]}


def _is_complete(section: Section, shape: Shape, values: Mapping[str, object], parts: Parts) -> bool:
    lacking = [key for key, one in shape.settings.items() if one.required and one.field_name not in values]
    for key in lacking:
        if (section.label, key) not in parts.broken:
            parts.report("E212", section.place, f"{section.label} needs the setting {quoted(key)}")
    return not lacking
