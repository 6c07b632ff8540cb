"""What does the machine allow at most? The floor under every proxy, so that the distance to it can be seen.

Handshakes in memory, by the OpenSSL of Debian, which the peers use, and by that of the gateway; the arithmetic alone
(`openssl speed`); octets, connections and round trips over loopback without TLS.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Final

from OpenSSL import SSL
from OpenSSL import crypto

from perf.suite.load import flat
from perf.suite.paths import BUILD
from perf.suite.records import Record
from perf.suite.world import World
from tests.support.peers.base import run_program

NAME: Final = "limits"
MOST_ROUNDS: Final = 3
# What `openssl speed -mr` prints: number, bits, operations a second; for a cipher number, name, octets a second.
SIGN: Final = re.compile(r"^\+F4:\d+:\d+:(?P<rate>[\d.]+):", re.MULTILINE)
EXCHANGE: Final = re.compile(r"^\+F5:\d+:\d+:(?P<rate>[\d.]+):", re.MULTILINE)
CIPHER: Final = re.compile(r"^\+F:\d+:[^:]+:(?P<rate>[\d.]+)", re.MULTILINE)
BLOCK_OCTETS: Final = 16384
GIB: Final = float(1 << 30)
MICRO: Final = 1e6
READ_OCTETS: Final = 16384


def measure(world: World) -> Iterator[Record]:
    """The target is what does it: this machine's loopback, or an OpenSSL."""
    quick = world.effort.quick
    seconds = 0.1 if quick else 2.0
    for turn in range(min(world.effort.rounds, MOST_ROUNDS)):
        with world.alone():
            for what in ("stream", "accept", "rtt"):
                yield Record(NAME, what, "loopback", turn, tool("limits", what, str(seconds)))
            yield Record(NAME, "handshake", "Debian", turn, tool("handshake", str(world.certificate), str(seconds / 2)))
            yield Record(NAME, "handshake", "gateway", turn, pyopenssl_handshakes(world, seconds / 2))
            if not quick:
                yield Record(NAME, "arithmetic", "Debian", turn, arithmetic())


def tool(name: str, *arguments: str) -> dict[str, float]:
    return dict(flat(json.loads(run_program(str(BUILD / name), *arguments))))


def arithmetic() -> dict[str, float]:
    """Microseconds an operation on curves, seconds a GiB of AES-256-GCM; a second of measuring each."""
    return {
        "sign_us": MICRO / speed(SIGN, "ecdsap256"),
        "exchange_us": MICRO / speed(EXCHANGE, "ecdhx25519"),
        "aes_256_gcm_s_per_gib": GIB / speed(CIPHER, "-bytes", str(BLOCK_OCTETS), "-evp", "aes-256-gcm"),
    }


def speed(pattern: re.Pattern[str], *what: str) -> float:
    """A second."""
    printed = run_program("openssl", "speed", "-mr", "-seconds", "1", *what)
    found = pattern.search(printed)
    if found is None:
        raise ValueError(f"openssl speed prints something else than it used to: {printed}")
    return float(found["rate"])


def pyopenssl_handshakes(world: World, seconds: float) -> dict[str, float]:
    """The server's processor time for a full handshake in memory, by the OpenSSL that the gateway runs on.

    With what pyOpenSSL adds to each call, some microseconds in all.
    """
    server_context, client_context = SSL.Context(SSL.TLS_SERVER_METHOD), SSL.Context(SSL.TLS_CLIENT_METHOD)
    pem = world.certificate.read_bytes()
    server_context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, pem))
    server_context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, pem))
    client_context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384")
    used_s, count, end = 0.0, 0, time.thread_time() + seconds
    while not count or time.thread_time() < end:
        used_s += handshake_s(server_context, client_context)
        count += 1
    return {"full_us": used_s / count * MICRO}


def handshake_s(server_context: SSL.Context, client_context: SSL.Context) -> float:
    client = SSL.Connection(client_context)
    client.set_connect_state()
    step(client)
    hello = client.bio_read(READ_OCTETS)
    start = time.thread_time()
    server = SSL.Connection(server_context)
    server.set_accept_state()
    server.bio_write(hello)
    step(server)
    flight = server.bio_read(READ_OCTETS)
    used_s = time.thread_time() - start
    client.bio_write(flight)
    client.do_handshake()
    finished = client.bio_read(READ_OCTETS)
    start = time.thread_time()
    server.bio_write(finished)
    server.do_handshake()
    server.bio_read(READ_OCTETS)  # the tickets
    del server
    return used_s + time.thread_time() - start


def step(connection: SSL.Connection) -> None:
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return
    raise ValueError("a handshake that is over too soon")
