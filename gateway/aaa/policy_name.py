"""The name of a group policy in what an AAA server says: `NAME`, `OU=NAME` or `OU=NAME;`. Case counts.

Source: the ASA's reading of the RADIUS attribute Class (25), which its LDAP attribute maps share.
"""

import re
from typing import Final

_ORGANISATIONAL_UNIT: Final = re.compile(r"OU=([^;]+);?")


def policy_name(text: str) -> str:
    """The name; a text of another form is one itself."""
    match = _ORGANISATIONAL_UNIT.fullmatch(text)
    return match[1] if match else text
