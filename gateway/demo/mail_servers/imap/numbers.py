"""Sequence sets: `1,3:5,7:*`, of sequence numbers or of UIDs.

Errors: `Bad`. Limits: what is asked for is compared with what there is, so that 1:4294967295 costs nothing.
Source: RFC 9051 section 9, sequence-set.
"""

import re
from collections.abc import Sequence
from typing import Final

from gateway.demo.mail_servers.imap.syntax import Bad

_SET: Final = re.compile(r"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*")


def looks_like_set(text: str) -> bool:
    return _SET.fullmatch(text) is not None


def chosen(text: str, present: Sequence[int]) -> set[int]:
    """Those of `present`, in ascending order, that the set names. `*` is the last of them."""
    if not looks_like_set(text):
        raise Bad("that is no sequence set")
    last = present[-1] if present else 0
    spans = [_span(part, last) for part in text.split(",")]
    return {number for number in present if any(low <= number <= high for low, high in spans)}


def _span(text: str, last: int) -> tuple[int, int]:
    first, _, second = text.partition(":")
    ends = [last if end == "*" else int(end) for end in (first, second or first)]
    return min(ends), max(ends)


def compact(numbers: Sequence[int]) -> str:
    """Ascending numbers as a sequence set: 1,2,3,7 is `1:3,7`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in spans)
