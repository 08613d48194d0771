"""The real ClickHouse engine behind HTTP, for tests: chDB in a process of its own."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from ai_dev_squad.process import at_exit
from ai_dev_squad_dashboard.store import Store, open_store

__all__ = ["new_url", "opened", "requires_engine", "served"]

requires_engine = pytest.mark.skipif(
    find_spec("chdb") is None or find_spec("clickhouse_connect") is None,
    reason="chdb, the ClickHouse engine in a process, is not installed here: uv pip install chdb clickhouse-connect",
)
_numbers = itertools.count(1)


@contextmanager
def served(place: str) -> Iterator[int]:
    """The port of an engine of its own, whose files are in the directory ``place``; its configuration may be named behind it."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("clickhouse_front.py")), place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as front:
        assert front.stdin is not None
        assert front.stdout is not None
        yield int(front.stdout.readline())
        front.stdin.close()
        front.wait(10)


@cache
def _port() -> int:
    """The port of an engine that ends with this process."""
    stack = ExitStack()
    directory = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    port = stack.enter_context(served(directory))
    at_exit(stack.close)
    return port


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
