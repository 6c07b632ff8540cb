"""SASL LOGIN: user name and password, each asked for. Obsolete, and the only one some Outlooks know.

The user name may come with the command: clients do so, though the draft has no initial response. As a client we wait
for both prompts, because mail servers differ in that.
Source: draft-murchison-sasl-login-00. The prompts are the ones that clients compare with.
"""

from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.sasl.mechanism import Challenge
from gateway.protocol.sasl.mechanism import Mechanism
from gateway.protocol.sasl.mechanism import ServerExchange


def _server() -> ServerExchange:
    user = yield Challenge(b"Username:")
    password = yield Challenge(b"Password:", user_named=True)
    return LoginAttempt("LOGIN", user, password)


def _responses(login: MailLogin) -> tuple[bytes, ...]:
    return login.user, login.password or b""


LOGIN = Mechanism("LOGIN", client_first=False, server=_server, responses=_responses)
