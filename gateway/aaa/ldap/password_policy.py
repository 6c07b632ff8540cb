"""The password policy control: what a directory says of an account beside "invalid credentials".

Errors: none; an answer that cannot be read says nothing.
Source: draft-behera-ldap-password-policy-11 section 6.
"""

import re
from enum import IntEnum
from typing import Final

from ldap.controls import RequestControl
from ldap.controls import ResponseControl

OID: Final = "1.3.6.1.4.1.42.2.27.8.5.1"
REQUEST: Final = RequestControl(OID, criticality=False)

# PasswordPolicyResponseValue: a sequence of an optional warning [0], which is of no interest here, and an error [1].
_VALUE: Final = re.compile(rb"\x30[\x00-\x7f](?:\xa0[\x00-\x7f][\x80\x81][\x01-\x08].{1,8})?\x81\x01(.)", re.DOTALL)


class AccountError(IntEnum):
    """The errors of section 6.2 that a bind can bring."""

    PASSWORD_EXPIRED = 0
    ACCOUNT_LOCKED = 1
    CHANGE_AFTER_RESET = 2


class PolicyAnswer(ResponseControl):  # type: ignore[misc]  # python-ldap has no types
    """What python-ldap makes of the control in a successful answer; its own decoder fails on an error (3.4.8)."""

    error: AccountError | None = None

    def decodeControlValue(self, encodedControlValue: bytes | None) -> None:  # noqa: N802, N803  python-ldap's names
        """Called by python-ldap."""
        self.error = account_error(encodedControlValue)


def account_error(value: bytes | None) -> AccountError | None:
    """The error in the value of a response control."""
    match = _VALUE.fullmatch(value or b"")
    try:
        return AccountError(match[1][0]) if match else None
    except ValueError:
        return None
