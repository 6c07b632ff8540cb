"""Lines that no mail program sends. They end the session in silence: an answer could be used across protocols.

A web browser can be made to send an HTTP request to a mail port whose certificate it trusts; what the mail server
says to it, error text above all, is then read as the web site's (ALPACA, CVE-2021-3618).
Source: RFC 9110 section 9 and RFC 5789 for the methods; NUL is forbidden by RFC 9051 section 9 (CHAR8) and
RFC 5321 section 4.5.2.
"""

from typing import Final

_HTTP_REQUESTS: Final = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
)


def is_hostile(line: bytes, *, first: bool) -> bool:
    """Whether to close without a word. first: it is the first line of the session, where HTTP has its request."""
    return b"\0" in line or (first and line.startswith(_HTTP_REQUESTS))
