"""A program's own metrics for a Prometheus: what it called, used, spent and lost, under the names that the dashboard uses too.

Needs the extra ``prometheus``. Operations are counted where they end; budgets, coverage and what was dropped are asked
when somebody scrapes. No session, user, agent or trace is a label, and of the names that a program makes up only so
many are told apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ai_dev_squad import state
from ai_dev_squad.events.journal import Journal
from ai_dev_squad.kinds import TOOL
from ai_dev_squad.wire.coverage import coverage

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from ai_dev_squad.costs.budgets import BudgetStatus
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import ErrorInfo, Usage

__all__ = ["LONGEST_NAME", "MOST_NAMES", "OCTAVES", "OTHER", "ProgramMetrics", "load"]

_PREFIX: Final = "ai_dev_squad_"
_CALL: Final = ("framework", "provider", "model")
OCTAVES: Final = range(16, 30)
"""Boundaries of histograms, as powers of two of a microsecond: from 66 ms to 9 minutes."""
MOST_NAMES: Final = 200
"""Of names that are told apart; what comes beyond is counted under ``OTHER``, so that nobody can fill a Prometheus."""
OTHER: Final = "(other)"
LONGEST_NAME: Final = 120
"""Characters of a label."""
_SECONDS: Final = tuple(2**octave / 1e6 for octave in OCTAVES)
_TOKEN_KINDS: Final = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_write_input_tokens",
    "reasoning": "reasoning_output_tokens",
}

Names = tuple[str, ...]


class ProgramMetrics:
    """Counters and histograms of one process, and a collector for a registry of ``prometheus_client``. Safe under threads."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._own = CollectorRegistry()

        def counter(name: str, about: str, labels: Sequence[str]) -> Counter:
            return Counter(_PREFIX + name, about, labels, registry=self._own)

        def histogram(name: str, about: str, labels: Sequence[str]) -> Histogram:
            return Histogram(_PREFIX + name, about, labels, registry=self._own, buckets=_SECONDS)

        self._calls = counter("model_calls", "Model calls that have ended; status: error, or ok.", (*_CALL, "status"))
        self._cost = counter("cost_usd", "What model calls cost, in USD, as far as their price is known.", _CALL)
        self._unpriced = counter("unpriced_model_calls", "Model calls whose cost is unknown.", _CALL)
        self._tokens = counter(
            "tokens", "Tokens; cache_read, cache_write and reasoning are among them.", (*_CALL, "kind")
        )
        self._duration = histogram("model_call_duration_seconds", "How long model calls took.", _CALL)
        self._first_chunk = histogram("time_to_first_chunk_seconds", "How long streamed answers took to begin.", _CALL)
        self._refused = counter("refused_model_calls", "Model calls that a budget or the loop guard refused.", _CALL)
        self._runs = counter("runs", "Runs that have ended; status: error, or ok.", ("framework", "status"))
        self._run_duration = histogram("run_duration_seconds", "How long runs took.", ("framework",))
        self._tools = counter(
            "tool_calls", "Tool calls that have ended; status: error, or ok.", ("framework", "status")
        )
        self._known: set[Names] = set()
        self._lock = threading.Lock()

    def operation_ended(self, operation: Operation, error: ErrorInfo | None) -> None:
        """Count an operation that has ended."""
        status = "error" if operation.status == "error" else "ok"
        framework = operation.framework[:LONGEST_NAME]
        seconds = operation.duration_ns / 1e9
        trace = {"trace_id": operation.trace_id}
        if operation.kind.is_model_call:
            self._model_call(operation, framework, status, seconds, trace)
        elif operation.kind is TOOL:
            self._tools.labels(self._told((framework,))[0], status).inc()
        if operation.parent is None and not operation.is_refused:
            (framework,) = self._told((framework,))
            self._runs.labels(framework, status).inc()
            self._run_duration.labels(framework).observe(seconds, trace)

    def _model_call(
        self, operation: Operation, framework: str, status: str, seconds: float, trace: dict[str, str]
    ) -> None:
        request = operation.request
        provider, model = (None, None) if request is None else (request.provider, request.model)
        names = self._told((framework, str(provider or "")[:LONGEST_NAME], str(model or operation.name)[:LONGEST_NAME]))
        if operation.is_refused:
            self._refused.labels(*names).inc()
            return
        self._calls.labels(*names, status).inc()
        self._duration.labels(*names).observe(seconds, trace)
        if operation.first_chunk_s is not None:
            self._first_chunk.labels(*names).observe(operation.first_chunk_s, trace)
        cost, usage = operation.cost, operation.usage
        if cost is None or cost.usd is None:
            self._unpriced.labels(*names).inc()
        else:
            self._cost.labels(*names).inc(cost.usd)
        if usage is not None:
            self._count_tokens(names, usage)

    def _count_tokens(self, names: Names, usage: Usage) -> None:
        for kind, field in _TOKEN_KINDS.items():
            if count := getattr(usage, field):
                self._tokens.labels(*names, kind).inc(count)

    def _told(self, names: Names) -> Names:
        """The names, or that of all others: a program that makes up models must not fill a Prometheus."""
        if names in self._known:
            return names
        with self._lock:
            if len(self._known) < MOST_NAMES:
                self._known.add(names)
                return names
        return tuple(OTHER for _ in names)

    # --- what is asked when somebody scrapes ------------------------------------------------------------------------------

    def describe(self) -> list[Metric]:
        """Nothing is asked before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric, as a collector of ``prometheus_client``."""
        yield from self._own.collect()
        pipeline = state.current()
        if pipeline is None:
            return
        yield from _budgets(pipeline.costs.budget_manager.status())
        journal = pipeline.logger.journal
        if isinstance(journal, Journal):
            lines = journal.stats
            yield _counter("journal_lines", "Lines that were written to the journal.", lines.written)
            yield _counter("dropped_journal_lines", "Lines that were given up: the queue was full.", lines.dropped)
        seen = coverage()
        yield _counter("seen_model_calls", "Model calls that left the program.", seen.seen)
        yield _counter("captured_model_calls", "Those of them that were captured.", seen.captured + seen.unobserved)


def _budgets(budgets: Sequence[BudgetStatus]) -> Iterator[Metric]:
    """One sample a budget: of one that is ``per`` something what its values come to, and what the tightest has left."""
    from prometheus_client.metrics_core import GaugeMetricFamily

    by_name: dict[tuple[str, str], list[BudgetStatus]] = {}
    for each in budgets:
        by_name.setdefault((each.name[:LONGEST_NAME], each.period), []).append(each)
    values: dict[str, tuple[str, Callable[[list[BudgetStatus]], float]]] = {
        "limit": ("The limit of a budget, in USD.", lambda found: found[0].limit_usd),
        "spent": (
            "What is spent of a budget in its period, in USD.",
            lambda found: sum(each.spent_usd for each in found),
        ),
        "reserved": (
            "What is set aside for calls that run now, in USD.",
            lambda found: sum(each.reserved_usd for each in found),
        ),
        "remaining": ("What a new call may cost, in USD.", lambda found: min(each.remaining_usd for each in found)),
    }
    for name, (about, of) in values.items():
        family = GaugeMetricFamily(f"{_PREFIX}budget_{name}_usd", about, labels=("budget", "period"))
        for labels, found in by_name.items():
            family.add_metric(labels, of(found))
        yield family


def _counter(name: str, about: str, value: int) -> Metric:
    from prometheus_client.metrics_core import CounterMetricFamily

    family: Metric = CounterMetricFamily(_PREFIX + name, about, value=value)
    return family


def load() -> ProgramMetrics:
    """What counts. Raises ``ImportError`` with the cure where ``prometheus_client`` is missing."""
    try:
        return ProgramMetrics()
    except ImportError as error:
        raise ImportError(
            f"metrics for a Prometheus need prometheus_client ({error}); install it with: pip install 'ai-dev-squad[prometheus]'"
        ) from None
