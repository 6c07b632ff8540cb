"""What do logins, bulk and small round trips cost, beside the peers?

"gateway again" is the gateway measured a second time in each round: how far two equal figures lie apart is the noise.
"""

from collections.abc import Iterator
from typing import Final

from perf.suite.records import Record
from perf.suite.trial import GIB
from perf.suite.trial import LOGINS
from perf.suite.trial import ROUND_TRIPS
from perf.suite.trial import Entry
from perf.suite.trial import Mode
from perf.suite.trial import in_turns
from perf.suite.world import World

NAME: Final = "work"
SERVERS: Final = ("gateway", "gateway-logging", "nginx", "nginx-64k", "dovecot", "haproxy", "stunnel", "direct")
AGAIN: Final = "gateway again"

LOGIN: Final = Mode("login", "IMAP, full handshake", "login -c 256 -n 2000", "login -c 8 -n 24", LOGINS)
DOWN: Final = Mode("down-8", "down, 8 sessions", "bulk -c 8 -k 8192 -d 3", "bulk -c 4 -k 512 -n 12 -V", GIB)
UP: Final = Mode("up-8", "up, 8 sessions", "bulk -c 8 -k 8192 -d 3 -U", "bulk -c 4 -k 512 -n 12 -U", GIB)
PING: Final = Mode("ping-64", "64 sessions", "pingpong -c 64 -n 60000", "pingpong -c 8 -n 200", ROUND_TRIPS)
MODES: Final = (
    LOGIN,
    Mode(
        "login-pop3", "POP3, full handshake", "login -c 256 -n 2000 -P pop3", "login -c 8 -n 24 -P pop3", LOGINS, "pop3"
    ),
    Mode("login-smtp", "SMTP, with a mail", "login -c 256 -n 2000 -P smtp", "login -c 8 -n 24 -P smtp", LOGINS, "smtp"),
    Mode("resumed", "IMAP, resumed handshake", "login -c 256 -n 2000 -r", "login -c 8 -n 24 -r", LOGINS),
    Mode("login-one", "IMAP, one client", "login -c 1 -n 100", "", LOGINS),
    DOWN,
    UP,
    Mode("down-1", "down, 1 session", "bulk -c 1 -k 8192 -d 3", "", GIB),
    Mode("up-1", "up, 1 session", "bulk -c 1 -k 8192 -d 3 -U", "", GIB),
    Mode(
        "down-pop3", "down, POP3, 8", "bulk -c 8 -k 8192 -d 3 -P pop3", "bulk -c 4 -k 512 -n 12 -V -P pop3", GIB, "pop3"
    ),
    Mode(
        "up-smtp", "up, SMTP, 8", "bulk -c 8 -k 8192 -d 3 -U -P smtp", "bulk -c 4 -k 512 -n 12 -U -P smtp", GIB, "smtp"
    ),
    PING,
    Mode("ping-1", "1 session", "pingpong -c 1 -n 10000", "", ROUND_TRIPS),
)
LOGIN_MODES: Final = frozenset({"login", "login-pop3", "login-smtp", "resumed"})


def measure(world: World) -> Iterator[Record]:
    with world.running(*SERVERS) as servers:
        entries = [
            Entry(server.name, server, LOGIN_MODES if server.name == "gateway-logging" else frozenset())
            for server in servers
        ]
        if not world.effort.quick:
            entries += [Entry(AGAIN, server) for server in servers if server.name == "gateway"]
        yield from in_turns(world, NAME, MODES, entries)
