"""The machine that figures were taken on, and how much of it others used meanwhile."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from cryptography.hazmat.bindings.openssl.binding import Binding

from perf.suite.paths import ROOT
from tests.support.peers.base import find_program

PROGRAMS: Final = {
    "nginx": ("nginx", "-v"),
    "Dovecot": ("dovecot", "--version"),
    "HAProxy": ("haproxy", "-v"),
    "stunnel": ("stunnel4", "-version"),
    "OpenSSL of the peers and the load": ("openssl", "version"),
    "gcc": ("gcc", "--version"),
}
PACKAGES: Final = ("gevent", "pyopenssl", "cryptography", "cython")
NUMBER: Final = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")


@dataclass(frozen=True, slots=True)
class Jiffies:
    """Ticks of all processors since boot: in all, at work, and taken away by the host."""

    total: int
    busy: int
    stolen: int


def jiffies() -> Jiffies:
    # user nice system idle iowait irq softirq steal: proc(5)
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    total, stolen = sum(fields), fields[7]
    return Jiffies(total, total - fields[3] - fields[4] - stolen, stolen)


def describe() -> dict[str, str]:
    """For the head of a file of results."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": machine(),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "OpenSSL of the gateway": _number(_openssl_of_the_gateway()),
        **{name: _number(_output(*command)) for name, command in PROGRAMS.items()},
    }


def commit() -> str:
    """Of the work tree; with "-dirty" when files of the gateway or the suite differ from it."""
    revision = _output("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD").strip()
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--", "gateway", "perf").strip()
    return f"{revision or 'unknown'}{'-dirty' if changed else ''}"


def machine() -> str:
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    gibibytes = f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "unknown memory"
    return f"{len(os.sched_getaffinity(0))} cores, {models[0] if models else platform.machine()}, {gibibytes}"


def missing(programs: Mapping[str, str]) -> list[str]:
    """The Debian packages of those programs and files (name or path -> package) that are not installed."""
    return sorted({package for name, package in programs.items() if not _is_there(name)})


def _is_there(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else find_program(name) is not None


def _openssl_of_the_gateway() -> str:
    lib, ffi = Binding.lib, Binding.ffi
    return str(ffi.string(lib.OpenSSL_version(lib.OPENSSL_VERSION)).decode())


def _number(text: str) -> str:
    found = NUMBER.search(text)
    return found[0] if found else "not installed"


def _output(program: str, *arguments: str) -> str:
    """What it says, on whichever stream; empty when it is not there."""
    path = find_program(program)
    if path is None:
        return ""
    done = subprocess.run([path, *arguments], check=False, capture_output=True, text=True, timeout=10)
    return done.stdout + done.stderr
