"""The real ClickHouse engine behind HTTP, for tests: chDB in a process of its own."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from ai_dev_squad.process import at_exit
from ai_dev_squad_dashboard.store import Store, open_store

__all__ = ["new_url", "opened", "requires_engine"]

requires_engine = pytest.mark.skipif(
    find_spec("chdb") is None or find_spec("clickhouse_connect") is None,
    reason="chdb, the ClickHouse engine in a process, is not installed here: uv pip install chdb clickhouse-connect",
)
_numbers = itertools.count(1)


@cache
def _port() -> int:
    """The port of an engine that ends with this process."""
    directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    front = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("clickhouse_front.py")), directory.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert front.stdin is not None
    assert front.stdout is not None

    def end() -> None:
        front.stdin.close()  # type: ignore[union-attr]
        front.stdout.close()  # type: ignore[union-attr]
        front.wait(10)
        directory.cleanup()

    at_exit(end)
    return int(front.stdout.readline())


def new_url() -> str:
    """The URL of a database of its own."""
    return f"clickhouse://default@127.0.0.1:{_port()}/test_{next(_numbers)}"


@contextmanager
def opened(url: str | None = None) -> Iterator[Store]:
    """A store in a database of its own, which stays: dropping it takes as long as a test."""
    store = open_store(url or new_url())
    try:
        yield store
    finally:
        store.close()
