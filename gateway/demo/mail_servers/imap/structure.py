"""ENVELOPE, BODY and BODYSTRUCTURE of a message.

Source: RFC 9051 section 7.5.2.
"""

from email.utils import getaddresses

from gateway.demo.mail_servers.imap.syntax import nstring
from gateway.demo.mail_servers.imap.syntax import parenthesised
from gateway.demo.mail_servers.imap.syntax import string
from gateway.demo.mail_servers.mime import Part


def envelope(part: Part) -> bytes:
    sender = part.field("sender") or part.field("from")
    reply_to = part.field("reply-to") or part.field("from")
    return parenthesised(
        nstring(part.field("date")),
        nstring(part.field("subject")),
        _addresses(part.field("from")),
        _addresses(sender),
        _addresses(reply_to),
        _addresses(part.field("to")),
        _addresses(part.field("cc")),
        _addresses(part.field("bcc")),
        nstring(part.field("in-reply-to")),
        nstring(part.field("message-id")),
    )


def _addresses(value: str | None) -> bytes:
    pairs = [pair for pair in getaddresses([value]) if pair[1]] if value else []
    return parenthesised(*(_address(*pair) for pair in pairs)).replace(b") (", b")(") if pairs else b"NIL"


def _address(name: str, address: str) -> bytes:
    mailbox, _, host = address.rpartition("@") if "@" in address else (address, "", "")
    return parenthesised(nstring(name or None), b"NIL", string(mailbox), string(host))


def body_structure(part: Part, *, is_extended: bool) -> bytes:
    """is_extended: BODYSTRUCTURE, otherwise BODY."""
    main, _, sub = part.content_type.upper().partition("/")
    if part.parts:
        inner = b"".join(body_structure(one, is_extended=is_extended) for one in part.parts)
        extension = (_parameters(part, "content-type"), *_extension(part)) if is_extended else ()
        return b"(" + b" ".join([inner, string(sub), *extension]) + b")"
    return parenthesised(
        string(main),
        string(sub),
        _parameters(part, "content-type"),
        nstring(part.field("content-id")),
        nstring(part.field("content-description")),
        string((part.field("content-transfer-encoding") or "7BIT").upper()),
        b"%d" % len(part.body),
        *_by_type(part, main, is_extended=is_extended),
        *((nstring(part.field("content-md5")), *_extension(part)) if is_extended else ()),
    )


def _by_type(part: Part, main: str, *, is_extended: bool) -> tuple[bytes, ...]:
    lines = b"%d" % part.body.count(b"\n")
    if part.inner is not None:
        return envelope(part.inner), body_structure(part.inner, is_extended=is_extended), lines
    return (lines,) if main == "TEXT" else ()


def _extension(part: Part) -> tuple[bytes, ...]:
    """Disposition, language, location."""
    disposition = part.field("content-disposition")
    told = b"NIL"
    if disposition:
        kind = disposition.partition(";")[0].strip().upper()
        told = parenthesised(string(kind), _parameters(part, "content-disposition"))
    return told, nstring(part.field("content-language")), nstring(part.field("content-location"))


def _parameters(part: Part, field: str) -> bytes:
    pairs = part.parameters(field)
    if not pairs:
        return b"NIL"
    return parenthesised(*(string(text) for name, value in pairs.items() for text in (name.upper(), value)))
