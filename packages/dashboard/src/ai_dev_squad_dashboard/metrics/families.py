"""The metrics and their names, as Prometheus reads them.

Boundaries of histograms are edges of the store's own bins, powers of two of a microsecond, so that no call stands in the wrong one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ai_dev_squad.prometheus import LONGEST_NAME, OCTAVES
from ai_dev_squad_dashboard.budgets import watched
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.safe_text import safe_line
from ai_dev_squad_dashboard.store.base import StoreError
from ai_dev_squad_dashboard.store.percentiles import BINS_PER_OCTAVE
from ai_dev_squad_dashboard.views.coverage import coverage

from .counting import Durations, Names, Sums, Tally

__all__ = ["SiteCollector"]

_P: Final = "ai_dev_squad"
_CALL: Final = ("framework", "provider", "model")


class SiteCollector(Collector):
    """All metrics of one dashboard, asked of its store when they are scraped."""

    def __init__(self, site: Site, tally: Tally) -> None:
        self._site = site
        self._tally = tally

    def describe(self) -> list[Metric]:
        """Nothing is asked of the store before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric. Where the store does not answer, those of this process are told and ``up`` says so."""
        answers = True
        found: list[Metric] = []
        try:
            self._tally.refresh()
            found = [*_arrived(self._tally), *_budgets(self._site), *_stored(self._site)]
        except StoreError:
            answers = False
        yield from found
        yield _gauge("store_up", "1 where the store answers, 0 where it does not.", float(answers))
        yield from _queue(self._site)
        yield from _forwarded(self._site)


def _arrived(tally: Tally) -> Iterator[Metric]:
    yield _statuses("runs", "Runs that have ended.", ("framework",), tally.runs)
    yield _statuses("tool_calls", "Tool calls that have ended.", ("framework",), tally.tools)
    yield _statuses("model_calls", "Model calls that have ended.", _CALL, tally.calls)
    yield _counter(
        "cost_usd", "What model calls cost, in USD, as far as their price is known.", _CALL,
        {names: sums.cost_usd for names, sums in tally.calls.items()},
    )  # fmt: skip
    yield _counter(
        "unpriced_model_calls", "Model calls whose cost is unknown, hence not in the sum of costs.", _CALL,
        {names: sums.unpriced for names, sums in tally.calls.items()},
    )  # fmt: skip
    yield _counter(
        "tokens",
        "Tokens. cache_read and cache_write are among input, reasoning is among output.",
        (*_CALL, "kind"),
        {(*names, kind): count for names, sums in tally.calls.items() for kind, count in sums.tokens.items()},
    )
    yield _histogram(
        "run_duration_seconds", "How long runs took.", ("framework",),
        {names: sums.duration for names, sums in tally.runs.items()},
    )  # fmt: skip
    yield _histogram(
        "model_call_duration_seconds", "How long model calls took.", _CALL,
        {names: sums.duration for names, sums in tally.calls.items()},
    )  # fmt: skip
    yield _histogram(
        "time_to_first_chunk_seconds", "How long streamed answers took to begin.", _CALL,
        {names: Durations(sums.first_chunk) for names, sums in tally.calls.items() if sums.first_chunk},
        summed=False,
    )  # fmt: skip


def _budgets(site: Site) -> Iterator[Metric]:
    budgets = watched(site.store, site.settings.budgets, time.time_ns() // 1000)
    values: dict[str, tuple[str, list[float]]] = {
        "limit": ("The limit of a budget that is watched here, in USD.", [each.limit_usd for each in budgets]),
        "spent": ("What is spent of a budget in its period, in USD.", [each.spent_usd for each in budgets]),
        "remaining": (
            "What is left of a budget in its period, in USD; 0 when it is spent.",
            [max(0.0, each.limit_usd - each.spent_usd) for each in budgets],
        ),
        "forecast": (
            "What will be spent of a budget at the end of its period, if it goes on as now, in USD.",
            [each.forecast_usd for each in budgets],
        ),
    }
    for name, (about, amounts) in values.items():
        family = GaugeMetricFamily(f"{_P}_budget_{name}_usd", about, labels=("budget", "period"))
        for each, amount in zip(budgets, amounts, strict=True):
            family.add_metric((safe_line(each.name, 80), each.period), amount)
        yield family


def _stored(site: Site) -> Iterator[Metric]:
    state = site.store.state()
    yield _gauge("store_bytes", "The size of the store.", state.bytes)
    yield _gauge("store_spans", "Spans in the store.", state.spans)
    if state.newest_us is not None:
        yield _gauge(
            "newest_span_timestamp_seconds", "When the newest span ended, in seconds since 1970.", state.newest_us / 1e6
        )
    calls = coverage(site, Query.parse([]))
    yield _gauge("day_model_calls_seen", "Model calls that left observed programs in the last 24 hours.", calls.seen)
    yield _gauge("day_model_calls_captured", "Those of them that were captured.", calls.captured + calls.unobserved)


def _queue(site: Site) -> Iterator[Metric]:
    queue = site.queue.state()
    yield _gauge("pending_rows", "Rows that wait to be written.", queue.pending_rows)
    yield _gauge("pending_rows_limit", "Rows above which senders are told to come again.", queue.max_pending_rows)
    for name, about, value in (
        ("written_spans", "Spans that were written.", queue.written_spans),
        ("duplicate_spans", "Spans that were there already.", queue.duplicates),
        ("dropped_rows", "Rows that could not be written; their senders were told.", queue.dropped),
        ("refused_batches", "Batches that were told to come again, because too much waited.", queue.refused),
    ):
        yield _counter(name, about, (), {(): value})
    bad = sum(source.bad_lines for source in site.sources())
    yield _counter("bad_journal_lines", "Lines of journals that are none and were skipped.", (), {(): bad})


def _forwarded(site: Site) -> Iterator[Metric]:
    if site.forwarder is None:
        return
    state = site.forwarder.state()
    ended = {"sent": state.sent, "dropped": state.dropped, "refused": state.refused}
    yield _counter(
        "forwarded_requests",
        "Requests of OTLP sent on; outcome: sent, dropped because too much waited, refused by the other end.",
        ("outcome",),
        {(name,): count for name, count in ended.items()},
    )
    yield _counter(
        "forward_retries", "Attempts to send on that were in vain and are repeated.", (), {(): state.retried}
    )
    yield _gauge("forward_waiting_bytes", "What waits to be sent on.", state.waiting_bytes)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_P}_{name}", about, value=value)


def _counter(name: str, about: str, labels: Names, values: Mapping[Names, float]) -> Metric:
    family = CounterMetricFamily(f"{_P}_{name}", about, labels=labels)
    for names, value in values.items():
        family.add_metric([safe_line(each, LONGEST_NAME) for each in names], value)
    return family


def _statuses(name: str, about: str, labels: Names, series: Mapping[Names, Sums]) -> Metric:
    values: dict[Names, float] = {}
    for names, sums in series.items():
        values[(*names, "error")] = sums.errors
        values[(*names, "ok")] = sums.count - sums.errors
    return _counter(name, f"{about} status: error, or ok for all others.", (*labels, "status"), values)


def _histogram(
    name: str, about: str, labels: Names, series: Mapping[Names, Durations], *, summed: bool = True
) -> Metric:
    family = HistogramMetricFamily(f"{_P}_{name}", about, labels=labels)
    for names, durations in series.items():
        total = sum(durations.bins.values())
        buckets: list[Any] = [
            (str(2**octave / 1e6), sum(n for bin_, n in durations.bins.items() if bin_ <= octave * BINS_PER_OCTAVE))
            for octave in OCTAVES
        ]
        family.add_metric(
            [safe_line(each, LONGEST_NAME) for each in names],
            [*buckets, ("+Inf", total)],
            sum_value=durations.total_us / 1e6 if summed else None,
        )
    return family
