"""A RADIUS server in the hub of the test, whose answers the test writes octet by octet.

It shares no code with what it tests: packets are built and taken apart by hand here, and by pyrad in the tests.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from typing import Self

import gevent
import gevent.socket
from pyrad.packet import AuthPacket

from gateway.aaa.base import ClientFacts
from gateway.aaa.radius.observer import Tally
from gateway.aaa.radius.server import RadiusServer
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.words import MessageAuthenticator
from gateway.config.secret import Secret

LOOPBACK = "127.0.0.1"
SECRET = b"a secret of the test"
FACTS = ClientFacts("imap4s", "outside", "192.0.2.1", None)
ACCEPT, REJECT, ACCOUNTED, CHALLENGE = 2, 3, 5, 11
USER_NAME, USER_PASSWORD, REPLY_MESSAGE, STATE, CLASS, VENDOR, PROXY_STATE, SIGNATURE = 1, 2, 18, 24, 25, 26, 33, 80


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!BB", kind, len(value) + 2) + value


def cisco(kind: int, value: bytes) -> bytes:
    return attribute(VENDOR, struct.pack("!L", 3076) + attribute(kind, value))


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    octets: bytes
    peer: tuple[str, int]

    @property
    def code(self) -> int:
        return self.octets[0]

    @property
    def identifier(self) -> int:
        return self.octets[1]

    @property
    def authenticator(self) -> bytes:
        return self.octets[4:20]

    @property
    def attributes(self) -> list[tuple[int, bytes]]:
        found, rest = [], self.octets[20:]
        while rest:
            found.append((rest[0], rest[2 : rest[1]]))
            rest = rest[rest[1] :]
        return found

    def values(self, kind: int) -> list[bytes]:
        return [value for found, value in self.attributes if found == kind]

    @property
    def user(self) -> str:
        return self.values(USER_NAME)[0].decode()

    @property
    def password(self) -> str:
        packet = AuthPacket(id=0, secret=SECRET, authenticator=self.authenticator)
        return str(packet.PwDecrypt(self.values(USER_PASSWORD)[0]))


def reply(
    asked: Asked,
    code: int = ACCEPT,
    attributes: bytes = b"",
    *,
    secret: bytes = SECRET,
    signature: bytes | None = None,
    is_signed: bool = True,
    authenticator: bytes | None = None,
    identifier: int | None = None,
) -> bytes:
    """A valid answer, but for what the test says. signature, authenticator: in the place of the right ones."""
    length = 20 + len(attributes) + 18 * is_signed
    header = struct.pack("!BBH", code, asked.identifier if identifier is None else identifier, length)
    if is_signed:
        unsigned = header + asked.authenticator + attribute(SIGNATURE, bytes(16)) + attributes
        right = hmac.new(secret, unsigned, "md5").digest()
        attributes = attribute(SIGNATURE, right if signature is None else signature) + attributes
    right = hashlib.md5(header + asked.authenticator + attributes + secret).digest()  # noqa: S324 it is RADIUS
    return header + (right if authenticator is None else authenticator) + attributes


Delayed = tuple[float, bytes]
Behaviour = Callable[[Asked], Iterable[bytes | Delayed]]


class FakeRadius:
    """Answers by `behaviour`: datagrams, or pairs of a delay and a datagram. `asked`: all that came."""

    def __init__(self, behaviour: Behaviour = lambda asked: [reply(asked)], *, host: str = LOOPBACK) -> None:
        self.behaviour = behaviour
        self.asked: list[Asked] = []
        self.host = host
        family = gevent.socket.AF_INET6 if ":" in host else gevent.socket.AF_INET
        self._socket: Any = gevent.socket.socket(family, gevent.socket.SOCK_DGRAM)
        self._socket.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((host, 0))
        self.port: int = self._socket.getsockname()[1]
        self._greenlets: set[gevent.Greenlet[..., None]] = set()

    def __enter__(self) -> Self:
        self._spawn(0.0, self._serve)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        gevent.killall(list(self._greenlets))
        self._socket.close()

    def send(self, datagram: bytes, peer: tuple[str, int]) -> None:
        self._socket.sendto(datagram, peer)

    def _serve(self) -> None:
        while True:
            octets, peer = self._socket.recvfrom(65536)
            asked = Asked(octets, peer)
            self.asked.append(asked)
            for item in self.behaviour(asked):
                if isinstance(item, bytes):
                    self.send(item, peer)
                else:
                    self._spawn(item[0], self.send, item[1], peer)

    def _spawn(self, delay_s: float, action: Callable[..., None], *arguments: object) -> None:
        greenlet = gevent.spawn_later(delay_s, action, *arguments)
        self._greenlets.add(greenlet)
        greenlet.link(self._greenlets.discard)


def silent(asked: Asked) -> Iterable[bytes]:
    return []


def radius_server(
    fake: FakeRadius,
    *,
    timeout_s: float = 2.0,
    retry_interval_s: float = 1.0,
    message_authenticator: MessageAuthenticator = MessageAuthenticator.REQUIRE,
    tally: Tally | None = None,
) -> RadiusServer:
    settings = AaaServerSettings(
        group="RAD",
        label="radius1",
        host=fake.host,
        authentication_port=fake.port,
        accounting_port=fake.port,
        key=Secret(SECRET.decode(), is_bare=True),
        timeout_s=timeout_s,
        retry_interval_s=retry_interval_s,
        message_authenticator=message_authenticator,
    )
    return RadiusServer(settings, "gateway.example.test", lambda host, deadline: (host,), tally or Tally())
