"""The shapes of what a store adds up: totals, steps of time, rows of a table. Money is USD; ``None`` means unknown, never zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Group",
    "Growth",
    "Marked",
    "Point",
    "Step",
    "ToolCalls",
    "ToolEnds",
    "ToolInput",
    "ToolStep",
    "Totals",
    "Unpriced",
]

Unpriced: TypeAlias = tuple[str | None, str | None, int, str | None]
"""(provider, model, calls, reason) of calls without a known price."""


@dataclass(frozen=True)
class Totals:
    """What model calls cost and how runs went. Money and tokens are sums over model calls."""

    calls: int
    """Model calls."""
    call_errors: int
    runs: int
    """Root spans, and traces of which no root has arrived: such a one lasts from its first start to its last end."""
    run_errors: int
    """Of them, those that ended with status ``error``; without a root, as their first span did."""
    spans: int
    cost_usd: float
    """The sum of the known costs."""
    unpriced_calls: int
    """Calls whose cost is unknown, hence not in ``cost_usd``."""
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    estimated_calls: int
    """Calls whose tokens were estimated."""
    uncounted_calls: int
    """Calls whose tokens are unknown."""
    cache_saving_usd: float
    p50_us: int | None
    """Latency of model calls; ``None`` without calls. From a histogram: off by at most 5 %."""
    p95_us: int | None
    p99_us: int | None
    mean_us: int | None
    run_p50_us: int | None
    """Latency of runs."""
    run_p95_us: int | None
    run_p99_us: int | None


@dataclass(frozen=True)
class Point:
    """A step of a timeline for one framework (or whatever it is split by; ``None`` is a value as well)."""

    start_us: int
    key: str | None
    calls: int
    errors: int
    cost_usd: float
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Step:
    """How a tool, a model or whatever else has a name went in one step of a history; what is counted is what ``Group`` counts."""

    start_us: int
    calls: int
    errors: int
    p50_us: int | None
    """Latency of ``calls``; ``None`` without any. From a histogram: off by at most 5 %."""
    p95_us: int | None
    cost_usd: float
    unpriced_calls: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Group:
    """One row of a table by model, agent, tool and so on. ``calls`` counts what the key names: model calls by model and
    provider, tool calls by tool, agent invocations by agent, runs by workflow, model calls otherwise. Money and tokens
    are those of the model calls in the group (an agent's: of the calls that carry its name). Latency is that of ``calls``.
    """

    key: str | None
    calls: int
    errors: int
    cost_usd: float
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cache_saving_usd: float
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    mean_us: int | None
    model_calls: int = 0
    """How many model calls money and tokens are those of."""
    latency: tuple[tuple[int, int], ...] = ()
    """The histogram behind the percentiles: (upper bound in us, count), ascending, without empty bins."""


@dataclass(frozen=True)
class ToolInput:
    """What the results of a tool took in the input of later model calls. An estimate: by their share of the captured characters."""

    tool: str
    calls: int
    """Model calls in whose input a result of the tool stood, where content was captured."""
    tokens: int
    """Input tokens of those calls that were results of the tool."""
    cost_usd: float
    """What those tokens cost, cached ones at their own price; the sum of what is known."""
    unpriced_calls: int
    """Calls of which that is not known."""


@dataclass(frozen=True)
class ToolCalls:
    """The model calls beneath executions of a tool. A call beneath a tool that another one called is beneath both, and the inner
    one's own; so own ones may be added up over tools, and all others may not.
    """

    tool: str
    calls: int
    cost_usd: float
    """The sum of what is known."""
    unpriced_calls: int
    own_calls: int
    """Those with no other tool in between."""
    own_cost_usd: float
    own_unpriced_calls: int


@dataclass(frozen=True)
class ToolStep:
    """What a tool cost in one step of a history."""

    start_us: int
    made_usd: float
    """The model calls beneath it."""
    read_usd: float
    """What its results took in the input of later model calls: an estimate."""


@dataclass(frozen=True)
class Marked:
    """What was thought of some runs under one name. A run speaks once, by its newest score and its newest label."""

    key: str | None
    """What the runs have in common."""
    name: str
    """What was judged."""
    runs: int
    """Runs with such a mark."""
    scored: int
    """Those with a score."""
    mean: float | None
    deviation: float | None
    """The standard deviation of the scores, of a sample; ``None`` for fewer than two."""
    lowest: float | None
    highest: float | None
    labels: tuple[tuple[str, int], ...]
    """(label, runs), the most frequent first, at most 20."""
    high: int
    """Runs with at least the score that was asked for."""
    cost_usd: float
    """What the runs cost as a whole; the sum of what is known."""
    unpriced_calls: int


@dataclass(frozen=True)
class ToolEnds:
    """How often a tool ended in one way."""

    tool: str
    status: str
    """As of a span; ``cancelled`` also where somebody did not allow it."""
    calls: int


@dataclass(frozen=True)
class Growth:
    """By how much one series of a metric that adds up grew in one step. What is counted from the start, and what since the point before,
    is told apart; a count that begins anew is no loss; a point that came twice counts once.
    """

    start_us: int
    name: str
    service: str | None
    attributes: str
    """JSON object, as it was sent: what tells the series from others."""
    value: float
