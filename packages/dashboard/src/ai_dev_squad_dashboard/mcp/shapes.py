"""Records of pages, each as the little of it that answers a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .answer import milliseconds, moment, pick

__all__ = ["budget", "error_group", "group", "operation", "reported_budget", "run", "said", "text_of", "tool", "totals"]

_RUN: Final = (
    "trace_id name status framework service session_id user_id task version error_type resumes cost_usd unpriced_calls calls tools "
    "errors input_tokens output_tokens models asked answered"
)
_OPERATION: Final = "depth name operation status agent span_id error_type error_message cost_usd unpriced input_tokens output_tokens attempt loop"
_SUMS: Final = "calls errors cost_usd unpriced_calls input_tokens output_tokens cache_read_tokens cache_saving_usd"


def run(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the list of runs."""
    shown = pick(row, _RUN)
    return {**_without_zeros(shown, "unpriced_calls errors"), **_times(row)}


def operation(row: Mapping[str, Any], place: int | None = None) -> dict[str, Any]:
    """A row of a run's tree. ``waited_ms``: how long the run waited for just this operation."""
    return {
        "place": place,
        **_without_zeros(pick(row, _OPERATION), "unpriced input_tokens output_tokens cost_usd attempt loop"),
        "began_after_ms": milliseconds(row["at_us"]),
        "duration_ms": milliseconds(row["duration_us"]),
        "waited_ms": milliseconds(row["critical_us"]) or None,
    }


def group(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table by one name."""
    return {**pick(row, f"key {_SUMS} model_calls"), "p95_ms": milliseconds(row["p95_us"])}


def totals(sums: Mapping[str, Any]) -> dict[str, Any]:
    """Sums over a span of time."""
    shown = pick(
        sums,
        "runs run_errors calls call_errors cost_usd unpriced_calls input_tokens output_tokens cache_read_tokens "
        "cache_write_tokens reasoning_tokens estimated_calls uncounted_calls cache_saving_usd",
    )
    return {**shown, "p95_ms": milliseconds(sums["p95_us"]), "run_p95_ms": milliseconds(sums["run_p95_us"])}


def error_group(row: Mapping[str, Any]) -> dict[str, Any]:
    """A group of errors, with its newest runs."""
    return {
        **pick(row, "id>error_group error_type operation name message count runs"),
        "first": moment(row["first_us"]),
        "last": moment(row["last_us"]),
        "newest_runs": [pick(example, "trace_id span_id") for example in row["examples"]],
    }


def budget(row: Mapping[str, Any]) -> dict[str, Any]:
    """A budget that the dashboard watches."""
    shown = pick(
        row,
        "name state period filters limit_usd spent_usd forecast_usd recent_usd_per_hour unpriced_calls estimated_calls",
    )
    return {
        **shown,
        "remaining_usd": max(0.0, row["limit_usd"] - row["spent_usd"]),
        "began": moment(row["start_us"]),
        "ends": moment(row["end_us"]),
    }


def reported_budget(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a program said of a budget of its own."""
    shown = pick(row, "name key state period limit_usd spent_usd threshold times framework trace_id message keys")
    return {**shown, "told": moment(row["time_us"])}


def tool(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a tool costs: the calls that it made, and what its results took in the input of later ones."""
    made, read = row["made"] or {}, row["input"] or {}
    return {
        **pick(row, "tool calls errors"),
        "made_model_calls": made.get("calls"),
        "made_usd": made.get("cost_usd"),
        "results_input_tokens": read.get("tokens"),
        "results_usd": read.get("cost_usd"),
    }


def said(one: Mapping[str, Any] | None) -> str | None:
    """What was asked or answered; ``None`` where content was not captured."""
    return None if one is None else str(one["text"])


def text_of(one: Mapping[str, Any] | None) -> str | None:
    """A text as pages have it; how long it really is stands behind it where it was cut."""
    if one is None:
        return None
    missing = one["length"] - len(one["text"])
    return f"{one['text']}\n… {missing:,} more characters" if missing > 0 else str(one["text"])


def _times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"started": moment(row["start_us"]), "duration_ms": milliseconds(row["duration_us"])}


def _without_zeros(shown: dict[str, Any], names: str) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if value or name not in names.split()}
