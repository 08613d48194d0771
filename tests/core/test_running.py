"""An operation around a block."""

from __future__ import annotations

import asyncio

import pytest

from ai_dev_squad import operations
from ai_dev_squad.context import current_operation
from ai_dev_squad.running import running
from ai_dev_squad_testing import capture


def test_the_block_is_the_operation() -> None:
    """Inside the block its span is current; it ends with the block, and nested blocks nest."""
    with capture() as captured:
        with running(operations.WORKFLOW, "release", framework="own") as outer:
            assert current_operation() is outer
            with running(operations.TASK, "build", framework="own"):
                pass
        assert current_operation() is None

    assert captured.tree() == "invoke_workflow release: ok\n  task build: ok"


def test_an_exception_passes_through() -> None:
    """The exception is the same object, and the operation failed with it."""
    failure = ValueError("no")

    with capture() as captured, pytest.raises(ValueError, match="no") as caught:
        with running(operations.TASK, "build", framework="own"):
            raise failure

    assert caught.value is failure
    assert captured.tree() == "task build: error"


@pytest.mark.parametrize(
    "steering, status", [(asyncio.CancelledError(), "cancelled"), (GeneratorExit(), "closed_early")], ids=str
)
def test_an_exception_that_only_steers(steering: BaseException, status: str) -> None:
    """Cancellation and closing are no errors."""
    with capture() as captured, pytest.raises(type(steering)):
        with running(operations.TASK, "build", framework="own"):
            raise steering

    assert captured.tree() == f"task build: {status}"
    assert captured.closing()[0].error is None
