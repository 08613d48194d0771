"""What only model calls have: money set aside before, tokens and cost settled after. Count once, here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ai_dev_squad import attributes as keys
from ai_dev_squad.guard import report
from ai_dev_squad.kinds import Prompt
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
            service_tier=request.service_tier,
            server_address=request.server_address,
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
    usage = operation.usage = _usage(operation, request, costs)
    answered = None if operation.ended_with is None else operation.ended_with.get(keys.RESPONSE_MODEL)
    assert operation.status is not None
    entry = costs.record(
        operation.attribution,
        usage,
        duration_ms=operation.duration_ns / 1e6,
        trace_id=operation.trace_id,
        span_id=operation.span_id,
        status=operation.status,
        prompt_hash=request.prompt_hash,
        attempt=operation.attempt,
        service_tier=operation.service_tier or request.service_tier,
        response_model=answered,
        server_address=request.server_address,
        cache_hit=operation.cache_hit,
        reported_usd=operation.reported_usd,
        reservation=operation.reservation,
    )
    operation.cost = entry.cost


def _usage(operation: Operation, request: ModelRequest, costs: CostTracker) -> Usage:
    """What the provider counted; what it left out of an answer is counted here, and said to be."""
    usage, status = operation.usage, operation.status
    # Whatever has arrived is billed, however the call ended.
    if status not in _ANSWERED and operation.first_chunk_s is None:
        return _MISSING if usage is None else usage
    if usage is None:
        usage = _MISSING
    elif status == "ok" and usage.input_tokens is not None and usage.output_tokens is not None:
        return usage
    try:
        return _completed(usage, operation, request, costs)
    except Exception as error:  # noqa: BLE001 - an estimate is a courtesy
        report("estimating tokens", error)
        return usage


def _completed(usage: Usage, operation: Operation, request: ModelRequest, costs: CostTracker) -> Usage:
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if input_tokens is None:
        input_tokens = _count(request.prompt, request, costs)
    if output_tokens is None or operation.status != "ok":
        # Of an answer that was left, a provider has counted what it had said when it began.
        output_tokens = max(_count(operation.output, request, costs) or 0, output_tokens or 0) or output_tokens
    if (input_tokens, output_tokens) == (usage.input_tokens, usage.output_tokens):
        return usage
    return replace(usage, input_tokens=input_tokens, output_tokens=output_tokens, source="estimated")


def _count(text: Callable[[], Any] | None, request: ModelRequest, costs: CostTracker) -> int | None:
    if text is None:
        return None
    content = text()
    tools = response_format = None
    if isinstance(content, Prompt):
        content, tools, response_format = content
    if isinstance(content, str) and tools is None and response_format is None:
        return costs.count_tokens(content, request.model, request.provider).count
    return costs.estimate_messages(
        content, request.model, request.provider, tools=tools, response_format=response_format
    ).count
