"""Two test runs on one machine never get the same port."""

import socket
import subprocess
import sys

from tests.support.gateway import REPOSITORY
from tests.support.ports import BLOCK
from tests.support.ports import LOOPBACK
from tests.support.ports import free_ports

OTHER_RUN = "from tests.support.ports import free_ports; print(*free_ports(100))"


def test_free_ports_when_another_process_asks_then_different_ones() -> None:
    ours = set(free_ports(BLOCK))
    said = subprocess.run(
        [sys.executable, "-c", OTHER_RUN], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout
    theirs = {int(port) for port in said.split()}
    assert len(theirs) == 100
    assert not ours & theirs


def test_free_ports_when_one_is_taken_then_not_that() -> None:
    (port,) = free_ports(1)
    with socket.create_server((LOOPBACK, port)):
        assert port not in free_ports(BLOCK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind((LOOPBACK, port))
        assert port not in free_ports(BLOCK)
    assert port in free_ports(2 * BLOCK)
