"""What one accounting record costs the worker: the append-only journal against SQLite.

    .venv/bin/python perf/accounting_journal.py [DIRECTORY] [RECORDS]

The same record goes into the journal of gateway/accounting and into a table, one at a time as sessions begin and end,
with a sync every 100 ms in a thread as the worker does it; synchronous = full is what would make every single record
durable before the login goes on.
"""

import os
import resource
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gateway.accounting.base import SessionFacts
from gateway.accounting.journal import JournalWriter
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record

SYNC_S = 0.1
FACTS = SessionFacts("0123456789abcdef", "alice.example", "imap4s", "outside", "192.0.2.17", (b"OU=MAILUSERS;",))


def payload() -> bytes:
    return Record(Kind.START, FACTS.session_id, Moment.now(), facts=FACTS).packed()


def measure(
    name: str, count: int, write: Callable[[bytes], object], prepare_sync: Callable[[], Callable[[], None]] | None
) -> None:
    """prepare_sync gives what a thread then does."""
    times: list[float] = []
    threads: list[threading.Thread] = []
    one = payload()
    cpu, began, synced = cpu_s(), time.perf_counter(), time.perf_counter()
    for _ in range(count):
        before = time.perf_counter()
        write(one)
        after = time.perf_counter()
        times.append(after - before)
        if prepare_sync is not None and after - synced > SYNC_S:
            synced = after
            threads.append(threading.Thread(target=prepare_sync()))
            threads[-1].start()
    cpu, wall = cpu_s() - cpu, time.perf_counter() - began
    for thread in threads:
        thread.join()
    times.sort()
    columns = [times[int(len(times) * share)] * 1e6 for share in (0.5, 0.99, 0.999)]
    figures = "".join(f"{figure:11.1f}" for figure in [*columns, times[-1] * 1e6, cpu / count * 1e6])
    print(f"{name:34}{figures}{wall:9.2f}")


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def journal(directory: Path, count: int) -> None:
    writer = JournalWriter(directory / "journal")
    for _ in range(2 + count * 200 // writer.segment_octets):
        writer.extend()
    measure("journal, synced every 100 ms", count, writer.append, lambda: writer.take_unsynced().sync)
    writer.close()


def sqlite(directory: Path, count: int, synchronous: str) -> None:
    path = directory / f"{synchronous}.db"
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("pragma journal_mode = wal")
    store.execute(f"pragma synchronous = {synchronous}")
    store.execute("create table record (id integer primary key, writer integer, payload blob)")

    def write(one: bytes) -> None:
        store.execute("insert into record (writer, payload) values (1, ?)", (one,))

    def sync() -> None:
        descriptor = os.open(f"{path}-wal", os.O_RDONLY)
        os.fdatasync(descriptor)
        os.close(descriptor)

    measure(f"SQLite WAL, synchronous = {synchronous}", count, write, (lambda: sync) if synchronous == "off" else None)
    store.close()


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else None
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    print(f"{count} records of {len(payload())} octets, SQLite {sqlite3.sqlite_version}: microseconds, seconds in all")
    print(f"{'':34}{'median':>11}{'99 %':>11}{'99.9 %':>11}{'most':>11}{'CPU':>11}{'wall':>9}")
    with tempfile.TemporaryDirectory(dir=where) as name:
        directory = Path(name)
        journal(directory, count)
        sqlite(directory, count, "off")
        sqlite(directory, count, "normal")
        sqlite(directory, count // 10, "full")


if __name__ == "__main__":
    main()
