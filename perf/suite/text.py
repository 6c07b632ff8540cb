"""The words of the page."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Section:
    """`tables` is a key of `tables.TABLES`; `pictures` are file names, shown if there are figures for them."""

    title: str
    text: str
    tables: str
    pictures: tuple[str, ...] = ()


PREFACE: Final = """\
# Performance

Made by `make perf`; do not edit. The gateway beside nginx (mail module), Dovecot (login proxy), HAProxy and stunnel,
all on one machine over loopback, in one run, in turns ({rounds} rounds), with one certificate (ECDSA P-256) and one
mail server behind all of them. The client offers TLS 1.3 with X25519 and AES-256-GCM, and nothing else.

- **CPU is the figure to compare**: user and system time of all processes of a proxy, children and threads included.
  It hardly depends on what else runs. Rates do: proxy, load generator and mail server share the machine's cores.
- A figure is the median of the rounds, with [the least, the greatest]. Ratios are taken round by round.
- Every run is checked: each session got all its answers and the close, and the mail server counted the same logins,
  commands and octets as the load generator. What fails a check is left out and listed.
- The peers run the best configurations known for this (`perf/peers`), nginx also with 64k buffers. HAProxy and stunnel
  end TLS and know no mail protocol. nginx and HAProxy log no login, Dovecot does; the gateway does in
  `gateway-logging` only. `direct` is the mail server ending TLS itself: no proxy at all.
- In all: as many workers, processes or threads as cores.

`perf/README.md` tells how to repeat any of it."""

GOALS_TEXT: Final = """\
"Within the noise": the measurements lie on both sides of the limit, and the median decides."""

SECTIONS: Final = (
    Section(
        "Logins",
        "Connect, handshake, log in, log out, close; with SMTP a small mail in between. 256 clients at once; "
        "`login-one`: one. nginx sends without TCP_NODELAY, so a lone client waits 40 ms for it.",
        "logins",
        ("logins.svg", "latency.svg"),
    ),
    Section("Bulk", "Bodies of 8 MiB, fetched and sent; times are per body.", "bulk", ("bulk.svg",)),
    Section("Small round trips", "NOOP and its answer.", "round-trips", ("round-trips.svg",)),
    Section(
        "Memory of idle sessions",
        "Proportional set size over all processes, as it grew from a proxy just started; without the kernel's socket "
        "buffers, which are the same for all.",
        "idle",
        ("memory.svg",),
    ),
    Section(
        "Flood",
        "50 logins a second, alone (calm) and while 2,500 connections a second that never say a word come in, of which "
        "15,000 are held. The gateway has its cap on sessions not logged in (`outstanding`) at 4,000; the peers know "
        "no such cap.",
        "flood",
        ("flood.svg",),
    ),
    Section(
        "From 0 to 50,000 sessions",
        "Logins at a gateway that holds idle sessions, and at an empty one beside it, in turn.",
        "growth",
        ("growth-cpu.svg", "growth-memory.svg"),
    ),
    Section("Number of workers", "The same work by 1 to 8 worker processes.", "workers", ("workers.svg",)),
    Section(
        "System calls",
        "Counted by `strace -c -f` over all processes of the proxy. These do not depend on how fast the machine is.",
        "syscalls",
    ),
    Section(
        "Instructions",
        "Counted by `valgrind --tool=callgrind`, user space only, one worker.",
        "instructions",
    ),
    Section(
        "Limits of the machine",
        "What no proxy can be below here. The floor of a login is the handshake in memory by the gateway's OpenSSL, an "
        "accept and a connect; that of a GiB is receiving, sealing or opening, and sending.",
        "limits",
    ),
    Section("Session table", "Operations of the table that all workers share.", "table"),
    Section(
        "Noise",
        "How far two measurements of the same gateway lie apart in each round, and what else the machine did. A "
        "difference smaller than this says nothing.",
        "noise",
    ),
)
