"""The rules behind a savings report: pure functions from calls and prices to advice.

Every amount is what the calls in the ledger would have cost less, had the advice been followed then: never below 0 and
never above what those calls did cost. Sums are in whole picodollars, so the order of entries changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median_low
from typing import TypeAlias

import msgspec

from ai_dev_squad.costs.advice.calls import (
    FAILED,
    Advice,
    Call,
    PriceOf,
    answered,
    by_text,
    conversations,
    grouped,
    of_agent,
    spent,
    spent_on,
)
from ai_dev_squad.costs.advice.candidates import BANDS, band_of, candidates_for
from ai_dev_squad.costs.money import PICO
from ai_dev_squad.schema import Usage

__all__ = ["RULES", "Rule"]

Rule: TypeAlias = Callable[["list[Call]", PriceOf], Iterator[Advice]]
"""From calls and prices to advice."""

CACHE_MINIMUM_TOKENS = 1024
"""The shortest input that OpenAI caches, and Anthropic for most models."""
CACHE_LIFETIME_S = 300.0
"""How long a cache lives at least: https://platform.openai.com/docs/guides/prompt-caching and
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
"""

GROWTH_CALLS = 5
"""The fewest calls of a conversation that is said to grow,"""
GROWTH_FACTOR = 2
"""and how many times its first input the last one is at least,"""
GROWTH_STEADY = 0.8
"""and the share of its steps that made it longer. Chosen so that a conversation that was trimmed once isn't one."""


# --- cheaper model ----------------------------------------------------------------------------------------------------

_MIX = Usage(input_tokens=3000, output_tokens=1000, source="estimated")
_MIXES_IN_A_MILLION = 250


def cheaper_model(calls: list[Call], price: PriceOf) -> Iterator[Advice]:
    """The same calls at the price of another model of the same maker, in the same price band or one below."""
    for (provider, model), group in grouped(answered(calls), lambda call: call.model):
        total = spent(group)
        band = _band(price, model, provider)
        if not total or band is None:
            continue
        largest = max(call.input + call.output for call in group)
        best: tuple[int, int, str] | None = None
        for other in candidates_for(model, largest):
            step = band - other_band if (other_band := _band(price, other, provider)) is not None else -1
            if step not in {0, 1}:
                continue
            costs = [price(other, provider, call.usage) for call in group]
            if None not in costs and sum(filter(None, costs)) < total:
                # Within the band first, then the cheapest, then by name.
                best = min(filter(None, [best, (step, sum(filter(None, costs)), other)]))
        if best is None:
            continue
        step, cost, other = best
        yield Advice(
            kind="cheaper_model",
            title=f"{other} instead of {model} ({provider})",
            evidence={
                "calls": len(group),
                "spent_usd": total / PICO,
                "suggested_usd": cost / PICO,
                "price_band": BANDS[band][0],
                "suggested_price_band": BANDS[band - step][0],
                "median_input_tokens": median_low(call.input for call in group),
                "median_output_tokens": median_low(call.output for call in group),
                "largest_call_tokens": largest,
                "basis": "price only: the same token counts at the other model's price; quality was not compared",
            },
            amount_usd=(total - cost) / PICO,
            confidence="medium" if step == 0 else "low",
            action=f"Try {other} on a sample of these calls and compare the answers before you switch.",
        )


def _band(price: PriceOf, model: str, provider: str) -> int | None:
    cost = price(model, provider, _MIX)
    return None if not cost else band_of(cost * _MIXES_IN_A_MILLION / PICO)


# --- prompt cache -----------------------------------------------------------------------------------------------------


def prompt_cache(calls: list[Call], price: PriceOf) -> Iterator[Advice]:
    """Large inputs that follow one another in one conversation and were all paid at the full price."""
    found: dict[tuple[str, str, str | None], list[tuple[int, int]]] = defaultdict(list)
    for (provider, model, agent, _), chain in conversations(calls):
        writes = model.rpartition("/")[2].startswith("claude")  # whose caches cost extra to write
        written: Call | None = None
        for first, second in pairwise(chain):
            if not _could_have_been_cached(first, second):
                continue
            saving = _cache_saving(first, second, price, writes=writes, written=first is written)
            if saving is not None and saving > 0:
                found[provider, model, agent].append((min(saving, second.cost or 0), first.input))
                written = second
    for (provider, model, agent), savings in by_text(found):
        amount = sum(saving for saving, _ in savings)
        yield Advice(
            kind="prompt_cache",
            title=f"Prompt caching for {of_agent(agent)}{model} ({provider})",
            evidence={
                "calls_without_cache_reads": len(savings),
                "tokens_sent_again": sum(tokens for _, tokens in savings),
                "assumption": (
                    f"a call that follows within {CACHE_LIFETIME_S:.0f} s in the same conversation with at least as "
                    f"many input tokens ({CACHE_MINIMUM_TOKENS} or more) begins with the input of the call before"
                ),
            },
            amount_usd=amount / PICO,
            confidence="low",
            action=(
                "Keep the beginning of the prompt the same from call to call (instructions and tools first, what "
                "changes last) and switch the provider's prompt cache on."
            ),
        )


def _could_have_been_cached(first: Call, second: Call) -> bool:
    return (
        CACHE_MINIMUM_TOKENS <= first.input <= second.input
        and second.at - first.at <= CACHE_LIFETIME_S
        and not second.usage.cache_read_input_tokens
        and bool(second.cost)
    )


def _cache_saving(first: Call, second: Call, price: PriceOf, *, writes: bool, written: bool) -> int | None:
    provider, model = second.model
    cached = msgspec.structs.replace(
        second.usage,
        cache_read_input_tokens=first.input,
        cache_write_input_tokens=second.input - first.input if writes else second.usage.cache_write_input_tokens,
    )
    full, reduced = price(model, provider, second.usage), price(model, provider, cached)
    extra = 0
    if writes and not written and not first.usage.cache_write_input_tokens and not first.usage.cache_read_input_tokens:
        # Where writing the cache costs extra, the call before would have paid for it.
        writing = msgspec.structs.replace(first.usage, cache_write_input_tokens=first.input)
        before, after = price(model, provider, first.usage), price(model, provider, writing)
        extra = max(0, after - before) if before is not None and after is not None else 0
    return None if full is None or reduced is None else full - reduced - extra


# --- repeated, failed and retried calls -------------------------------------------------------------------------------


def repeated_prompts(calls: list[Call], price: PriceOf) -> Iterator[Advice]:
    """The same prompt sent to the same model again, though it had been answered."""
    found: dict[tuple[str, str], list[list[Call]]] = defaultdict(list)
    hashed = [call for call in calls if call.entry.prompt_hash and not call.failed and (call.entry.attempt or 1) == 1]
    for key, group in grouped(hashed, lambda call: (*call.model, call.entry.prompt_hash)):
        if len(group) > 1:
            found[key[0], key[1]].append(group)
    for (provider, model), groups in by_text(found):
        again = [call for group in groups for call in group[1:]]
        yield from spent_on(
            again,
            kind="repeated_prompts",
            title=f"Identical prompts to {model} ({provider})",
            evidence={"prompts": len(groups), "repeated_calls": len(again), "most_often": max(map(len, groups))},
            confidence="medium",
            action="Cache the answers in your program, or ask once and pass the answer on.",
        )


def failed_calls(calls: list[Call], price: PriceOf) -> Iterator[Advice]:
    """Calls that cost something and brought nothing."""
    for (provider, model), group in grouped([call for call in calls if call.failed], lambda call: call.model):
        statuses = {status: sum(call.entry.status == status for call in group) for status in sorted(FAILED)}
        yield from spent_on(
            group,
            kind="failed_calls",
            title=f"Failed calls to {model} ({provider})",
            evidence={"failed_calls": len(group), **{status: count for status, count in statuses.items() if count}},
            confidence="high",
            action="Look at the errors in the journal: time-outs and refusals after the answer began are paid for.",
        )


def retried_calls(calls: list[Call], price: PriceOf) -> Iterator[Advice]:
    """Answers that were paid for and thrown away, because the step around them was tried again."""
    wasted: list[Call] = []
    traced = [call for call in calls if call.entry.trace_id]
    for _, group in grouped(traced, lambda call: (*call.model, call.entry.trace_id, call.entry.agent_id or "")):
        by_attempt: dict[int, list[Call]] = defaultdict(list)
        for call in group:
            attempt = call.entry.attempt or 1
            if attempt > 1 and by_attempt[attempt - 1]:
                superseded = by_attempt[attempt - 1].pop()
                if not superseded.failed:
                    wasted.append(superseded)
            by_attempt[attempt].append(call)
    for (provider, model), group in grouped(wasted, lambda call: call.model):
        yield from spent_on(
            group,
            kind="retried_calls",
            title=f"Answers of {model} ({provider}) that a retry threw away",
            evidence={"superseded_calls": len(group)},
            confidence="medium",
            action="Retry the part that failed, not the model call before it: split the step, or keep the answer.",
        )


# --- context growth ---------------------------------------------------------------------------------------------------


def context_growth(calls: list[Call], price: PriceOf) -> Iterator[Advice]:
    """Conversations whose input only grows: every call pays for all calls before it."""
    found: dict[tuple[str, str, str | None], list[tuple[int | None, list[Call]]]] = defaultdict(list)
    for (provider, model, agent, _), chain in conversations(calls):
        if _grows(chain):
            found[provider, model, agent].append((_growth_cost(chain, price), chain))
    for (provider, model, agent), growths in by_text(found):
        amounts = [amount for amount, _ in growths if amount is not None]
        longest = max((chain for _, chain in growths), key=lambda chain: (chain[-1].input, len(chain)))
        yield Advice(
            kind="context_growth",
            title=f"Growing context of {of_agent(agent)}{model} ({provider})",
            evidence={
                "conversations": len(growths),
                "calls": sum(len(chain) for _, chain in growths),
                "first_input_tokens": longest[0].input,
                "last_input_tokens": longest[-1].input,
                "assumption": f"input kept at {GROWTH_FACTOR} times that of a conversation's first call",
            },
            amount_usd=sum(amounts) / PICO if amounts else None,
            confidence="low",
            action="Summarise or trim the history, and leave tool results out once they have been used.",
            reason=None if amounts else "no price is known for these calls",
        )


def _grows(chain: list[Call]) -> bool:
    if len(chain) < GROWTH_CALLS or not 0 < chain[0].input * GROWTH_FACTOR <= chain[-1].input:
        return False
    steps = [second.input > first.input for first, second in pairwise(chain)]
    return sum(steps) >= GROWTH_STEADY * len(steps)


def _growth_cost(chain: list[Call], price: PriceOf) -> int | None:
    cap = chain[0].input * GROWTH_FACTOR
    saved = []
    for call in chain:
        if call.input <= cap or call.cost is None:
            continue
        fields = ("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "audio_input_tokens")
        values = {name: getattr(call.usage, name) for name in fields}
        capped = msgspec.structs.replace(
            call.usage, **{name: min(value, cap) for name, value in values.items() if value is not None}
        )
        full, reduced = (price(call.entry.model_name, call.entry.provider, usage) for usage in (call.usage, capped))
        if full is not None and reduced is not None:
            saved.append(max(0, min(full - reduced, call.cost)))
    return sum(saved) if saved else None


# --- unknown prices ---------------------------------------------------------------------------------------------------


def unknown_price(calls: list[Call], price: PriceOf) -> Iterator[Advice]:
    """Models that cost something nobody knows."""
    for (provider, model), group in grouped([call for call in calls if call.unpriced], lambda call: call.model):
        yield Advice(
            kind="unknown_price",
            title=f"Unknown price of {model} ({provider})",
            evidence={"calls": len(group), "tokens": sum(call.input + call.output for call in group)},
            amount_usd=None,
            confidence="high",
            action="Add its price with add_pricing_model; until then no budget and no advice counts these calls.",
            reason=next(
                (c.entry.cost.reason for c in group if c.entry.cost and c.entry.cost.reason), "no price is known"
            ),
        )


RULES: tuple[Rule, ...] = (
    cheaper_model,
    prompt_cache,
    repeated_prompts,
    failed_calls,
    retried_calls,
    context_growth,
    unknown_price,
)
