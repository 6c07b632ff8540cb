"""Fork, signals and sockets for real: what a worker's death, and the gateway's end, do to sessions."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fakes import FakeUpstream
from tests.support.fakes import echo
from tests.support.fakes import expect_line
from tests.support.fakes import say
from tests.support.gateway import RunningGateway
from tests.support.gateway import StartGateway
from tests.support.gateway import mail_server
from tests.support.ports import LOOPBACK
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.tls import CertificateAuthority
from tests.support.waiting import wait_until
from tests.support.wire import Wire
from tests.support.wire import connect_tls

POP3_LOGIN = (say(b"+OK\r\n"), expect_line(rb"USER alice"), say(b"+OK\r\n"), expect_line(rb"PASS secret"))
ECHO_BEHIND_LOGIN = (*POP3_LOGIN, say(b"+OK\r\n"), echo())


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(*ECHO_BEHIND_LOGIN) as fake:
        yield fake


def pop3(running: RunningGateway, ca: CertificateAuthority) -> Wire:
    client = connect_tls(running.ports["pop3s"], ca.client_context())
    client.expect_line(rb"\+OK.*")
    return client


def log_in(running: RunningGateway, ca: CertificateAuthority) -> Wire:
    """A session that relays to the echo."""
    client = pop3(running, ca)
    client.send(b"USER alice\r\n")
    client.expect_line(rb"\+OK.*")
    client.send(b"PASS secret\r\n")
    client.expect_line(rb"\+OK.*")
    assert_echoes(client)
    return client


def assert_echoes(client: Wire) -> None:
    client.send(b"are you there?\r\n")
    client.expect(b"are you there?\r\n")


def worker_of(running: RunningGateway, client: Wire) -> Process:
    """The worker that holds the session: the one whose descriptors the session added to."""
    local_port = client.connection.getsockname()[1]
    for worker in running.workers():
        shown = subprocess.run(
            ["ss", "-Htnp", f"dport = :{local_port}"], check=True, capture_output=True, text=True
        ).stdout
        if f"pid={worker.pid}," in shown:
            return worker
    raise AssertionError("no worker holds that session")


def test_kill_of_a_worker_while_connections_wait_loses_none(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway(pop3s=mail_server(upstream.port))
    (worker,) = running.workers()
    worker.send_signal(signal.SIGSTOP)  # it accepts no more; the kernel completes the connections
    waiting = [socket.create_connection((LOOPBACK, running.ports["pop3s"]), 5.0) for _ in range(5)]
    worker.send_signal(signal.SIGKILL)
    for connection in waiting:
        client = Wire(connection)
        client.start_tls(ca.client_context(), server_name=LOOPBACK)
        client.expect_line(rb"\+OK.*")
        client.close()
    running.log.wait_for("worker_exited", exit_code=-9)


def test_kill_of_a_worker_leaves_the_sessions_of_others_untouched(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway({"gateway": {"workers": 2}}, pop3s=mail_server(upstream.port))
    sessions = [log_in(running, ca)]
    while len({worker_of(running, session).pid for session in sessions}) < 2:
        assert len(sessions) < 50, "one worker takes all sessions"
        sessions.append(log_in(running, ca))
    victim = worker_of(running, sessions[0])
    survivors = [session for session in sessions if worker_of(running, session) != victim]
    before = running.log.mark()
    victim.send_signal(signal.SIGKILL)
    running.log.wait_for("worker_started", after=before)
    for session in survivors:
        assert_echoes(session)
    log_in(running, ca).close()
    for session in sessions:
        session.close()


def test_a_worker_that_dies_is_replaced_and_serves(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway(pop3s=mail_server(upstream.port))
    for _ in range(3):
        (worker,) = running.workers()
        before = running.log.mark()
        worker.send_signal(signal.SIGKILL)
        running.log.wait_for("worker_started", after=before)
        log_in(running, ca).close()


def test_sigterm_ends_sessions_with_their_protocols_words(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway(pop3s=mail_server(upstream.port), imap4s=mail_server(upstream.port))
    imap = connect_tls(running.ports["imap4s"], ca.client_context())
    imap.expect_line(rb"\* OK.*")
    relayed = log_in(running, ca)
    running.send_signal(signal.SIGTERM)
    imap.expect_line(rb"\* BYE .*")
    imap.expect_end()
    relayed.expect_end()
    imap.close()
    relayed.close()
    assert running.wait_for_exit() == 0
    ends = running.log.find("session_end", reason="shutdown")
    assert {end["protocol"] for end in ends} == {"imap4s", "pop3s"}


def test_sigquit_waits_for_the_sessions(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway({"gateway": {"shutdown_grace": "20s"}}, pop3s=mail_server(upstream.port))
    session = log_in(running, ca)
    running.send_signal(signal.SIGQUIT)
    running.log.wait_for("stopping")
    wait_until(lambda: _is_refused(running.ports["pop3s"]), 5.0, "an end of accepting")
    assert_echoes(session)
    session.close()
    assert running.wait_for_exit() == 0


def test_sigquit_ends_what_is_left_after_the_grace(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway({"gateway": {"shutdown_grace": "300ms"}}, pop3s=mail_server(upstream.port))
    session = log_in(running, ca)
    running.send_signal(signal.SIGQUIT)
    session.expect_end()
    session.close()
    assert running.wait_for_exit() == 0
    running.log.wait_for("session_end", reason="shutdown")


def test_kill_of_the_master_leaves_sessions_and_ends_the_workers_after_them(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway({"gateway": {"shutdown_grace": "20s"}}, pop3s=mail_server(upstream.port))
    session = log_in(running, ca)
    workers = running.workers()
    running.send_signal(signal.SIGKILL)
    running.log.wait_for("master_gone")
    assert_echoes(session)
    session.close()
    wait_until(lambda: not any(worker.is_alive() for worker in workers), 5.0, "the workers' end")
    running.kill()


def test_sighup_is_noted_and_changes_nothing(
    gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority
) -> None:
    running = gateway(pop3s=mail_server(upstream.port))
    session = log_in(running, ca)
    running.send_signal(signal.SIGHUP)
    running.log.wait_for("signal_ignored", signal="SIGHUP")
    assert_echoes(session)
    session.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_workers_give_up_root(gateway: StartGateway, upstream: FakeUpstream, ca: CertificateAuthority) -> None:
    running = gateway({"gateway": {"user": "nobody"}}, pop3s=mail_server(upstream.port))
    log_in(running, ca).close()
    (worker,) = running.workers()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
    assert set(status["Uid"].split()) != {"0"}
    assert "0" not in status["Uid"].split()
    assert "0" not in status["Gid"].split()
    assert "0" not in status["Groups"].split()
    assert status["CapEff"].strip("0") == ""
    assert status["NoNewPrivs"] == "1"


def run(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "run", "-c", str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_a_taken_port_is_told_with_its_remedy(gateway: StartGateway, upstream: FakeUpstream) -> None:
    running = gateway(pop3s=mail_server(upstream.port))
    second = run(running.path)
    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {running.ports['pop3s']}" in second.stderr
    assert "another program, or another gateway, listens there" in second.stderr


def test_workers_that_cannot_start_end_the_master(gateway: StartGateway, upstream: FakeUpstream) -> None:
    running = gateway(pop3s=mail_server(upstream.port))
    text = running.path.read_text().replace(str(running.ports["pop3s"]), str(free_port()))
    broken = running.directory / "broken.ini"
    broken.write_text(text)
    program = "import gateway.worker.assemble as a, gateway.cli as c\na.Assembly.service = None\nc.main()"
    started = time.monotonic()
    failed = subprocess.run(
        [sys.executable, "-c", program, "run", "-c", str(broken)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert failed.returncode == 1
    assert "event=giving_up" in failed.stderr
    assert failed.stderr.count("event=worker_started") <= 20
    assert time.monotonic() - started < 20


def test_no_process_is_left_when_a_start_fails(gateway: StartGateway, upstream: FakeUpstream) -> None:
    running = gateway(pop3s=mail_server(upstream.port))
    before = processes_of(running.path)
    assert before  # the first one, which holds the port
    assert run(running.path).returncode == 2
    assert processes_of(running.path) == before


def processes_of(configuration: Path) -> set[int]:
    """Ids of the processes that were started with this very file; a fork keeps the command line."""
    found = set()
    for process in processes.all_processes():
        with contextlib.suppress(OSError):  # it has just ended
            if os.fsencode(configuration) in (processes.PROC / str(process.pid) / "cmdline").read_bytes():
                found.add(process.pid)
    return found


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1.0).close()
    except ConnectionRefusedError:
        return True
    return False
