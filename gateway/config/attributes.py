"""The lines of AAA settings that have a small grammar of their own: DN fields and attribute maps.

Source: the ASA's `authorization-dn-attributes`, `map-name` and `map-value` commands."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.kinds import Kind
from gateway.config.kinds import did_you_mean
from gateway.config.kinds import items
from gateway.config.problems import quoted

ENTIRE_DN: Final = "use-entire-name"
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)')


class DnField(StrEnum):
    """The fields of a subject DN by the ASA's names."""

    C = "C"
    CN = "CN"
    DNQ = "DNQ"
    EA = "EA"
    GENQ = "GENQ"
    GN = "GN"
    I = "I"  # noqa: E741 - the ASA's name of the field "initials"
    L = "L"
    N = "N"
    O = "O"  # noqa: E741 - the ASA's name of the field "organization"
    OU = "OU"
    SER = "SER"
    SN = "SN"
    SP = "SP"
    T = "T"
    UID = "UID"


@dataclass(frozen=True, slots=True)
class DnAttributes:
    """Which part of a certificate's subject is the name to authorize. primary None: the entire DN."""

    primary: DnField | None = DnField.CN
    secondary: DnField | None = DnField.OU


def _parse_dn_attributes(text: str, _: Context) -> DnAttributes:
    words = items(text)
    if len(words) == 1 and words[0][1] == ENTIRE_DN:
        return DnAttributes(None, None)
    if not 1 <= len(words) <= 2:
        raise BadValue(f'expected a primary and a secondary DN field such as "CN OU", or {ENTIRE_DN}')
    primary = _dn_field(*words[0])
    if len(words) == 1 or words[1][1].lower() == "none":
        return DnAttributes(primary, None)
    secondary = _dn_field(*words[1])
    if secondary is primary:
        raise BadValue("the secondary DN field is the primary one", offset=words[1][0], width=len(words[1][1]))
    return DnAttributes(primary, secondary)


def _dn_field(offset: int, word: str) -> DnField:
    known = [field.value for field in DnField]
    if word.upper() not in known:
        hint = did_you_mean(word, known) or f"known are {' '.join(known)}"
        raise BadValue(f"{quoted(word)} is not a DN field", hint=hint, offset=offset, width=len(word))
    return DnField(word.upper())


def _render_dn_attributes(attributes: DnAttributes) -> str:
    if attributes.primary is None:
        return ENTIRE_DN
    return f"{attributes.primary} {attributes.secondary or 'none'}"


DN_ATTRIBUTES: Final[Kind[DnAttributes]] = Kind(
    word=f"one or two of {' '.join(DnField)}, or {ENTIRE_DN}",
    code="E209",
    parse=_parse_dn_attributes,
    render=_render_dn_attributes,
)


@dataclass(frozen=True, slots=True)
class MapName:
    """The LDAP attribute `ldap` stands for the attribute `asa`."""

    ldap: str
    asa: str


@dataclass(frozen=True, slots=True)
class MapValue:
    """The value `value` of the LDAP attribute `ldap` becomes `result`."""

    ldap: str
    value: str
    result: str


def _tokens(text: str, wanted: int, form: str) -> list[str]:
    """Exactly `wanted` words; a word in quotes may hold blanks, and a quote or backslash behind a backslash."""
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadValue("a quote is not closed", offset=position)
        tokens.append(re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2])
        position = match.end()
        position += len(text[position:]) - len(text[position:].lstrip())
    if len(tokens) != wanted:
        raise BadValue(f"expected {form}")
    return tokens


def _quote_token(token: str) -> str:
    if token and not re.search(r'[\s"\\;#]', token):
        return token
    return '"' + re.sub(r'(["\\])', r"\\\1", token) + '"'


def _parse_map_name(text: str, _: Context) -> MapName:
    return MapName(*_tokens(text, 2, "LDAP-ATTRIBUTE ATTRIBUTE, such as memberOf IETF-Radius-Class"))


def _parse_map_value(text: str, _: Context) -> MapValue:
    return MapValue(*_tokens(text, 3, "LDAP-ATTRIBUTE VALUE RESULT; quote a value with blanks"))


MAP_NAME: Final[Kind[MapName]] = Kind(
    word="LDAP-ATTRIBUTE ATTRIBUTE",
    code="E210",
    parse=_parse_map_name,
    render=lambda line: f"{_quote_token(line.ldap)} {_quote_token(line.asa)}",
)
MAP_VALUE: Final[Kind[MapValue]] = Kind(
    word='LDAP-ATTRIBUTE "VALUE" RESULT',
    code="E210",
    parse=_parse_map_value,
    render=lambda line: " ".join(map(_quote_token, (line.ldap, line.value, line.result))),
)
