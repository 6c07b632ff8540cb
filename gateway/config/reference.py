"""The reference, made from the model: conf/gateway.ini.example and docs/settings.md.

The example is a configuration that works once its files are there. What it does not need is commented out with ";",
with the default, or with an example where the default is nothing; with every ";" taken away it is still well-formed."""

import textwrap
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

from gateway.config.codes import CODES
from gateway.config.kinds import Kind
from gateway.config.model import DEFAULT_POLICY_NAME
from gateway.config.model import LOCAL_GROUP_NAME
from gateway.config.sections import SHAPES
from gateway.config.sections import Shape
from gateway.config.sections import shape_of
from gateway.config.settings import PROTOCOLS
from gateway.config.settings import Setting

_WIDTH: Final = 100
_HEAD: Final = """\
# The configuration of the gateway, complete. Made by "gateway config-reference"; docs/settings.md says the same.
#
# setting = value         "#" and ";" start a comment, at the start of a line or behind a blank.
# Durations are 30s, 10m, 2h, 1d; sizes 64k, 8m. Items of a list are separated by blanks or commas.
# A secret is the text itself, file:PATH, env:NAME or credential:NAME (systemd). Relative paths start at this file.
# A longer value goes on in the next line, which is indented. Quotes keep blanks and ";" as they are: "a ; b".
# Check it with: gateway check -c FILE
"""


@dataclass(frozen=True, slots=True)
class _Example:
    """A section of the example. `active` are the settings that are not commented out; `values` replaces examples;
    a brief one says nothing of its settings: an earlier section of the same shape did."""

    words: tuple[str, ...]
    active: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    is_active: bool = False
    is_brief: bool = False


_EXAMPLES: Final = (
    _Example(("gateway",), is_active=True),
    _Example(("tls",), ("certificate", "private-key"), is_active=True),
    _Example(("tls", "mail.example.org")),
    _Example(("interface", "outside"), ("address", "enable"), is_active=True),
    _Example(("imap4s",), ("server",), is_active=True),
    _Example(("pop3s",), ("server",), is_active=True, is_brief=True),
    _Example(("smtps",), ("server", "authentication"), {"authentication": "mailhost"}, is_active=True, is_brief=True),
    _Example(("aaa-server-group", "RAD"), values={"protocol": "radius"}),
    _Example(("aaa-server", "RAD", "radius1"), only="radius"),
    _Example(("aaa-server-group", "AD"), values={"protocol": "ldap"}, is_brief=True),
    _Example(("aaa-server", "AD", "dc1"), values={"host": "10.0.0.6"}, only="ldap"),
    _Example(("ldap-attribute-map", "ADMAP")),
    _Example(("group-policy", "MAILUSERS")),
    _Example(("time-range", "OFFICE")),
    _Example(("user", "alice")),
    _Example(("portal",)),
    _Example(("console",)),
    _Example(("metrics",)),
    _Example(("cluster",)),
)


def example() -> str:
    return "\n".join([_HEAD, *(_example_section(one) for one in _EXAMPLES)])


def _example_section(section: _Example) -> str:
    kind, *names = section.words
    shape = shape_of(kind, len(names))
    if shape is None:
        raise LookupError(kind)
    mark = "" if section.is_active else ";"
    lines = [*_comment(_description(shape)), f"{mark}[{' '.join(section.words)}]", ""]
    for key, setting in shape.settings.items():
        if setting.only in ("", section.only):
            value = section.values.get(key) or _shown_value(setting, section)
            line = f"{'' if key in section.active else ';'}{key} = {value}".rstrip()
            lines += [line] if section.is_brief else [*_explanation(setting, kind), line, ""]
    return "\n".join(lines if lines[-1] == "" else [*lines, ""])


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _description(shape: Shape) -> str:
    """The first paragraph of the class's docstring."""
    return " ".join(str(shape.model.__doc__).partition("\n\n")[0].split())


def _explanation(setting: Setting[Any], section: str) -> list[str]:
    default = f" Default: {_default(setting, section) or 'empty'}." if setting.example and not setting.required else ""
    later = [f"Not yet in effect: {setting.not_yet}."] if setting.not_yet else []
    later += [f"{word} is not yet in effect: {result}." for word, result in setting.not_yet_values.items()]
    said = [setting.doc, f"Value: {setting.kind.word}.{default}", *later]
    return [line for sentence in said for line in _comment(sentence)]


def _default(setting: Setting[Any], section: str) -> str:
    """The default as the file would have it; "" when there is none."""
    kind: Kind[Any] = setting.kind
    return "" if setting.required else kind.render(setting.default(section))


def _shown_value(setting: Setting[Any], section: _Example) -> str:
    """The example where there is one, but in a brief section only for what is active or required."""
    is_shown = not section.is_brief or setting.required or setting.key in section.active
    return setting.example if setting.example and is_shown else _default(setting, section.words[0])


def settings_page() -> str:
    """docs/settings.md"""
    return "\n".join([_INTRODUCTION, *_sections(), *_codes(), ""])


_INTRODUCTION: Final = f"""\
# Settings

Made from the model by `gateway config-reference`; do not edit. `conf/gateway.ini.example` says the same as a file.

Durations are `30s`, `10m`, `2h`, `1d`; sizes `64k`, `8m`; items of a list are separated by blanks or commas.
A secret is the text itself, `file:PATH`, `env:NAME` or `credential:NAME` (systemd). Relative paths start at the file
they stand in. A setting marked *not yet* is read and checked, `gateway check` warns of it, and the text says what
happens instead; a login that needs a method or an AAA protocol that is not yet there is refused.

As on the ASA, the AAA server group `{LOCAL_GROUP_NAME}` (the `[user NAME]` sections) and the group policy
`{DEFAULT_POLICY_NAME}` exist without being configured; a section of that name changes them.
"""


def _sections() -> Iterator[str]:
    for shape in SHAPES:
        if shape.kind not in PROTOCOLS[1:]:
            labels = [f"[{name}]" for name in PROTOCOLS] if shape.kind in PROTOCOLS else [shape.label]
            yield f"## {', '.join(f'`{label}`' for label in labels)}"
            yield ""
            yield _description(shape)
            yield ""
            yield "| setting | value | default | ASA | meaning |"
            yield "|---|---|---|---|---|"
            yield from (_row(setting) for setting in shape.settings.values())
            yield ""


def _row(setting: Setting[Any]) -> str:
    later = f" *Not yet: {setting.not_yet}.*" if setting.not_yet else ""
    words = "".join(f" *`{word}` not yet: {result}.*" for word, result in setting.not_yet_values.items())
    only = f" Only with `protocol = {setting.only}`." if setting.only else ""
    cells = [
        f"`{setting.key}`",
        setting.kind.word,
        _default_cell(setting),
        f"`{setting.asa}`" if setting.asa else "",
        f"{setting.doc}{only}{later}{words}",
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default_cell(setting: Setting[Any]) -> str:
    if setting.required:
        return "required"
    defaults = dict.fromkeys(_default(setting, section) for section in setting.defaults)
    return " / ".join(f"`{default}`" if default else "empty" for default in defaults)


def _codes() -> Iterator[str]:
    yield "## Problems"
    yield ""
    yield "`gateway check` prints `FILE:LINE:COLUMN: error[CODE]: text`. Errors keep the gateway from starting."
    yield ""
    yield "| code | meaning |"
    yield "|---|---|"
    yield from (f"| {code} | {meaning} |" for code, meaning in CODES.items())
