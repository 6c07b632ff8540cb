"""The items of FETCH, each made from a message.

Errors: `Bad` for an item that is none.
Source: RFC 9051 section 6.4.5, RFC 3501 section 6.4.5 (RFC822, RFC822.HEADER, RFC822.TEXT).
"""

import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Final

from gateway.demo.mail_servers.imap.folders import internal_date
from gateway.demo.mail_servers.imap.structure import body_structure
from gateway.demo.mail_servers.imap.structure import envelope
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.imap.syntax import Value
from gateway.demo.mail_servers.imap.syntax import items_of
from gateway.demo.mail_servers.imap.syntax import literal
from gateway.demo.mail_servers.imap.syntax import text_of
from gateway.demo.mail_servers.imap.view import flag_list
from gateway.demo.mail_servers.mime import Part
from gateway.demo.mail_servers.mime import parse_part
from gateway.demo.mail_servers.store import Message

_FAST: Final = ("FLAGS", "INTERNALDATE", "RFC822.SIZE")
_MACROS: Final[Mapping[str, tuple[str, ...]]] = {
    "FAST": _FAST,
    "ALL": (*_FAST, "ENVELOPE"),
    "FULL": (*_FAST, "ENVELOPE", "BODY"),
}
_SECTION: Final = re.compile(
    r"BODY(?P<peek>\.PEEK)?"
    r"\[(?P<path>[1-9]\d{0,3}(?:\.[1-9]\d{0,3})*)?\.?(?P<what>[A-Z.]*)(?: \((?P<fields>[^)]*)\))?\]"
    r"(?:<(?P<start>\d{1,9})(?:\.(?P<count>\d{1,9}))?>)?",
    re.IGNORECASE | re.ASCII,
)
# Other names for sections; the answer bears the name that was asked for.
_OLD_NAMES: Final = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY.PEEK[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}


@dataclass(frozen=True, slots=True)
class Item:
    """`name` as it is answered; `marks_seen`: who fetches it has read the message."""

    name: str
    render: Callable[[Message, Part], bytes]
    marks_seen: bool = False


def parse_items(value: Value, *, with_uid: bool) -> list[Item]:
    names: list[str] = []
    for text in map(text_of, items_of(value)):
        names += _MACROS.get(text.upper(), (text,))
    if with_uid and "UID" not in map(str.upper, names):
        names.insert(0, "UID")
    return [_item(name) for name in names]


def with_flags(items: Sequence[Item]) -> list[Item]:
    """The items, and the flags if they are not among them."""
    return list(items) if any(item.name == "FLAGS" for item in items) else [*items, _item("FLAGS")]


def render(number: int, message: Message, items: Sequence[Item]) -> bytes:
    """The FETCH response for one message, without CRLF."""
    part = parse_part(message.octets)
    values = (item.name.encode("latin-1") + b" " + item.render(message, part) for item in items)
    return b"* %d FETCH (" % number + b" ".join(values) + b")"


_SIMPLE: Final[Mapping[str, Callable[[Message, Part], bytes]]] = {
    "UID": lambda message, _: b"%d" % message.uid,
    "FLAGS": lambda message, _: flag_list(message.flags),
    "INTERNALDATE": lambda message, _: internal_date(message.received_at),
    "RFC822.SIZE": lambda message, _: b"%d" % len(message.octets),
    "ENVELOPE": lambda _, part: envelope(part),
    "BODY": lambda _, part: body_structure(part, is_extended=False),
    "BODYSTRUCTURE": lambda _, part: body_structure(part, is_extended=True),
}


def _item(text: str) -> Item:
    name = text.upper()
    if name in _SIMPLE:
        return Item(name, _SIMPLE[name])
    match = _SECTION.fullmatch(_OLD_NAMES.get(name, text))
    if match is None:
        raise Bad("there is no such item to fetch")
    start = match["start"]
    told = name if name in _OLD_NAMES else text.upper().replace(".PEEK", "", 1).partition("<")[0]
    selector = _selector((match["what"] or "").upper(), match["fields"])
    path = [int(number) for number in match["path"].split(".")] if match["path"] else []

    def section(_: Message, part: Part) -> bytes:
        octets = _octets(part, path, selector)
        if octets is None:
            return b"NIL"
        if start is None:
            return literal(octets)
        end = len(octets) if match["count"] is None else int(start) + int(match["count"])
        return literal(octets[int(start) : end])

    return Item(told if start is None else f"{told}<{int(start)}>", section, marks_seen=match["peek"] is None)


_Selector = Callable[[Part], bytes]


def _selector(what: str, fields: str | None) -> _Selector | None:
    """What is taken of a part; None: all of a message, the body of a part below it."""
    names = frozenset(name.strip('"').lower() for name in (fields or "").split())
    selectors: dict[str, _Selector | None] = {
        "": None,
        "MIME": lambda part: part.header,
        "HEADER": lambda part: _message(part).header,
        "TEXT": lambda part: _message(part).body,
        "HEADER.FIELDS": lambda part: _message(part).selected_fields(names),
        "HEADER.FIELDS.NOT": lambda part: _message(part).selected_fields(names, others=True),
    }
    if what not in selectors:
        raise Bad("there is no such section")
    return selectors[what]


def _octets(message: Part, path: Sequence[int], selector: _Selector | None) -> bytes | None:
    """None: there is no such part."""
    if not path:
        # not `selector(message)`: a message whose whole content is a message/rfc822 is not the one in it
        return message.octets if selector is None else selector(replace(message, inner=None))
    part = _descend(message, path)
    if part is None:
        return None
    return part.body if selector is None else selector(part)


def _message(part: Part) -> Part:
    """A part that is a message stands for the message in it."""
    return part.inner or part


def _descend(message: Part, path: Sequence[int]) -> Part | None:
    """RFC 9051 section 6.4.5.1: parts are numbered from one; a message without parts has one, itself."""
    part = inside = message
    for number in path:
        parts = inside.parts or (inside,)
        if number > len(parts):
            return None
        part = parts[number - 1]
        inside = part.inner or part
    return part
