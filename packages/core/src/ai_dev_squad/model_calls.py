"""What only model calls have: money set aside before, tokens and cost settled after. Count once, here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from ai_dev_squad import attributes as keys
from ai_dev_squad.guard import report
from ai_dev_squad.kinds import TOOL, Prompt
from ai_dev_squad.schema import Cost, ErrorInfo, EventType, Status, Usage
from ai_dev_squad.wire.coverage import SELF_CHECK

if TYPE_CHECKING:
    from ai_dev_squad.costs import CostTracker
    from ai_dev_squad.costs.budgets import Reservation
    from ai_dev_squad.operations import ModelRequest, Operation

__all__ = ["Bill", "completed", "count_for_agent", "enter", "pass_on", "reserve", "reserve_again", "settle", "summed"]

_MISSING = Usage(source="missing")
_ANSWERED = frozenset({"ok", "closed_early"})


class Bill(NamedTuple):
    """What was billed, in tokens and in money."""

    usage: Usage
    cost: Cost


# --- before a call ----------------------------------------------------------------------------------------------------


def pass_on(operation: Operation) -> None:
    """This call is made by the model call around it, which may be nothing but a router: the inner one is billed.

    So what was set aside for the outer one is free for the inner one, unless the outer one has sent a request itself.
    """
    outer = operation.parent
    assert outer is not None
    if not outer.kind.may_send(operation.kind):
        return
    outer.passed_on += 1
    if outer.attempts is None and outer.reservation is not None:
        outer.reservation.release()


def count_for_agent(operation: Operation) -> None:
    """The agent or workflow around a call of a model, or of a tool, counts it as its own."""
    owner = operation.parent
    while owner is not None and owner.kind.opening is not EventType.AGENT_START:
        owner = owner.parent
    if owner is not None and operation.kind.is_model_call:
        owner.own_model_calls += 1
    elif owner is not None and operation.kind is TOOL:
        owner.own_tool_calls += 1


def reserve(operation: Operation) -> None:
    """Reserve the estimated cost of a call that is about to be made.

    Raises ``BudgetExceeded`` when a budget says stop; the operation has failed then and nothing enters the ledger.
    """
    from ai_dev_squad.costs import BudgetExceeded

    if operation.request is None:
        return
    try:
        operation.reservation = _reservation(operation, operation.request)
    except BudgetExceeded as refusal:
        operation.is_refused = True
        operation.fail(refusal)
        raise


def reserve_again(operation: Operation) -> Reservation | None:
    """Reserve for one more request of a call of which an earlier one was billed. Raises ``BudgetExceeded``."""
    if operation.request is None or not operation.pipeline.costs.may_stop:
        return None
    return _reservation(operation, operation.request)


def _reservation(operation: Operation, request: ModelRequest) -> Reservation | None:
    from ai_dev_squad.costs import BudgetExceeded

    costs = operation.pipeline.costs
    try:
        return costs.reserve(
            operation.attribution,
            input_tokens=_count(request.prompt, request, costs) or 0,
            max_output_tokens=request.max_output_tokens,
            service_tier=request.service_tier,
            server_address=_address(operation, request),
        )
    except BudgetExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - a failing estimate must not stop the user's call
        report("reserving budget", error)
        return None


def _address(operation: Operation, request: ModelRequest) -> str | None:
    """Where the call goes. Adapters that know it say so as an attribute; else the wire has seen it."""
    if request.server_address is not None:
        return request.server_address
    host = (operation.started_with or {}).get(keys.SERVER_ADDRESS)
    if host is None:
        return operation.attempts[-1].server_address if operation.attempts else None
    port = (operation.started_with or {}).get(keys.SERVER_PORT)
    return str(host) if port is None else f"{host}:{port}"


# --- after it ---------------------------------------------------------------------------------------------------------


def settle(operation: Operation, error: ErrorInfo | None) -> None:
    """Enter a call that ended in the ledger, unless its requests are in there already, and learn its cost."""
    try:
        if operation.request is not None and not operation.is_refused and not _bill(operation):
            if (operation.passed_on or operation.only_fetches) and operation.attempts is None:
                operation.usage = None  # that of the calls it made or asks about, which are entered themselves
            else:
                _settle(operation, operation.request)
        usage, outer = operation.usage, operation.parent
        if usage is not None and usage.source == "missing" and outer is not None and outer.passed_on:
            outer.passed_on -= 1  # nothing came of it
    finally:
        if operation.reservation is not None:
            operation.reservation.release()  # without effect once the call is in the ledger
        if operation.first_chunk_s is not None:
            operation.annotate({keys.RESPONSE_TIME_TO_FIRST_CHUNK: operation.first_chunk_s})
        operation.output = None  # which holds the answer: else it would be held until the closing line is written
        if operation.attempts is not None and not any(attempt.is_open for attempt in operation.attempts):
            operation.attempts = None  # they lead back here: with what they hold, they are freed at once


def _bill(operation: Operation) -> bool:
    """Take the sum of what its requests were billed, if the wire has seen any report of it."""
    attempts = operation.attempts
    if attempts is None or operation.cache_hit:
        return False
    for attempt in attempts:
        attempt.enter()
    if len(attempts) > 1:
        operation.annotate({keys.REQUESTS: len(attempts)})
    bills = [attempt.bill for attempt in attempts if attempt.bill is not None]
    if bills:
        operation.usage, operation.cost = summed(bills)
        return True
    if any(attempt.is_deferred for attempt in attempts):
        operation.usage = None  # the provider goes on with it, and somebody will be told
        return True
    for attempt in attempts:
        attempt.close()
    return False


def summed(bills: Sequence[Bill]) -> Bill:
    """Several requests as one. What is unknown of one is unknown of all; a part, such as cached tokens, is a sum."""
    first = bills[0]
    if len(bills) == 1:
        return first
    usages, costs = [bill.usage for bill in bills], [bill.cost for bill in bills]
    counts: dict[str, Any] = {}
    for name in Usage.__struct_fields__:
        if name != "source":
            values = [getattr(usage, name) for usage in usages]
            known = [value for value in values if value is not None]
            whole = name in {"input_tokens", "output_tokens"}
            counts[name] = sum(known) if known and (len(known) == len(values) or not whole) else None
    estimated = any(usage.source == "estimated" for usage in usages)
    unknown = next((cost for cost in costs if cost.usd is None), None)
    cost = unknown or replace(first.cost, usd=sum(cost.usd or 0.0 for cost in costs))
    return Bill(Usage(**counts, source="estimated" if estimated else "provider"), cost)


def _settle(operation: Operation, request: ModelRequest) -> None:
    assert operation.status is not None
    if operation.attempts is None and operation.usage is not None and not operation.cache_hit:
        SELF_CHECK.count("unseen")  # answered, and not by a door: gRPC, a websocket, a model of the program's own
    usage = operation.usage = _usage(operation, request, operation.pipeline.costs)
    operation.cost = enter(
        operation,
        request,
        usage,
        status=operation.status,
        duration_ms=operation.duration_ns / 1e6,
        response_model=(operation.ended_with or {}).get(keys.RESPONSE_MODEL),
        service_tier=operation.service_tier,
        reported_usd=operation.reported_usd,
        reservation=operation.reservation,
    )


def enter(
    operation: Operation,
    request: ModelRequest,
    usage: Usage,
    *,
    status: Status,
    duration_ms: float,
    response_model: str | None,
    service_tier: str | None,
    reported_usd: float | None,
    reservation: Reservation | None,
) -> Cost | None:
    """Enter what one request of a call was billed in ledger and budgets; returns what it cost."""
    return operation.pipeline.costs.record(
        operation.attribution,
        usage,
        duration_ms=duration_ms,
        trace_id=operation.trace_id,
        span_id=operation.span_id,
        status=status,
        prompt_hash=request.prompt_hash,
        attempt=operation.attempt,
        service_tier=service_tier or request.service_tier,
        response_model=response_model,
        server_address=_address(operation, request),
        cache_hit=operation.cache_hit,
        reported_usd=reported_usd,
        reservation=reservation,
    ).cost


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
    return completed(usage, operation, request)


def completed(usage: Usage, operation: Operation, request: ModelRequest) -> Usage:
    """The same with our own count of what the provider left out, or of what had arrived when a stream was left."""
    try:
        return _completed(usage, operation, request, operation.pipeline.costs)
    except Exception as error:  # noqa: BLE001 - an estimate is a courtesy
        report("estimating tokens", error)
        return usage


def _completed(usage: Usage, operation: Operation, request: ModelRequest, costs: CostTracker) -> Usage:
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if input_tokens is None:
        input_tokens = _count(request.prompt, request, costs)
    if output_tokens is None or operation.status != "ok":
        # Of an answer that was left, a provider has counted what it had said when it began. Without its text, the
        # events that came over the wire are about as many as its tokens.
        arrived = _count(operation.output, request, costs) or sum(item.pieces for item in operation.attempts or ())
        output_tokens = max(arrived, output_tokens or 0) or output_tokens
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
