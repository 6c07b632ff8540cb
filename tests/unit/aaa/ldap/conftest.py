"""A hub that tells of every exception nobody caught, and a count of descriptors."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import gevent
import pytest

from tests.unit.aaa.ldap.fake import FakeDirectory


@pytest.fixture
def directory() -> Iterator[FakeDirectory]:
    with FakeDirectory() as fake:
        yield fake


@pytest.fixture(autouse=True)
def uncaught() -> Iterator[list[BaseException]]:
    """What greenlets and callbacks of the hub died of."""
    hub: Any = gevent.get_hub()
    errors: list[BaseException] = []

    def collect(_: object, __: type, value: BaseException, ___: TracebackType) -> None:
        errors.append(value)

    hub.print_exception = collect
    yield errors
    del hub.print_exception
    assert errors == []


@pytest.fixture
def open_descriptors() -> Iterator[None]:
    """As many at the end as at the beginning."""
    gevent.sleep(0)
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    gevent.sleep(0.01)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
