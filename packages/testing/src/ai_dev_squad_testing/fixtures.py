"""What a test takes and gives back: runs that were observed to their end, and model servers that were asked what was scripted."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ai_dev_squad.operations import open_operations
from ai_dev_squad_testing.captured import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, Script

__all__ = ["Serve", "cassette_file", "serving", "wait_until", "whole_runs"]

Serve = Callable[..., ModelServer]
"""``serve(step, ...)`` starts a model server that plays these steps."""


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Wait for something that happens in another thread. Returns whether it did."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def whole_runs(**settings: Any) -> Iterator[Captured]:
    """All that is observed in the block, spans included. ``settings`` are those of ``configure``.

    Raises ``AssertionError`` at its end if an operation stays open, such as one whose stream nobody read to the end.
    """
    with capture(spans=True, **settings) as captured:
        yield captured
        if not wait_until(lambda: not open_operations()):
            still_open = [f"{operation.kind.operation} {operation.name}" for operation in open_operations()]
            raise AssertionError(f"still open at the end of the test: {', '.join(still_open)}")


@contextmanager
def serving() -> Iterator[Serve]:
    """``serve(step, ...)`` starts model servers, which close at the end of the block."""
    with ExitStack() as servers:

        def serve(*steps: Any) -> ModelServer:
            return servers.enter_context(ModelServer(Script(list(steps))))

        yield serve


def cassette_file(test_file: Path, nodeid: str) -> Path:
    """Where the answers of one test are kept: a name that every file system takes, and no other test has."""
    name = nodeid.partition("::")[2].replace("::", ".")
    plain = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII)[:100]
    if plain != name:
        plain = f"{plain.strip('-')}-{zlib.crc32(name.encode()):08x}"
    return test_file.parent / "cassettes" / test_file.stem / f"{plain}.json"
