"""The password policy control."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aaa.ldap.password_policy import AccountError
from gateway.aaa.ldap.password_policy import account_error


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("3000", None),
        ("3003810100", AccountError.PASSWORD_EXPIRED),
        ("3003810101", AccountError.ACCOUNT_LOCKED),
        ("3003810102", AccountError.CHANGE_AFTER_RESET),
        ("3008a003800112810102", AccountError.CHANGE_AFTER_RESET),  # expires in 18 seconds
        ("3009a00480020e10810100", AccountError.PASSWORD_EXPIRED),
        ("3005a003810103", None),  # three logins are left
        ("3003810106", None),  # an error of a change of passwords
        ("3003810100ff", None),
        ("30", None),
        ("", None),
    ],
)
def test_value_says_what_is_wrong_with_the_account(value: str, error: AccountError | None) -> None:
    assert account_error(bytes.fromhex(value)) is error


def test_control_without_a_value_says_nothing() -> None:
    assert account_error(None) is None


@given(st.binary(max_size=20))
def test_any_value_can_be_asked(value: bytes) -> None:
    assert account_error(value) in (None, *AccountError)
