"""A message taken apart without changing an octet: header, body, parts, and the parts of these.

The email package gives parts whose octets are its own; IMAP has to give those of the message.
Errors: none; what is no MIME is text. Limits: MAX_DEPTH nested parts, MAX_PARTS in all below one part.
Source: RFC 5322 section 2, RFC 2045, RFC 2046 section 5.
"""

import base64
import quopri
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Final

MAX_DEPTH: Final = 20
MAX_PARTS: Final = 500
_FIELD: Final = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """`header` ends with its empty line. `fields` are (name in lower case, unfolded value as Latin-1).

    `parts`: of a multipart. `inner`: the message in a message/rfc822."""

    header: bytes
    body: bytes
    fields: tuple[tuple[str, str], ...]
    content_type: str
    parts: tuple["Part", ...] = ()
    inner: "Part | None" = None

    @property
    def octets(self) -> bytes:
        return self.header + self.body

    def field(self, name: str) -> str | None:
        """The value of the first field of that name."""
        return next((value for known, value in self.fields if known == name), None)

    def parameters(self, field: str) -> dict[str, str]:
        """Those of a field such as Content-Type, names in lower case."""
        return _parameters(self.field(field) or "")

    def text(self) -> str:
        """The body of a text part, decoded; what cannot be is replaced."""
        encoding = (self.field("content-transfer-encoding") or "").lower()
        octets = _DECODERS.get(encoding, bytes)(self.body)
        try:
            return octets.decode(self.parameters("content-type").get("charset", "utf-8"), "replace")
        except LookupError:
            return octets.decode("latin-1")

    def selected_fields(self, names: frozenset[str], *, others: bool = False) -> bytes:
        """The header with only the fields named (or only the others), in lower case."""
        chosen = [match[0] for match in _FIELD.finditer(self.header) if (_name(match) in names) is not others]
        return b"".join(field.removesuffix(b"\r") + b"\r\n" for field in chosen) + b"\r\n"


def parse_part(octets: bytes, default_type: str = "text/plain", depth: int = 0) -> Part:
    header, body = _split_header(octets)
    fields = tuple((_name(match), _unfolded(match[2])) for match in _FIELD.finditer(header))
    content_type, boundary = _content_type(fields, default_type)
    parts: tuple[Part, ...] = ()
    inner = None
    if depth < MAX_DEPTH and content_type.startswith("multipart/") and boundary:
        below = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
        parts = tuple(parse_part(one, below, depth + 1) for one in _split_body(body, boundary))
    elif depth < MAX_DEPTH and content_type == "message/rfc822":
        inner = parse_part(body, depth=depth + 1)
    if content_type.startswith("multipart/") and not parts:
        content_type = "text/plain"  # a multipart without parts is one no mail program can read
    return Part(header, body, fields, content_type, parts, inner)


def _from_base64(octets: bytes) -> bytes:
    try:
        return base64.b64decode(octets)
    except ValueError:
        return octets


_DECODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "base64": _from_base64,
    "quoted-printable": quopri.decodestring,
}


def _split_header(octets: bytes) -> tuple[bytes, bytes]:
    if octets.startswith(b"\r\n"):
        return octets[:2], octets[2:]
    end = octets.find(b"\r\n\r\n")
    return (octets, b"") if end < 0 else (octets[: end + 4], octets[end + 4 :])


def _name(match: re.Match[bytes]) -> str:
    return match[1].decode("latin-1").lower()


def _unfolded(value: bytes) -> str:
    return value.replace(b"\r\n", b"").decode("latin-1").strip()


def _content_type(fields: tuple[tuple[str, str], ...], default: str) -> tuple[str, str]:
    """The type, and the boundary if it has one."""
    message = Message()
    message.set_default_type(default)
    for name, value in fields:
        if name == "content-type":
            message["Content-Type"] = value
            break
    return message.get_content_type(), message.get_boundary("")


def _parameters(value: str) -> dict[str, str]:
    message = Message()
    message["Content-Type"] = value
    found = message.get_params([])
    return {name.lower(): collapse_rfc2231_value(text) for name, text in found[1:]}


def _split_body(body: bytes, boundary: str) -> list[bytes]:
    """The octets of each part. The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1)."""
    quoted = re.escape(boundary.encode("latin-1", "replace"))
    delimiter = re.compile(rb"(?:\A|\r\n)--" + quoted + rb"(--)?[ \t]*(?=\r\n|\Z)")
    parts: list[bytes] = []
    start: int | None = None
    for match in delimiter.finditer(body):
        if start is not None:
            parts.append(body[start : match.start()])
        if match[1] or len(parts) >= MAX_PARTS:
            return parts
        start = match.end() + 2
    if start is not None:
        parts.append(body[start:])  # cut off before its end
    return parts
