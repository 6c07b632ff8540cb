"""Ports for a demo that no other test run uses."""

from gateway.demo.ports import DEFAULT_PORTS
from tests.support.ports import free_port


def free_offset() -> int:
    """For `--port-offset`."""
    low, high = min(DEFAULT_PORTS.values()), max(DEFAULT_PORTS.values())
    while True:
        first = free_port()
        if all(free_port() == first + more for more in range(1, high - low + 1)):
            return first - low
