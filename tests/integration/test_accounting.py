"""What FreeRADIUS writes down of the gateway's sessions: every attribute, by the names of its own dictionary."""

import os
import signal
import time
from pathlib import Path

import gevent
import pytest

from gateway.accountant.inheritance import Inheritance
from gateway.accountant.main import run
from gateway.accounting.attributes import multi_session_id
from gateway.accounting.base import Authentic
from gateway.accounting.base import SessionFacts
from gateway.accounting.segments import group_directory
from gateway.accounting.segments import writer_name
from gateway.accounting.setup import make_spool
from gateway.accounting.worker import WorkerAccounting
from gateway.log import Log
from gateway.outcome import EndReason
from tests.support.accounting_config import configuration
from tests.support.availability import require
from tests.support.forks import fork_and_run
from tests.support.fresh import run_fresh
from tests.support.peers import FreeRadius
from tests.support.peers import StartPeer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

ALICE = SessionFacts("a11ce", "alice", "imap4s", "outside", "192.0.2.7", (b"OU=MAILUSERS;", b"\xff\0"))
BOB = SessionFacts("b0b", 'b"ö\r\nb', "imap4s", "outside", "2001:db8::7", authentic=Authentic.LOCAL)
GIB = 1 << 30


def account(path: str, port: str) -> None:
    """A gateway's life: it starts, serves two sessions, loses a worker with a third, ends."""
    config = configuration(Path(path), [int(port)])
    spool = make_spool(config)
    assert spool is not None
    node, log, (life_line, master) = writer_name("node"), Log(), os.pipe()
    worker = fork_and_run(_work, config)
    read_end, write_end = os.pipe()
    inheritance = Inheritance(config, spool, node, True, log, life_line)
    accountant = fork_and_run(run, inheritance, write_end)
    assert os.read(read_end, 1) == b"R"
    os.waitpid(worker, 0)
    wait_until(lambda: not list(group_directory(spool, "RAD").glob("*-worker-*")), 20.0, "the last acknowledgement")
    os.kill(accountant, signal.SIGTERM)
    assert os.waitpid(accountant, 0)[1] == 0
    os.close(master)


def _work(config: object) -> None:
    accounting = WorkerAccounting(config, 0, Log())  # type: ignore[arg-type]
    accounting.start()
    imap = accounting.of("imap4s")
    alice, bob = imap.begin(ALICE), imap.begin(BOB)
    imap.begin(SessionFacts("1057", "carol", "imap4s", "outside", "192.0.2.9"))
    gevent.sleep(1.1)
    alice.end(EndReason.IDLE_TIMEOUT, 5 * GIB + 1, 9)
    bob.end(EndReason.CLIENT_CLOSED, 1, 2)
    os.kill(os.getpid(), signal.SIGKILL)


def of(server: FreeRadius, session: str, status: str) -> dict[str, str]:
    """The one record of that kind."""
    records = server.accounting_records()
    (found,) = [one for one in records if (one["Acct-Session-Id"], one["Acct-Status-Type"]) == (session, status)]
    return found


@pytest.fixture(scope="module")
def told(peer_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> FreeRadius:
    """A server that has heard of that life."""
    require(FreeRadius.missing())
    server = FreeRadius().start(peer_directory / "accounting")
    try:
        run_fresh(account, tmp_path_factory.mktemp("state"), server.accounting_port)
    finally:
        server.stop()
    return server


def test_session_is_told_with_every_attribute(told: FreeRadius) -> None:
    expected = {
        "Acct-Session-Id": "a11ce",
        "Acct-Multi-Session-Id": multi_session_id(ALICE),
        "Acct-Authentic": "RADIUS",
        "User-Name": "alice",
        "Service-Type": "Login-User",
        "Calling-Station-Id": "192.0.2.7",
        "Called-Station-Id": "outside",
        "Framed-IP-Address": "192.0.2.7",
        "NAS-Identifier": "gateway.example.test",
        "NAS-IP-Address": "127.0.0.1",
        "NAS-Port-Type": "Virtual",
        "ASA-TunnelGroupName": "imap4s",
        "ASA-ClientType": "Clientless-SSL-VPN",
        "ASA-SessionType": "Clientless-Email-Proxy",
        "ASA-SessionSubtype": "Clientless",
        "Acct-Delay-Time": "0",
    }
    start, stop = of(told, "a11ce", "Start"), of(told, "a11ce", "Stop")
    assert expected.items() <= start.items()
    assert "Acct-Session-Time" not in start
    usage = {
        "Acct-Session-Time": "1",
        "Acct-Input-Octets": str(GIB + 1),
        "Acct-Input-Gigawords": "1",
        "Acct-Output-Octets": "9",
        "Acct-Output-Gigawords": "0",
        "Acct-Terminate-Cause": "Idle-Timeout",
    }
    assert {**expected, **usage}.items() <= stop.items()


def test_every_class_is_echoed(told: FreeRadius) -> None:
    text = (told.directory / "accounting.detail").read_text()
    assert text.count(f"Class = 0x{ALICE.classes[0].hex()}") == 2
    assert text.count("Class = 0xff00") == 2


def test_hostile_name_and_ipv6_address_arrive_as_they_are(told: FreeRadius) -> None:
    stop = of(told, "b0b", "Stop")
    assert stop["User-Name"] == r"b\"ö\r\nb"
    assert stop["Framed-IPv6-Address"] == "2001:db8::7"
    assert stop["Acct-Authentic"] == "Local"
    assert stop["Acct-Terminate-Cause"] == "User-Request"


def test_session_of_a_killed_worker_ends_with_nas_error(told: FreeRadius) -> None:
    assert of(told, "1057", "Start")["User-Name"] == "carol"
    assert of(told, "1057", "Stop")["Acct-Terminate-Cause"] == "NAS-Error"


def test_gateway_says_when_it_starts_and_when_it_ends(told: FreeRadius) -> None:
    statuses = [one["Acct-Status-Type"] for one in told.accounting_records()]
    assert statuses[0] == "Accounting-On"
    assert statuses[-1] == "Accounting-Off"
    assert sorted(statuses[1:-1]) == ["Start"] * 3 + ["Stop"] * 3


def test_event_time_is_that_of_the_event(told: FreeRadius) -> None:
    stop = of(told, "a11ce", "Stop")
    event = time.mktime(time.strptime(stop["Event-Timestamp"], "%b %d %Y %H:%M:%S %Z"))
    assert abs(time.time() - event) < 120


def test_server_that_returns_is_told_what_it_missed(start_peer: StartPeer, tmp_path: Path) -> None:
    server = start_peer(FreeRadius())
    server.stop()
    run_fresh(account_while_away, tmp_path, server.accounting_port)
    assert server.accounting_records() == []
    server.restart()
    run_fresh(tell_the_rest, tmp_path, server.accounting_port)
    assert of(server, "a11ce", "Stop")["Acct-Terminate-Cause"] == "NAS-Reboot"
    assert int(of(server, "a11ce", "Stop")["Acct-Delay-Time"]) >= 1


def account_while_away(path: str, port: str) -> None:
    config = configuration(Path(path), [int(port)])
    make_spool(config)
    accounting = WorkerAccounting(config, 0, Log())
    accounting.start()
    accounting.of("imap4s").begin(ALICE)
    os._exit(0)


def tell_the_rest(path: str, port: str) -> None:
    time.sleep(1.1)
    config = configuration(Path(path), [int(port)])
    spool = make_spool(config)
    assert spool is not None
    life_line, master = os.pipe()
    read_end, write_end = os.pipe()
    accountant = fork_and_run(run, Inheritance(config, spool, writer_name("node"), True, Log(), life_line), write_end)
    wait_until(lambda: not list(group_directory(spool, "RAD").glob("*-worker-*")), 20.0, "the last acknowledgement")
    os.kill(accountant, signal.SIGTERM)
    assert os.waitpid(accountant, 0)[1] == 0
    os.close(master)
    os.close(read_end)
