"""`gateway demo` as a user meets it: the real command, the lines it prints, and what is left when it has ended."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support import clients
from tests.support import guard
from tests.support import processes
from tests.support.gateway import REPOSITORY
from tests.support.log_lines import LogLines
from tests.support.ports import LOOPBACK
from tests.support.waiting import wait_until
from tests.unit.demo.ports import free_offset

COMMAND: Final = (sys.executable, "-m", "gateway", "demo")
TIMEOUT_S: Final = 20.0


class RunningDemo:
    """Started, told what to type, and its gateway ready."""

    def __init__(self, temporary: Path, offset: int) -> None:
        self.temporary = temporary
        self.output: list[str] = []
        self._process = subprocess.Popen(
            [*COMMAND, "--port-offset", str(offset)],
            cwd=REPOSITORY,
            env=environment(temporary),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        guard.watch(self._process.pid)
        assert self._process.stderr is not None
        self.log = LogLines(self._process.stderr)
        self._read_instructions()

    def _read_instructions(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line.decode().rstrip("\n"))
            if self.output[-1].startswith("  log "):
                return
        raise AssertionError(f"the demo ended: {self.output}\n{self.log.text}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def gateway(self) -> processes.Process:
        (master,) = processes.children(self.pid)
        return master

    def tree(self) -> list[processes.Process]:
        """The demo, the master, the workers."""
        return processes.tree(self.pid)

    def end(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self._process.wait(TIMEOUT_S)
        guard.release(self.pid)
        assert self._process.stdout is not None
        self.output += self._process.stdout.read().decode().splitlines()
        self._process.stdout.close()
        self.log.wait_for_end()
        return code

    def kill(self) -> None:
        """What it does not remove then lies below `temporary`, and goes with that."""
        if self._process.poll() is None:
            self._process.kill()
            self.wait()


def environment(temporary: Path) -> Mapping[str, str]:
    return {**os.environ, "TMPDIR": str(temporary)}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path, free_offset())
    yield running
    running.kill()


@pytest.fixture(scope="module")
def shared_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """For tests that leave it running."""
    running = RunningDemo(tmp_path_factory.mktemp("demo"), free_offset())
    yield running
    running.kill()


def commands(demo: RunningDemo, program: str) -> list[list[str]]:
    """The printed command lines of one program, as the arguments a shell would make of them."""
    return [shlex.split(line)[1:] for line in demo.output if line.startswith(f"    {program} ")]


def test_once_drives_the_three_protocols_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--once"], cwd=REPOSITORY, env=environment(tmp_path), capture_output=True, timeout=30, check=False
    )
    told = done.stdout.decode()
    assert done.returncode == 0, told + done.stderr.decode()
    lines = told.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "smtps"],
        ["ok", "imap4s"],
        ["ok", "pop3s"],
        ["ok", "imap4s"],
    ]
    assert 'vpn:alice@localhost found 4 messages in INBOX, the newest is "Lunch on Friday?"' in lines[1]
    assert "[AUTHENTICATIONFAILED]" in lines[3]
    log = done.stderr.decode()
    assert log.count(" event=login ") == 3
    assert "event=auth_failed" in log
    assert "\x1b" not in told + log
    assert list(tmp_path.iterdir()) == []


def test_once_takes_other_ports_where_its_own_are_taken(tmp_path: Path) -> None:
    offset = free_offset()
    with socket.create_server((LOOPBACK, 9993 + offset)):
        done = subprocess.run(
            [*COMMAND, "--once", "--port-offset", str(offset)],
            cwd=REPOSITORY,
            env=environment(tmp_path),
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert f":{9993 + offset} " not in done.stdout.decode()
    assert f":{9988 + offset} " in done.stdout.decode()


def test_taken_port_is_an_error_that_names_it_and_the_remedy(tmp_path: Path) -> None:
    offset = free_offset()
    with socket.create_server((LOOPBACK, 9988 + offset)):
        done = subprocess.run(
            [*COMMAND, "--port-offset", str(offset)],
            cwd=REPOSITORY,
            env=environment(tmp_path),
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {9988 + offset} is taken" in done.stderr.decode()
    assert re.search(r"gateway demo --port-offset \d+$", done.stderr.decode())
    assert list(tmp_path.iterdir()) == []


def test_printed_curl_lines_work(shared_demo: RunningDemo) -> None:
    """In their order: the first sends what the second reads."""
    send, read, read_first = (
        clients.run("curl", "--max-time", "10", *arguments).succeeded() for arguments in commands(shared_demo, "curl")
    )
    assert send.output == ""
    assert "Subject: Hello from curl\n\nSent through the gateway.\n" in read.output
    assert "Subject: Welcome to the gateway\n" in read_first.output


def test_printed_swaks_line_works(shared_demo: RunningDemo) -> None:
    (arguments,) = commands(shared_demo, "swaks")
    assert "delivered to 1" in clients.run("swaks", *arguments).succeeded().output


def test_printed_openssl_line_and_login_work(shared_demo: RunningDemo) -> None:
    (arguments,) = commands(shared_demo, "openssl")
    (login,) = (line.partition("type  ")[2] for line in shared_demo.output if "type  " in line)
    # -quiet implies -ign_eof: the session goes on after the input's end, up to the answer to LOGOUT
    run = clients.run("openssl", *arguments, stdin=f"{login}\nb LOGOUT\n").succeeded()
    assert re.search(r"^a OK .*Logged in\.", run.output, re.MULTILINE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order_and_leaves_nothing(demo: RunningDemo, number: signal.Signals) -> None:
    everybody = demo.tree()
    assert len(everybody) == 4
    assert demo.end(number) == 0
    assert demo.output[-1].startswith("Ended; ")
    assert demo.log.find("stopped")
    assert not [process for process in everybody if process.is_alive()]
    assert list(demo.temporary.iterdir()) == []


def test_gateway_that_dies_ends_the_demo_with_an_error(demo: RunningDemo) -> None:
    everybody = demo.tree()
    demo.gateway().send_signal(signal.SIGKILL)
    assert demo.wait() == 1
    assert "the gateway ended by itself, with exit code -9" in demo.log.text
    assert not [process for process in everybody if process.is_alive()]
    assert list(demo.temporary.iterdir()) == []


def test_killed_demo_takes_the_gateway_with_it(demo: RunningDemo) -> None:
    everybody = demo.tree()
    demo.kill()
    wait_until(lambda: not [process for process in everybody if process.is_alive()], what="the end of the gateway")


def test_worker_that_dies_is_replaced_and_the_demo_goes_on(demo: RunningDemo) -> None:
    worker, _ = processes.children(demo.gateway().pid)
    worker.send_signal(signal.SIGKILL)
    demo.log.wait_for("worker_started", count=3)
    assert demo.end(signal.SIGTERM) == 0
