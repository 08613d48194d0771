"""Advice, and the calls it is drawn from: sorted, grouped and summed so that the order of entries changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timezone
from typing import Any, Literal, TypeAlias

from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.costs.money import PICO, to_pico
from ai_dev_squad.schema import Usage

__all__ = [
    "FAILED",
    "Advice",
    "AdviceKind",
    "Call",
    "Confidence",
    "PriceOf",
    "answered",
    "by_text",
    "calls_of",
    "conversations",
    "grouped",
    "of_agent",
    "spent",
    "spent_on",
]

AdviceKind = Literal[
    "cheaper_model",
    "prompt_cache",
    "repeated_prompts",
    "failed_calls",
    "retried_calls",
    "context_growth",
    "unknown_price",
]

Confidence = Literal["high", "medium", "low"]
"""high: counted; medium: counted, but whether it can be avoided is for you to say; low: rests on an assumption."""

PriceOf: TypeAlias = Callable[[str, str, Usage], "int | None"]
"""Model, provider and usage to picodollars, or ``None`` where no price is known."""

FAILED = frozenset({"error", "cancelled", "abandoned"})
"""Statuses of calls that brought nothing."""


@dataclass(frozen=True)
class Advice:
    """One way to spend less. ``amount_usd`` is ``None`` when it can't be told, and ``reason`` then says why."""

    kind: AdviceKind
    title: str
    evidence: Mapping[str, Any] = field(hash=False)
    """The numbers it rests on."""
    amount_usd: float | None
    confidence: Confidence
    action: str
    """What to do."""
    reason: str | None = None


@dataclass(frozen=True)
class Call:
    """An entry made ready for the rules. ``cost`` is in picodollars, ``at`` in seconds since the epoch."""

    entry: CostEntry
    usage: Usage
    cost: int | None
    at: float
    input: int
    output: int

    @property
    def model(self) -> tuple[str, str]:
        """Provider and model."""
        return self.entry.provider, self.entry.model_name

    @property
    def failed(self) -> bool:
        """Whether the call brought nothing."""
        return self.entry.status in FAILED

    @property
    def unpriced(self) -> bool:
        """Whether its tokens are known and their price is not."""
        return self.cost is None and self.usage.source != "missing"


def calls_of(entries: Iterable[CostEntry]) -> list[Call]:
    """The entries in an order that depends on nothing but their content."""
    return sorted(map(_call, entries), key=_order)


def _call(entry: CostEntry) -> Call:
    stamp = entry.timestamp if entry.timestamp.tzinfo else entry.timestamp.replace(tzinfo=timezone.utc)
    usage = entry.usage or Usage(
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        source="estimated" if entry.estimated else "provider",
    )
    usd = entry.cost_usd
    # A ledger read from elsewhere may hold anything; what is no amount of money is not known.
    cost = to_pico(usd) if usd is not None and 0 <= usd < float("inf") else None
    return Call(entry, usage, cost, stamp.timestamp(), usage.input_tokens or 0, usage.output_tokens or 0)


def _order(call: Call) -> tuple[Any, ...]:
    entry = call.entry
    labels = (entry.span_id, entry.trace_id, entry.session_id, entry.agent_id, entry.framework, entry.prompt_hash)
    numbers = (call.input, call.output, -1 if call.cost is None else call.cost, entry.attempt or 0)
    return (call.at, *call.model, *(label or "" for label in labels), *numbers, entry.status)


def answered(calls: list[Call]) -> list[Call]:
    """Those that brought an answer, and of which tokens and price are known."""
    return [call for call in calls if call.entry.status == "ok" and call.cost is not None and call.input + call.output]


def spent(calls: Iterable[Call]) -> int:
    """What they cost together in picodollars; those without a known price count for nothing."""
    return sum(call.cost or 0 for call in calls)


def spent_on(
    calls: list[Call], *, kind: AdviceKind, title: str, evidence: dict[str, Any], confidence: Confidence, action: str
) -> Iterator[Advice]:
    """What these calls cost; nothing when they were free, and no amount when no price is known for any."""
    unpriced = sum(call.unpriced for call in calls)
    total = spent(calls)
    if unpriced:
        evidence = {**evidence, "of_unknown_price": unpriced}
    if total:
        yield Advice(kind, title, evidence, total / PICO, confidence, action)
    elif unpriced:
        yield Advice(kind, title, evidence, None, confidence, action, "no price is known for these calls")


def grouped(calls: Iterable[Call], key: Callable[[Call], Any]) -> list[tuple[Any, list[Call]]]:
    """The calls that have a key in common, each in the order given; the keys are tuples, in the order of ``by_text``."""
    groups: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        groups[key(call)].append(call)
    return by_text(groups)


def by_text(groups: Mapping[Any, list[Any]]) -> list[tuple[Any, list[Any]]]:
    """Groups in the order of their keys as text, so that keys of which parts are missing can be put in order, too."""
    return sorted(groups.items(), key=lambda item: tuple("" if part is None else str(part) for part in item[0]))


def conversations(calls: list[Call]) -> list[tuple[tuple[str, str, str | None, str], list[Call]]]:
    """The answered calls of one agent to one model in one session (or, without a session, one trace), in order."""
    told = [call for call in calls if call.entry.status == "ok" and (call.entry.session_id or call.entry.trace_id)]
    return grouped(told, lambda call: (*call.model, call.entry.agent_id, call.entry.session_id or call.entry.trace_id))


def of_agent(agent: str | None) -> str:
    """The words for an agent in a title, before the model's; none where no agent is known."""
    return f"agent {agent} on " if agent else ""
