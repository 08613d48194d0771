"""The developer guide's three answers, with its keys, from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .query import Query
from .store.base import Store
from .views.parity import lab

__all__ = ["cost_analysis", "metrics", "parity_matrix"]


def metrics(store: Store, query: Query) -> Mapping[str, Any]:
    """``/api/metrics``: totals of model calls (USD, tokens, requests, mean latency in ms), by model, and over time."""
    with store.snapshot():
        totals = store.totals(query.selection)
        return {
            "total_cost_usd": totals.cost_usd,
            "total_tokens": totals.input_tokens + totals.output_tokens,
            "total_requests": totals.calls,
            "avg_response_time_ms": (totals.mean_us or 0) / 1000,
            "cost_by_model": {
                group.key or "unknown": group.cost_usd for group in store.groups(query.selection, "model", limit=200)
            },
            "usage_over_time": [
                {
                    "timestamp_ms": point.start_us // 1000,
                    "framework": point.key,
                    "requests": point.calls,
                    "errors": point.errors,
                    "tokens": point.input_tokens + point.output_tokens,
                    "cost_usd": point.cost_usd,
                }
                for point in store.timeline(query.selection, query.step_us)
            ],
            # Beyond the guide: a sum that leaves something out says so.
            "unpriced_requests": totals.unpriced_calls,
            "p95_response_time_ms": None if totals.p95_us is None else totals.p95_us / 1000,
        }


def cost_analysis(store: Store, query: Query) -> Mapping[str, Any]:
    """``/api/cost-analysis``: cost in USD by each key, over time, what caching saved, and which prices are unknown."""
    with store.snapshot():
        totals = store.totals(query.selection)
        by = ("model", "provider", "agent", "framework", "session")
        return {
            "total_cost_usd": totals.cost_usd,
            "cache_saving_usd": totals.cache_saving_usd,
            **{
                f"cost_by_{key}": {
                    group.key or "unknown": group.cost_usd
                    for group in store.groups(query.selection, key, limit=200)  # type: ignore[arg-type]
                }
                for key in by
            },
            "cost_over_time": [
                {"timestamp_ms": point.start_us // 1000, "framework": point.key, "cost_usd": point.cost_usd}
                for point in store.timeline(query.selection, query.step_us)
            ],
            "unknown_prices": [
                {"provider": provider, "model": model, "calls": calls, "reason": reason}
                for provider, model, calls, reason in store.unpriced(query.selection)
            ],
        }


def parity_matrix(store: Store, query: Query, logs: Sequence[Path] = ()) -> Mapping[str, Any]:
    """``/api/parity-matrix``: the frameworks' real runs side by side (USD, tokens, ms), and what the lab left in ``logs``."""
    groups = store.groups(query.selection, "framework", order="key")
    return {
        "frameworks": {
            group.key or "unknown": {
                "requests": group.calls,
                "errors": group.errors,
                "input_tokens": group.input_tokens,
                "output_tokens": group.output_tokens,
                "cost_usd": group.cost_usd,
                "p50_ms": None if group.p50_us is None else group.p50_us / 1000,
                "p95_ms": None if group.p95_us is None else group.p95_us / 1000,
            }
            for group in groups
        },
        # Beyond the guide: the same scenarios executed on each framework.
        "lab": lab.build(logs, query),
    }
