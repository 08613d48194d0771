"""What a run has cost: the tokens and the money of its model calls, captured against what was billed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ai_dev_squad import Usage
from ai_dev_squad.costs import CostTracker
from ai_dev_squad_dashboard.lab_results import LabCheck
from ai_dev_squad_parity.lab.captured import Captured, Operation
from ai_dev_squad_testing.model_server import CallRecord, Truth

__all__ = ["CUT", "answered", "billed", "cost", "difference", "price", "tokens"]

CUT = ("cancelled", "closed_early")
"""How calls end that were cut off."""

_COST_TOLERANCE = 1e-9


def price(model: str, call: CallRecord, provider: str = "openai") -> float | None:
    """What a call costs by the price table, in USD."""
    if call.billed is None:
        return 0.0
    billed = call.billed
    usage = Usage(
        input_tokens=billed.input_tokens,
        output_tokens=billed.output_tokens,
        cache_read_input_tokens=billed.cache_read_input_tokens,
        cache_write_input_tokens=billed.cache_write_input_tokens,
        reasoning_output_tokens=billed.reasoning_output_tokens,
        source="provider",
    )
    return CostTracker().price(model, provider, usage, service_tier=call.service_tier).usd


def billed(truth: Truth) -> tuple[CallRecord, ...]:
    """The calls that were answered in full."""
    return tuple(call for call in truth.calls if call.successful)


def answered(captured: Captured) -> list[Operation]:
    """The calls that had a whole answer, whatever the program made of it."""
    return [
        call
        for call in captured.billable
        if call.status == "ok" or (call.status == "error" and call.input_tokens is not None)
    ]


def tokens(captured: Captured, truth: Truth, *, estimated: bool = False) -> LabCheck:
    """The tokens of each call are those that were billed; with ``estimated``, those of a stream that was left say what they are."""
    found = Counter(
        (call.input_tokens, _output(call), call.cached_tokens or 0, call.reasoning_tokens or 0)
        for call in answered(captured)
    )
    true = Counter(
        (
            c.billed.input_tokens,
            c.billed.output_tokens,
            c.billed.cache_read_input_tokens,
            c.billed.reasoning_output_tokens,
        )
        for c in billed(truth)
        if c.billed
    )
    problems = [] if found == true else [difference(found, true, "(input, output, cached, reasoning)")]
    problems += _unlabelled(captured, truth) if estimated else []
    return LabCheck(
        name="tokens",
        ok=not problems,
        captured=_token_sum(found),
        truth=_token_sum(true),
        detail="; ".join(problems),
    )


def _output(call: Operation) -> int | None:
    # Embeddings have no output; some say so, others don't.
    return call.output_tokens or 0 if call.operation == "embeddings" else call.output_tokens


def _unlabelled(captured: Captured, truth: Truth) -> Iterator[str]:
    """What is wrong with the tokens of calls whose answer was left: an estimate, of no more than the whole, that says so."""
    whole = max((c.billed.output_tokens for c in truth.calls if c.billed and not c.successful), default=0)
    for call in captured.calls:
        if call.status not in CUT:
            continue
        if call.usage_source != "estimated":
            yield f"a call that was left has tokens of source {call.usage_source}, not estimated"
        elif not call.input_tokens or not 0 < (call.output_tokens or 0) <= whole:
            yield f"{call.input_tokens} in, {call.output_tokens} out of a call that was left; its whole answer has {whole}"


def _token_sum(counted: Counter[Any]) -> str:
    sums = [sum((key[index] or 0) * times for key, times in counted.items()) for index in range(4)]
    return "{} in, {} out, {} cached, {} reasoning".format(*sums)


def cost(captured: Captured, truth: Truth, provider: str = "openai", said_usd: float | None = None) -> LabCheck:
    """The cost is what the provider has said (``said_usd``), or that of the billed tokens by the price table."""
    priced = [said_usd if said_usd is not None else price(call.model, call, provider) for call in billed(truth)]
    true = sum(value for value in priced if value is not None)
    costs = [call.cost_usd for call in answered(captured)]
    found = sum(value for value in costs if value is not None)
    known = None not in priced
    ok = abs(found - true) <= _COST_TOLERANCE and (None in costs) != known
    if not costs and not priced:
        ok = True
    return LabCheck(name="cost", ok=ok, captured=f"${found:.6f}", truth=f"${true:.6f}" if known else "unknown price")


def difference(found: Counter[Any], true: Counter[Any], what: str) -> str:
    """What is missing, and what is too much."""
    parts: Iterable[str] = (
        *(f"missing {key} x {times}" for key, times in (true - found).items()),
        *(f"too many {key} x {times}" for key, times in (found - true).items()),
    )
    return f"{what}: {', '.join(parts)}"
