"""Free TCP and UDP ports on loopback that two test runs on one machine never share.

Each test process claims blocks of ports by binding an abstract unix socket named after the block; the kernel releases
the claim when the process ends, however it ends. The range lies below the ephemeral ports of Linux (32768 and up),
so no outgoing connection of the machine can take a port between the choice and the bind.
"""

import contextlib
import random
import socket
from collections.abc import Iterator
from typing import Final

FIRST: Final = 20_000
LAST: Final = 32_000
BLOCK: Final = 100
LOOPBACK: Final = "127.0.0.1"


def free_port() -> int:
    """A port nothing listens on, for TCP and UDP; not given again before a whole block was used up."""
    return next(_ports)


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def _free_ports() -> Iterator[int]:
    blocks = list(range(FIRST, LAST, BLOCK))
    random.SystemRandom().shuffle(blocks)  # not the seedable generator: Hypothesis sets that one back
    for block in blocks:
        claim = _claim(block)
        if claim is not None:
            _claims.append(claim)
            break
    else:
        raise OSError("every block of test ports is claimed by another test run")
    while True:
        yield from (port for port in range(block, block + BLOCK) if _is_free(port))


def _claim(block: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0gateway-tests-ports-{block}")
    except OSError:
        claim.close()
        return None
    return claim


def _is_free(port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            if kind is socket.SOCK_STREAM:
                # Connections of an earlier test in TIME_WAIT do not hinder a server, so they need not hinder us.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


_claims: Final[list[socket.socket]] = []
_ports: Final = _free_ports()
