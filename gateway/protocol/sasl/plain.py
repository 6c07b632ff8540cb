"""SASL PLAIN: authorization id, user name and password in one message, divided by NUL.

Errors: a message that has not exactly two NUL is malformed. Empty fields are kept: the split refuses them.
Source: RFC 4616 section 2.
"""

from gateway.errors import ProtocolError
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.sasl.mechanism import Challenge
from gateway.protocol.sasl.mechanism import Mechanism
from gateway.protocol.sasl.mechanism import ServerExchange


def _server() -> ServerExchange:
    fields = (yield Challenge(b"")).split(b"\0")
    if len(fields) != 3:
        raise ProtocolError(f"a PLAIN message of {len(fields)} fields")
    authzid, authcid, password = fields
    return LoginAttempt("PLAIN", authcid, password, authzid)


def _responses(login: MailLogin) -> tuple[bytes, ...]:
    return (b"\0".join((b"", login.user, login.password or b"")),)


PLAIN = Mechanism("PLAIN", client_first=True, server=_server, responses=_responses)
