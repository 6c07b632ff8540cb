"""Finding a password in a log, in whatever clothes it got there.

A secret may be logged as it is, escaped, percent-encoded, in hexadecimal or, as SASL sends it, in base64, where the
same octets look different at each of three offsets.
"""

import base64
from urllib.parse import quote

# A base64 digit stands for 6 bits: the first and the last group of a secret also depend on its neighbours.
GROUP_OCTETS = 3
SHORTEST = 6


def disguises(secret: str) -> set[str]:
    """Every form of `secret` that may not occur in a log. ValueError when it is too short not to occur by chance."""
    if len(secret) < SHORTEST:
        raise ValueError(f"a canary has at least {SHORTEST} characters")
    octets = secret.encode()
    plain = {secret, quote(secret, safe=""), repr(secret)[1:-1], octets.hex(), secret.replace("\\", "\\\\")}
    return plain | {_base64_core(octets, offset) for offset in range(GROUP_OCTETS)}


def found_in(text: str, secrets: set[str]) -> list[str]:
    """The forms of `secrets` that `text` has."""
    return sorted(form for secret in secrets for form in disguises(secret) if form in text)


def _base64_core(octets: bytes, offset: int) -> str:
    """The digits that are the same whatever stands before, `offset` octets past a group, and behind."""
    skipped = -offset % GROUP_OCTETS
    whole = (len(octets) - skipped) // GROUP_OCTETS * GROUP_OCTETS
    return base64.b64encode(octets[skipped : skipped + whole]).decode()
