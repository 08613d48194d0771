"""What only model calls have: money set aside before, tokens and cost settled after. Count once, here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_dev_squad import attributes as keys
from ai_dev_squad.guard import report
from ai_dev_squad.schema import ErrorInfo, Usage

if TYPE_CHECKING:
    from ai_dev_squad.costs import CostTracker
    from ai_dev_squad.operations import ModelRequest, Operation

__all__ = ["reserve", "settle"]

_MISSING = Usage(source="missing")
# A stream that its consumer left is billed like any other.
_ANSWERED = frozenset({"ok", "closed_early"})


def reserve(operation: Operation) -> None:
    """Reserve the estimated cost of a call that is about to be made.

    Raises ``BudgetExceeded`` when a budget says stop; the operation has failed then and nothing enters the ledger.
    """
    from ai_dev_squad.costs import BudgetExceeded

    request, costs = operation.request, operation.pipeline.costs
    if request is None:
        return
    try:
        operation.reservation = costs.reserve(
            operation.attribution,
            input_tokens=_count(request.prompt, request, costs) or 0,
            max_output_tokens=request.max_output_tokens,
        )
    except BudgetExceeded as refusal:
        operation.request = None
        operation.fail(refusal)
        raise
    except Exception as error:  # noqa: BLE001 - a failing estimate must not stop the user's call
        report("reserving budget", error)


def settle(operation: Operation, error: ErrorInfo | None) -> None:
    """Enter a call that ended in the ledger and learn its cost."""
    try:
        _settle(operation)
    finally:
        if operation.reservation is not None:
            operation.reservation.release()  # without effect once the call is in the ledger
        if operation.first_chunk_s is not None:
            operation.annotate({keys.RESPONSE_TIME_TO_FIRST_CHUNK: operation.first_chunk_s})


def _settle(operation: Operation) -> None:
    request, costs = operation.request, operation.pipeline.costs
    if request is None:  # refused by a budget: it was never made
        return
    if operation.usage is None:
        operation.usage = _estimate(operation, request, costs) if operation.status in _ANSWERED else _MISSING
    assert operation.status is not None
    entry = costs.record(
        operation.attribution,
        operation.usage,
        duration_ms=operation.duration_ns / 1e6,
        trace_id=operation.trace_id,
        span_id=operation.span_id,
        status=operation.status,
        prompt_hash=request.prompt_hash,
        attempt=operation.attempt,
        service_tier=operation.service_tier,
        cache_hit=operation.cache_hit,
        reservation=operation.reservation,
    )
    operation.cost = entry.cost


def _estimate(operation: Operation, request: ModelRequest, costs: CostTracker) -> Usage:
    """The provider sent no usage: count ourselves and say so, or say that it's missing. Never 0."""
    try:
        input_tokens = _count(request.prompt, request, costs)
        if input_tokens is None:
            return _MISSING
        output_tokens = _count(operation.output, request, costs)
        return Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="estimated")
    except Exception as error:  # noqa: BLE001 - an estimate is a courtesy
        report("estimating tokens", error)
        return _MISSING


def _count(text: Callable[[], Any] | None, request: ModelRequest, costs: CostTracker) -> int | None:
    if text is None:
        return None
    content = text()
    if isinstance(content, str):
        return costs.count_tokens(content, request.model, request.provider).count
    return costs.estimate_messages(content, request.model, request.provider).count
