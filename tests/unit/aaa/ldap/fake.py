"""A directory server in the hub of the test, whose answers the test writes octet by octet.

It shares no code with what it tests: messages are built and taken apart by hand (BER, RFC 4511).
"""

import contextlib
import time
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from typing import Self

import gevent
import gevent.socket
from gevent.event import Event

from gateway.aaa.base import ClientFacts
from gateway.aaa.ldap.server import LdapServer
from gateway.config.attributes import MapName
from gateway.config.attributes import MapValue
from gateway.config.model.aaa import AaaServerSettings
from gateway.config.model.aaa import AttributeMap
from gateway.config.model.words import LdapScope
from gateway.config.model.words import LdapTls
from gateway.config.secret import Secret
from gateway.transport.base import UpstreamConnection
from gateway.transport.upstream import GeventConnector

LOOPBACK = "127.0.0.1"
FACTS = ClientFacts("imap4s", "outside", "192.0.2.1", None)
BASE = "dc=example,dc=test"
ALICE = f"uid=alice,{BASE}"
LOGIN_DN = f"cn=gateway,{BASE}"
LOGIN_PASSWORD = "search secret"
PASSWORD = b"secret"
BIND, UNBIND, SEARCH, ABANDON, EXTENDED = 0x60, 0x42, 0x63, 0x50, 0x77
BOUND, ENTRY, REFERENCE, DONE, EXTENDED_ANSWER = 0x61, 0x64, 0x73, 0x65, 0x78
SUCCESS, SIZE_LIMIT, INVALID = 0, 4, 49


def element(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def elements(octets: bytes) -> list[tuple[int, bytes]]:
    found = []
    while octets:
        size, begin = octets[1], 2
        if size & 0x80:
            begin = 2 + (size & 0x7F)
            size = int.from_bytes(octets[2:begin], "big")
        found.append((octets[0], octets[begin : begin + size]))
        octets = octets[begin + size :]
    return found


def whole(octets: bytes) -> int:
    """How long the first message is; 0: not yet all there."""
    if len(octets) < 6:
        return 0
    size, begin = octets[1], 2
    if size & 0x80:
        begin = 2 + (size & 0x7F)
        size = int.from_bytes(octets[2:begin], "big")
    return begin + size if begin + size <= len(octets) else 0


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. connection: a number, from 1."""

    connection: int
    message_id: int
    tag: int
    content: bytes

    @property
    def fields(self) -> list[bytes]:
        return [content for _, content in elements(self.content)]

    @property
    def name(self) -> str:
        """Of a bind."""
        return self.fields[1].decode()

    @property
    def password(self) -> bytes:
        return self.fields[2]

    @property
    def assertion(self) -> tuple[bytes, bytes]:
        """The attribute and the value of a search for equality; any other filter is an error."""
        tag, content = elements(self.content)[6]
        assert tag == 0xA3, "not an equality match"
        (_, attribute), (_, value) = elements(content)
        return attribute, value


def message(asked: Asked | int, operation: bytes, controls: bytes = b"") -> bytes:
    message_id = asked if isinstance(asked, int) else asked.message_id
    return element(0x30, element(0x02, message_id.to_bytes(4, "big")) + operation + controls)


def result(tag: int, code: int = SUCCESS, said: bytes = b"", more: bytes = b"") -> bytes:
    return element(tag, element(0x0A, bytes([code])) + element(0x04, b"") + element(0x04, said) + more)


def entry(dn: str, attributes: dict[str, list[bytes]] | None = None) -> bytes:
    listed = b"".join(
        element(0x30, element(0x04, name.encode()) + element(0x31, b"".join(element(0x04, one) for one in values)))
        for name, values in (attributes or {}).items()
    )
    return element(ENTRY, element(0x04, dn.encode()) + element(0x30, listed))


def found(asked: Asked, *entries: bytes, code: int = SUCCESS) -> list[bytes]:
    return [*(message(asked, one) for one in entries), message(asked, result(DONE, code))]


def policy(value: bytes) -> bytes:
    """The response control of a password policy."""
    return element(0xA0, element(0x30, element(0x04, b"1.3.6.1.4.1.42.2.27.8.5.1") + element(0x04, value)))


Behaviour = Callable[[Asked], Iterable[bytes]]


def usual(asked: Asked) -> Iterable[bytes]:
    """alice has the password `secret`, and nobody else is there."""
    if asked.tag == BIND:
        right = {ALICE: PASSWORD, LOGIN_DN: LOGIN_PASSWORD.encode(), "": b""}
        code = SUCCESS if right.get(asked.name) == asked.password else INVALID
        return [message(asked, result(BOUND, code))]
    if asked.tag == SEARCH:
        is_alice = asked.assertion[1].lower() == b"alice"
        return found(asked, *([entry(ALICE, {"uid": [b"alice"]})] if is_alice else []))
    return []


def silent(asked: Asked) -> Iterable[bytes]:
    return []


class FakeDirectory:
    """Answers by `behaviour`: octets to send. asked: all that came. connections: how many were ever made.

    held, listens: set normally; a test clears them to make every answer wait, and to leave requests unread.
    """

    def __init__(self, behaviour: Behaviour = usual) -> None:
        self.behaviour = behaviour
        self.asked: list[Asked] = []
        self.connections = 0
        self.open_connections = 0
        self.held = Event()
        self.listens = Event()
        self.held.set()
        self.listens.set()
        self._listener: Any = gevent.socket.socket()
        self._listener.bind((LOOPBACK, 0))
        self._listener.listen(1024)
        self.port: int = self._listener.getsockname()[1]
        self._ends: set[Any] = set()
        self._greenlets: set[Any] = {gevent.spawn(self._accept)}

    def searches(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.tag == SEARCH]

    def binds(self) -> list[tuple[str, bytes]]:
        return [(asked.name, asked.password) for asked in self.asked if asked.tag == BIND]

    def hang_up(self) -> None:
        """Close every connection, as a server that restarts or has no patience with idle ones."""
        for end in tuple(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(gevent.socket.SHUT_RDWR)

    def close(self) -> None:
        gevent.killall(list(self._greenlets))
        self._listener.close()
        for end in self._ends:
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            end, _ = self._listener.accept()
            end.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
            self.connections += 1
            self._greenlets.add(gevent.spawn(self._serve, end, self.connections))

    def _serve(self, end: Any, number: int) -> None:
        self._ends.add(end)
        self.open_connections += 1
        try:
            self._talk(end, number)
        except OSError:
            pass
        finally:
            self.open_connections -= 1
            self._ends.discard(end)
            end.close()

    def _talk(self, end: Any, number: int) -> None:
        unread = b""
        while self.listens.wait() and (octets := end.recv(65536)):
            unread += octets
            while length := whole(unread):
                self._greenlets.add(gevent.spawn(self._answer, end, number, unread[:length]))
                unread = unread[length:]

    def _answer(self, end: Any, number: int, octets: bytes) -> None:
        ((_, sequence),) = elements(octets)
        (_, message_id), (tag, content), *_ = elements(sequence)
        asked = Asked(number, int.from_bytes(message_id, "big"), tag, content)
        self.asked.append(asked)
        self.held.wait()
        with contextlib.suppress(OSError):
            for answer in self.behaviour(asked):
                end.sendall(answer)
            if tag == UNBIND:
                end.shutdown(gevent.socket.SHUT_RDWR)


def outcome(action: Callable[..., object], *arguments: object) -> object:
    """What it returns, or raises; for greenlets that may fail."""
    try:
        return action(*arguments)
    except Exception as error:  # noqa: BLE001  whatever it is, the test looks at it
        return error


def dial(host: str, port: int, deadline: float) -> UpstreamConnection:
    return GeventConnector().connect((host, port), deadline)


def attribute_map(names: Iterable[str] = (), values: Iterable[tuple[str, str, str]] = ()) -> AttributeMap:
    """names: `LDAP-ATTRIBUTE ATTRIBUTE`."""
    return AttributeMap(
        name="MAP",
        map_name=tuple(MapName(*line.split()) for line in names),
        map_value=tuple(MapValue(*line) for line in values),
    )


def settings_for(port: int, **different: Any) -> AaaServerSettings:
    usual_settings: dict[str, Any] = {
        "group": "AD",
        "label": "dc1",
        "host": LOOPBACK,
        "server_port": port,
        "timeout_s": 2.0,
        "ldap_over_ssl": LdapTls.DISABLE,
        "ldap_base_dn": BASE,
        "ldap_scope": LdapScope.SUBTREE,
        "ldap_naming_attribute": "uid",
        "ldap_login_dn": LOGIN_DN,
        "ldap_login_password": Secret(LOGIN_PASSWORD, is_bare=True),
    }
    return AaaServerSettings(**{**usual_settings, **different})


def ldap_server(directory: FakeDirectory, mapped: AttributeMap | None = None, **different: Any) -> LdapServer:
    return LdapServer(settings_for(directory.port, **different), mapped, None, dial)


def in_time(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds
