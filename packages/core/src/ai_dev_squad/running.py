"""An operation around a block of code: for adapters whose framework lets them wrap a call, and for programs by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ai_dev_squad import operations
from ai_dev_squad.context import attached
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.operations import Kind, Operation

__all__ = ["running"]


@contextmanager
def running(kind: Kind, name: str, **options: Any) -> Iterator[Operation]:
    """Open an operation, make its span current within the block, and end it as the block ends.

    The arguments are those of ``operations.start``. An exception passes through unchanged; one that only steers, such as
    a cancellation or a framework's interrupt, ends the operation with that status and not as an error.
    """
    operation = operations.start(kind, name, **options)
    try:
        with attached(operation):
            yield operation
    except BaseException as error:
        status = classify(error)
        operation.end_as(status, error if status == "error" else None)
        raise
    operation.stop()
