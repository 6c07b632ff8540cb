"""One connection: operations that wait in the hub, and what a server can say wrongly."""

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

import gevent
import ldap
import pytest

from gateway.aaa.base import ServerFailed
from gateway.aaa.ldap.answers import Answer
from gateway.aaa.ldap.answers import Entry
from gateway.aaa.ldap.connection import ANSWER_OCTETS
from gateway.aaa.ldap.connection import ConnectionLost
from gateway.aaa.ldap.connection import LdapConnection
from gateway.aaa.ldap.connection import Search
from gateway.aaa.ldap.password_policy import AccountError
from gateway.errors import SessionEnded
from gateway.outcome import EndReason
from gateway.transport.stream import Stream
from tests.unit.aaa.ldap.fake import ABANDON
from tests.unit.aaa.ldap.fake import ALICE
from tests.unit.aaa.ldap.fake import BASE
from tests.unit.aaa.ldap.fake import BOUND
from tests.unit.aaa.ldap.fake import DONE
from tests.unit.aaa.ldap.fake import ENTRY
from tests.unit.aaa.ldap.fake import EXTENDED_ANSWER
from tests.unit.aaa.ldap.fake import INVALID
from tests.unit.aaa.ldap.fake import LOOPBACK
from tests.unit.aaa.ldap.fake import PASSWORD
from tests.unit.aaa.ldap.fake import REFERENCE
from tests.unit.aaa.ldap.fake import SEARCH
from tests.unit.aaa.ldap.fake import UNBIND
from tests.unit.aaa.ldap.fake import Asked
from tests.unit.aaa.ldap.fake import FakeDirectory
from tests.unit.aaa.ldap.fake import dial
from tests.unit.aaa.ldap.fake import element
from tests.unit.aaa.ldap.fake import entry
from tests.unit.aaa.ldap.fake import found
from tests.unit.aaa.ldap.fake import in_time
from tests.unit.aaa.ldap.fake import message
from tests.unit.aaa.ldap.fake import outcome
from tests.unit.aaa.ldap.fake import policy
from tests.unit.aaa.ldap.fake import result
from tests.unit.aaa.ldap.fake import silent

pytestmark = pytest.mark.usefixtures("open_descriptors")


@pytest.fixture
def closed() -> list[LdapConnection]:
    return []


@pytest.fixture
def connection(directory: FakeDirectory, closed: list[LdapConnection]) -> Iterator[LdapConnection]:
    made = connected(directory, closed)
    yield made
    made.close()


def connected(directory: FakeDirectory, closed: list[LdapConnection]) -> LdapConnection:
    stream = dial(LOOPBACK, directory.port, in_time())
    assert isinstance(stream, Stream)
    return LdapConnection(stream.release()[0], closed.append)


def search_for(name: str = "alice") -> Search:
    return Search(BASE, ldap.SCOPE_SUBTREE, f"(uid={name})", ("uid", "memberOf"), 2)


def always(*answers: bytes) -> Callable[[Asked], Iterable[bytes]]:
    return lambda asked: answers


def test_bind_tells_right_from_wrong_and_can_be_repeated(connection: LdapConnection) -> None:
    assert connection.bind(ALICE, PASSWORD, in_time()).code == 0
    assert connection.bind(ALICE, b"wrong", in_time()).code == INVALID
    assert connection.bind(ALICE, PASSWORD, in_time()) == Answer(0)
    assert connection.is_open


@pytest.mark.parametrize("password", [b"\xff\xfe", "grüße".encode(), b"p\0q", b"x" * 4096])
def test_bind_carries_any_password(directory: FakeDirectory, connection: LdapConnection, password: bytes) -> None:
    assert connection.bind(ALICE, password, in_time()).code == INVALID
    assert directory.binds() == [(ALICE, password)]


def test_search_gives_entries_without_references(directory: FakeDirectory, connection: LdapConnection) -> None:
    referral = element(REFERENCE, element(0x04, b"ldap://127.0.0.1:1/dc=loop"))
    directory.behaviour = lambda asked: found(asked, referral, entry(ALICE, {"UID": [b"alice", b"\xff"]}), referral)
    answer = connection.search(search_for(), in_time())
    assert answer == Answer(0, entries=(Entry(ALICE, {"uid": (b"alice", b"\xff")}),))


def test_search_asks_for_what_it_was_told(directory: FakeDirectory, connection: LdapConnection) -> None:
    connection.search(search_for(), in_time(4.0))
    base, scope, _, size_limit, time_limit, types_only, _, attributes = directory.searches()[0].fields
    assert (base, scope, size_limit, time_limit, types_only) == (BASE.encode(), b"\2", b"\2", b"\4", b"\0")
    assert attributes == element(0x04, b"uid") + element(0x04, b"memberOf")


def test_search_result_that_is_an_error_is_an_answer(directory: FakeDirectory, connection: LdapConnection) -> None:
    directory.behaviour = lambda asked: [message(asked, result(DONE, 32, b"no such base"))]
    answer = connection.search(search_for(), in_time())
    assert (answer.code, answer.words, answer.said) == (32, "No such object", "no such base")
    assert connection.is_open


def test_referral_is_an_answer_and_nobody_follows_it(directory: FakeDirectory, connection: LdapConnection) -> None:
    with FakeDirectory() as elsewhere:
        url = f"ldap://{LOOPBACK}:{elsewhere.port}/{BASE}".encode()
        referral = element(0xA3, element(0x04, url))
        directory.behaviour = lambda asked: [message(asked, result(asked.tag + 2, 10, more=referral))]
        assert connection.search(search_for(), in_time()).code == 10
        directory.behaviour = lambda asked: [message(asked, result(BOUND, 10, more=referral))]
        assert connection.bind(ALICE, PASSWORD, in_time()).code == 10
        gevent.sleep(0.02)
        assert elsewhere.connections == 0


def test_password_policy_is_heard_with_success_and_with_failure(
    directory: FakeDirectory, connection: LdapConnection
) -> None:
    directory.behaviour = lambda asked: [
        message(asked, result(BOUND, 0 if asked.password == PASSWORD else INVALID), policy(b"\x30\x03\x81\x01\x02"))
    ]
    assert connection.bind(ALICE, PASSWORD, in_time()) == Answer(0, account_error=AccountError.CHANGE_AFTER_RESET)
    assert connection.bind(ALICE, b"wrong", in_time()).account_error is AccountError.CHANGE_AFTER_RESET


def test_answers_in_any_order_reach_who_asked(directory: FakeDirectory, connection: LdapConnection) -> None:
    waiting: list[Asked] = []

    def answer_all_backwards(asked: Asked) -> Iterable[bytes]:
        waiting.append(asked)
        if len(waiting) < 300:
            return []
        answers = [found(one, entry(f"uid={one.assertion[1].decode()},{BASE}")) for one in reversed(waiting)]
        return [b"".join(octets for answer in answers for octets in answer)]

    directory.behaviour = answer_all_backwards
    askers = {n: gevent.spawn(connection.search, search_for(f"user{n}"), in_time()) for n in range(300)}
    gevent.joinall(list(askers.values()))
    assert {n: asker.get().entries[0].dn for n, asker in askers.items()} == {n: f"uid=user{n},{BASE}" for n in askers}


def test_answer_octet_by_octet(directory: FakeDirectory, connection: LdapConnection) -> None:
    def trickle(asked: Asked) -> Iterable[bytes]:
        for octet in b"".join(found(asked, entry(ALICE, {"uid": [b"alice"]}))):
            yield bytes([octet])
            gevent.sleep(0)

    directory.behaviour = trickle
    assert connection.search(search_for(), in_time()).entries[0].dn == ALICE


def test_answer_that_stops_in_the_middle_keeps_nobody_else_waiting(
    directory: FakeDirectory, connection: LdapConnection
) -> None:
    """Reading on would block the hub for good: libldap's descriptor is not blocking, and stays so."""
    directory.behaviour = lambda asked: [b"".join(found(asked, entry(ALICE)))[:-1]]
    ticks, started_at = 0, time.monotonic()
    asker = gevent.spawn(outcome, connection.search, search_for(), in_time(0.2))
    while not asker.ready():
        gevent.sleep(0.01)
        ticks += 1
    assert isinstance(asker.get(), ServerFailed)
    assert ticks > 10
    assert time.monotonic() - started_at < 0.5


def test_silent_server_fails_at_the_deadline(directory: FakeDirectory, connection: LdapConnection) -> None:
    directory.behaviour = silent
    started_at = time.monotonic()
    with pytest.raises(ServerFailed, match="no answer in time"):
        connection.search(search_for(), started_at + 0.05)
    assert 0.04 < time.monotonic() - started_at < 0.2
    assert connection.is_open
    with pytest.raises(ServerFailed):
        connection.bind(ALICE, PASSWORD, time.monotonic() + 0.05)
    assert not connection.is_open  # a bind cannot be abandoned: the next one would not be its own


def test_search_when_its_session_ends_then_abandoned_and_the_others_go_on(
    directory: FakeDirectory, connection: LdapConnection
) -> None:
    directory.held.clear()
    leaver = gevent.spawn(outcome, connection.search, search_for("leaver"), in_time())
    stayer = gevent.spawn(connection.search, search_for(), in_time())
    gevent.sleep(0.02)
    leaver.kill(SessionEnded(EndReason.CLIENT_CLOSED))
    gevent.sleep(0.02)
    assert directory.asked[-1].tag == ABANDON
    assert connection.outstanding == 1
    directory.held.set()
    assert stayer.get().entries[0].dn == ALICE
    assert connection.search(search_for(), in_time()).entries[0].dn == ALICE


def test_bind_when_its_session_ends_then_closed(
    directory: FakeDirectory, connection: LdapConnection, closed: list[LdapConnection]
) -> None:
    directory.held.clear()
    leaver = gevent.spawn(outcome, connection.bind, ALICE, PASSWORD, in_time())
    gevent.sleep(0.02)
    leaver.kill(SessionEnded(EndReason.CLIENT_CLOSED))
    assert closed == [connection]
    gevent.sleep(0.02)
    assert directory.asked[-1].tag == UNBIND
    assert directory.open_connections == 0


def test_server_closes_then_all_who_wait_hear_of_it(
    directory: FakeDirectory, connection: LdapConnection, closed: list[LdapConnection]
) -> None:
    directory.behaviour = silent
    askers = [gevent.spawn(outcome, connection.search, search_for(), in_time()) for _ in range(3)]
    gevent.sleep(0.02)
    directory.hang_up()
    gevent.joinall(askers)
    assert {type(asker.get()) for asker in askers} == {ConnectionLost}
    assert closed == [connection]
    with pytest.raises(ConnectionLost):
        connection.search(search_for(), in_time())


def test_close_tells_who_waits_and_says_unbind(directory: FakeDirectory, connection: LdapConnection) -> None:
    directory.behaviour = silent
    asker = gevent.spawn(outcome, connection.search, search_for(), in_time())
    gevent.sleep(0.02)
    connection.close()
    connection.close()
    assert isinstance(asker.get(), ConnectionLost)
    gevent.sleep(0.02)
    assert directory.asked[-1].tag == UNBIND


@pytest.mark.parametrize("tag", [DONE, EXTENDED_ANSWER, 0x67, 0x6B, 0x7E])
def test_bind_does_not_succeed_by_the_success_of_something_else(
    directory: FakeDirectory, connection: LdapConnection, tag: int
) -> None:
    directory.behaviour = lambda asked: [message(asked, result(tag))]
    with pytest.raises(ServerFailed, match="of another kind"):
        connection.bind(ALICE, PASSWORD, in_time())
    assert not connection.is_open


def test_search_does_not_succeed_by_a_bind_s_success(directory: FakeDirectory, connection: LdapConnection) -> None:
    directory.behaviour = lambda asked: [message(asked, result(BOUND))]
    with pytest.raises(ServerFailed, match="of another kind"):
        connection.search(search_for(), in_time())


@pytest.mark.parametrize("number", [0, 1, 3, 77, 2**31 - 1])
def test_answer_with_another_s_number_is_nobody_s(
    directory: FakeDirectory, connection: LdapConnection, number: int
) -> None:
    connection.bind(ALICE, PASSWORD, in_time())  # number 1
    directory.behaviour = lambda asked: [message(number, result(BOUND))]
    with pytest.raises(ServerFailed):
        connection.bind(ALICE, PASSWORD, in_time(0.05))


HOSTILE = {
    "http": always(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" + b"x" * 200),
    "empty sequence": always(b"\x30\x00"),
    "indefinite length": always(b"\x30\x80\x02\x01\x01\x61\x00\x00\x00"),
    "four gigabytes announced": always(b"\x30\x84\xff\xff\xff\xff" + bytes(100)),
    "two gigabytes announced": always(b"\x30\x84\x7f\xff\xff\xff" + bytes(100)),
    "length of nine octets": always(b"\x30\x89" + b"\xff" * 9 + bytes(100)),
    "number of nine octets": always(element(0x30, element(0x02, b"\1" * 9) + result(DONE))),
    "negative number": always(element(0x30, element(0x02, b"\xff") + result(DONE))),
    "message without an operation": always(element(0x30, element(0x02, b"\1"))),
    "operation without content": lambda asked: [message(asked, element(DONE, b""))],
    "entry without content": lambda asked: found(asked, element(ENTRY, b"")),
    "entry that ends in its name": lambda asked: found(asked, element(ENTRY, b"\x04\x20uid")),
    "name that is not UTF-8": lambda asked: found(asked, element(ENTRY, element(0x04, b"uid=\xff") + b"\x30\x00")),
    "name with a NUL": lambda asked: found(asked, element(ENTRY, element(0x04, b"uid=a\0b") + b"\x30\x00")),
    "reference that is not UTF-8": lambda asked: found(asked, element(REFERENCE, element(0x04, b"\xff"))),
    "a request instead of an answer": lambda asked: [message(asked, element(SEARCH, b""))],
    "an intermediate answer": lambda asked: [message(asked, element(0x79, b""))],
    "a negative result": lambda asked: [message(asked, result(DONE, 0xFF))],
    "disconnection": always(message(0, result(EXTENDED_ANSWER, 52, b"bye", element(0x8A, b"1.3.6.1.4.1.1466.20036")))),
    "more than was asked for": lambda asked: found(asked, entry(ALICE, {"x": [bytes(1000)] * 1000})),
    "entries without an end": lambda asked: (message(asked, entry(ALICE)) for _ in range(100_000)),
    "critical control that nobody knows": lambda asked: [
        message(asked, result(DONE, 1), element(0xA0, element(0x30, element(0x04, b"1.2.3") + b"\x01\x01\xff")))
    ],
}


@pytest.mark.parametrize("behaviour", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_server_says_is_no_entry_and_no_exception_of_another_kind(
    directory: FakeDirectory, connection: LdapConnection, behaviour: Callable[[Asked], Iterable[bytes]]
) -> None:
    directory.behaviour = behaviour
    try:
        answer = connection.search(search_for(), in_time(0.1))
    except ServerFailed:
        return
    assert answer.entries == ()
    assert answer.code != 0


@pytest.mark.parametrize("behaviour", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_server_says_is_no_bind(
    directory: FakeDirectory, connection: LdapConnection, behaviour: Callable[[Asked], Iterable[bytes]]
) -> None:
    directory.behaviour = behaviour
    try:
        answer = connection.bind(ALICE, PASSWORD, in_time(0.1))
    except ServerFailed:
        return
    assert answer.code != 0


def test_memory_for_an_answer_is_bounded(directory: FakeDirectory, connection: LdapConnection) -> None:
    sent = 0

    def endless(asked: Asked) -> Iterable[bytes]:
        nonlocal sent
        while True:
            octets = message(asked, entry(ALICE, {"x": [bytes(1000)]}))
            sent += len(octets)
            yield octets

    directory.behaviour = endless
    with pytest.raises(ServerFailed, match="more than it was asked for"):
        connection.search(search_for(), in_time())
    assert sent < 2 * ANSWER_OCTETS + 16 * 1024 * 1024  # what was allowed, and the buffers of the kernel


def test_server_that_stops_reading_then_requests_fail_and_the_hub_goes_on(
    directory: FakeDirectory, connection: LdapConnection
) -> None:
    directory.behaviour = silent
    directory.listens.clear()
    search = search_for("x" * 4000)
    askers = [gevent.spawn(outcome, connection.search, search, in_time(0.3)) for _ in range(3000)]
    gevent.joinall(askers)
    assert {type(asker.get()) for asker in askers} == {ServerFailed}
    assert "libldap: Server is busy" in {str(asker.get()) for asker in askers}
    assert connection.outstanding == 0
