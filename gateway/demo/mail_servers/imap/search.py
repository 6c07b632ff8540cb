"""SEARCH: its keys become one predicate over (sequence number, message).

Errors: `Bad` for what is no key. Limits: MAX_NESTING of NOT, OR and parentheses.
Source: RFC 9051 section 6.4.4, RFC 3501 section 6.4.4 (NEW, OLD, RECENT).
"""

import operator
from collections.abc import Callable
from collections.abc import Mapping
from datetime import date
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.header import make_header
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.demo.mail_servers.imap.numbers import looks_like_set
from gateway.demo.mail_servers.imap.syntax import Bad
from gateway.demo.mail_servers.imap.syntax import No
from gateway.demo.mail_servers.imap.syntax import Value
from gateway.demo.mail_servers.imap.syntax import text_of
from gateway.demo.mail_servers.imap.view import SYSTEM_FLAGS
from gateway.demo.mail_servers.imap.view import View
from gateway.demo.mail_servers.mime import Part
from gateway.demo.mail_servers.mime import parse_part
from gateway.demo.mail_servers.store import Message

MAX_NESTING: Final = 20
_CHARSETS: Final = ("UTF-8", "US-ASCII")

Predicate = Callable[[int, Message], bool]
_Argument = Callable[[str], Predicate]


def parse_search(values: list[Value], view: View) -> Predicate:
    """The arguments of SEARCH, all of them."""
    if values and isinstance(values[0], str) and values[0].upper() == "CHARSET":
        if len(values) < 2 or text_of(values[1]).upper() not in _CHARSETS:
            raise No(f"[BADCHARSET ({' '.join(_CHARSETS)})] that charset is not known")
        values = values[2:]
    return _all_of(values, view, nesting=0)


def _all_of(values: list[Value], view: View, nesting: int) -> Predicate:
    if not values:
        raise Bad("there is nothing to search for")
    waiting = values[::-1]  # taken from its end
    keys: list[Predicate] = []
    while waiting:
        keys.append(_key(waiting, view, nesting))
    return lambda number, message: all(key(number, message) for key in keys)


def _key(waiting: list[Value], view: View, nesting: int) -> Predicate:
    """The next key, taken with its arguments from the end of `waiting`."""
    if nesting > MAX_NESTING:
        raise Bad("that is nested too deep")
    value = _take(waiting)
    if isinstance(value, list):
        return _all_of(value, view, nesting + 1)
    word = text_of(value).upper()
    if word in _PLAIN:
        return _PLAIN[word]
    if word in _WITH_ARGUMENT:
        return _WITH_ARGUMENT[word](text_of(_take(waiting)))
    match word:
        case "NOT":
            negated = _key(waiting, view, nesting + 1)
            return lambda number, message: not negated(number, message)
        case "OR":
            one, other = _key(waiting, view, nesting + 1), _key(waiting, view, nesting + 1)
            return lambda number, message: one(number, message) or other(number, message)
        case "HEADER":
            return _header(text_of(_take(waiting)).lower(), text_of(_take(waiting)))
        case "UID":
            return _numbers(text_of(_take(waiting)), view, by_uid=True)
        case _ if looks_like_set(word):
            return _numbers(word, view, by_uid=False)
    raise Bad("there is no such search key")


def _take(waiting: list[Value]) -> Value:
    if not waiting:
        raise Bad("a search key lacks its argument")
    return waiting.pop()


def _numbers(text: str, view: View, *, by_uid: bool) -> Predicate:
    uids = {message.uid for _, message in view.chosen(text, by_uid=by_uid)}
    return lambda _, message: message.uid in uids


def _has(flag: str) -> Predicate:
    flag = SYSTEM_FLAGS.get(flag.lower(), flag)
    return lambda _, message: flag in message.flags


def _lacks(flag: str) -> Predicate:
    return lambda _, message: flag not in message.flags


def _header(name: str, text: str) -> Predicate:
    """An empty text: the field is there, whatever it says."""
    needle = _folded(text)

    def matches(_: int, message: Message) -> bool:
        fields = parse_part(message.octets).fields
        return any(known == name and needle in decoded(value).casefold() for known, value in fields)

    return matches


def _body(text: str) -> Predicate:
    needle = _folded(text)
    return lambda _, message: needle in _text(parse_part(message.octets)).casefold()


def _anywhere(text: str) -> Predicate:
    needle, in_body = _folded(text), _body(text)

    def matches(number: int, message: Message) -> bool:
        fields = parse_part(message.octets).fields
        return in_body(number, message) or any(
            needle in f"{name}: {decoded(value)}".casefold() for name, value in fields
        )

    return matches


def _folded(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "replace").casefold()


def decoded(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) decoded."""
    text = value.encode("latin-1").decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):  # UnicodeError is a ValueError
        return text


def _text(part: Part) -> str:
    inside = (part.inner,) if part.inner is not None else part.parts
    if inside:
        return "\n".join(map(_text, inside))
    return part.text() if part.content_type.startswith("text/") else ""


def _by_date(of: Callable[[Message], date | None], compare: Callable[[date, date], bool]) -> _Argument:
    def make(text: str) -> Predicate:
        wanted = _date(text)

        def matches(_: int, message: Message) -> bool:
            moment = of(message)
            return moment is not None and compare(moment, wanted)

        return matches

    return make


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%d-%b-%Y").date()  # no zone: the day as it stands in the message
    except ValueError:
        raise Bad("that is no date such as 1-Feb-2026") from None


def _received(message: Message) -> date:
    return message.received_at.date()


def _sent(message: Message) -> date | None:
    try:
        return parsedate_to_datetime(parse_part(message.octets).field("date") or "").date()
    except ValueError:
        return None


def _by_size(compare: Callable[[int, int], bool]) -> _Argument:
    def make(text: str) -> Predicate:
        if not text.isdigit() or len(text) > 12:
            raise Bad("that is no number of octets")
        size = int(text)
        return lambda _, message: compare(len(message.octets), size)

    return make


def _in_header(name: str) -> _Argument:
    return lambda text: _header(name, text)


_PLAIN: Final[Mapping[str, Predicate]] = {
    "ALL": lambda _number, _message: True,
    "RECENT": lambda _number, _message: False,  # no session of this server ever has a recent message
    "NEW": lambda _number, _message: False,
    "OLD": lambda _number, _message: True,
    **{flag.upper().lstrip("\\"): _has(flag) for flag in SYSTEM_FLAGS.values()},
    **{"UN" + flag.upper().lstrip("\\"): _lacks(flag) for flag in SYSTEM_FLAGS.values()},
}
_WITH_ARGUMENT: Final[Mapping[str, _Argument]] = {
    **{name.upper(): _in_header(name) for name in ("from", "to", "cc", "bcc", "subject")},
    "BODY": _body,
    "TEXT": _anywhere,
    "KEYWORD": _has,
    "UNKEYWORD": _lacks,
    "LARGER": _by_size(operator.gt),
    "SMALLER": _by_size(operator.lt),
    "SINCE": _by_date(_received, operator.ge),
    "BEFORE": _by_date(_received, operator.lt),
    "ON": _by_date(_received, operator.eq),
    "SENTSINCE": _by_date(_sent, operator.ge),
    "SENTBEFORE": _by_date(_sent, operator.lt),
    "SENTON": _by_date(_sent, operator.eq),
}
