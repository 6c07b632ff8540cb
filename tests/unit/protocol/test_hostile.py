"""What ends a session in silence."""

import pytest

from gateway.protocol.hostile import is_hostile


@pytest.mark.parametrize(
    "method", [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"PATCH", b"DELETE", b"TRACE"]
)
def test_http_request_is_hostile_as_first_line_only(method: bytes) -> None:
    request = method + b" / HTTP/1.1"
    assert is_hostile(request, first=True)
    assert not is_hostile(request, first=False)


@pytest.mark.parametrize("first", [True, False])
def test_nul_is_hostile_anywhere(first: bool) -> None:
    assert is_hostile(b"\0", first=first)
    assert is_hostile(b"USER a\0", first=first)


@pytest.mark.parametrize(
    "line", [b"", b"GETTING NOOP", b"a1 LOGIN GET /", b"USER GET ", b"DELE 1", b"get NOOP", b"GET"]
)
def test_mail_command_is_not_hostile(line: bytes) -> None:
    assert not is_hostile(line, first=True)
