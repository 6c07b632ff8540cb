"""What the master gives to the accountant."""

from dataclasses import dataclass
from pathlib import Path

from gateway.config.model import Config
from gateway.log import Log


@dataclass(frozen=True, slots=True)
class Inheritance:
    """spool: see `make_spool`. life_line: readable (end-of-file) once the master is gone.

    node: a `writer_name` that the master took before it forked its first worker. as_node: this accountant is the
    first of its master, so that the gateway itself is starting; its successors are not.
    """

    config: Config
    spool: Path
    node: str
    as_node: bool
    log: Log
    life_line: int
