"""What is accepted and does nothing yet: each such setting that the administrator made is named, with what happens.

A method or group that is not yet in effect fails closed: where it is needed, every login is refused."""

from collections.abc import Iterator
from enum import Enum

from gateway.config.checks.subject import Subject
from gateway.config.document import Section
from gateway.config.kinds import items
from gateway.config.model.words import ProtocolName
from gateway.config.network import EVERY_NETWORK
from gateway.config.problems import Problem
from gateway.config.problems import quoted
from gateway.config.sections import shape_of
from gateway.config.settings import Setting

_OFF = ("none", "off", "no")


def check_effect(subject: Subject) -> Iterator[Problem]:
    whole: set[tuple[str, ...]] = set()
    for section, setting, value in subject.given():
        if section.words in whole:
            continue
        shape = shape_of(section.kind, len(section.names))
        if shape is not None and shape.is_not_yet:
            whole.add(section.words)
            yield Problem("W101", section.place, f"{section.label} is not yet in effect: {setting.not_yet}")
        elif setting.not_yet and _asks_for_something(value):
            text = f"not yet in effect: {setting.not_yet}"
            yield from subject.problem("W101", section.words, setting.key, text)
        yield from _words_not_yet(section, setting)


def _asks_for_something(value: object) -> bool:
    """Whether the value is more than a way to say that the function is not wanted."""
    if value in (EVERY_NETWORK, frozenset(ProtocolName)):
        return False
    if isinstance(value, Enum):
        return value.value not in _OFF
    return bool(value) or (value == 0 and not isinstance(value, bool))


def _words_not_yet(section: Section, setting: Setting[object]) -> Iterator[Problem]:
    option = section.option(setting.key)
    for offset, word in items(option.value.text) if option is not None and setting.not_yet_values else ():
        consequence = setting.not_yet_values.get(word.lower())
        if option is not None and consequence is not None:
            text = f"{setting.key}: {quoted(word)} is not yet in effect: {consequence}"
            yield Problem("W102", option.value.place(offset, len(word)), text)
