"""Every question that there is, asked of a store: what two stores with the same rows have to answer alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from ai_dev_squad_dashboard.store import Selection, Store
from ai_dev_squad_dashboard.store.base import (
    DrawnBy,
    ErrorOrder,
    GroupBy,
    MarkedBy,
    NamedBy,
    SessionOrder,
    TraceOrder,
    UserOrder,
)
from ai_dev_squad_dashboard.store.deletions import Subject
from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES

__all__ = ["answers"]

_HOUR = 3_600_000_000
_NOT_ALIKE = frozenset({"newest", "next"})
"""Cursors."""


def answers(store: Store, selection: Selection) -> dict[str, Any]:
    """What the store answers, by the question; of many traces, sessions and names only of some. Money is told to eight digits: who adds up in another order gets another last one."""
    found: dict[str, Any] = {
        "totals": store.totals(selection),
        "with_previous": store.with_previous(selection),
        "tool_inputs": store.tool_inputs(selection),
        "tool_calls": store.tool_calls(selection),
        "mark_labels": store.mark_labels(selection),
        "runs": store.runs(selection),
        "tasks": store.tasks(selection),
        "choices": store.choices(selection),
        "running": store.running(0),
        "facets": store.facets(selection),
        "entries": store.entries(selection),
        "unpriced": store.unpriced(selection),
        "metric_names": store.metric_names(),
        "captured": store.captured(selection),
        "deletions": store.deletions(),
        "logs": store.logs(selection, limit=1_000),
        "errors of a word": store.logs(selection, text="failed", limit=1_000),
        "runs of a word": store.traces(selection, text="week"),
    }
    for by in _names(DrawnBy):
        found[f"timeline {by}"] = store.timeline(selection, _HOUR, by)
    for by in _names(GroupBy):
        found[f"groups {by}"] = _sorted(store.groups(selection, by, limit=1_000, latency=True))
    for by in _names(NamedBy):
        for group in store.groups(selection, by, limit=2):
            found[f"history {by} {group.key}"] = store.history(selection, by, group.key, _HOUR)
    for by in _names(MarkedBy):
        found[f"marked {by}"] = store.marked(selection, by, good_score=0.5)
    for order in _names(TraceOrder):
        found[f"traces {order}"] = store.traces(selection, order=order, limit=1_000)
    for order in _names(SessionOrder):
        found[f"sessions {order}"] = store.sessions(selection, order=order, limit=1_000)
    for order in _names(UserOrder):
        found[f"users {order}"] = store.users(selection, order=order, limit=1_000)
    for order in _names(ErrorOrder):
        found[f"errors {order}"] = store.errors(selection, order=order)
    for session in store.sessions(selection, limit=2).rows:
        found[f"session {session.session_id}"] = store.session(session.session_id)
        found[f"extent {session.session_id}"] = store.extent(Subject("session", session.session_id))
    for tool in store.groups(selection, "tool", limit=2):
        found[f"tool_steps {tool.key}"] = store.tool_steps(selection, str(tool.key), _HOUR)
    for row in store.traces(selection, limit=3).rows:
        found |= _of_trace(store, row.trace_id)
    newest = store.newest_span()
    names = [name for name in FIGURE_NAMES if name != "budget"]
    figures = store.figures(0, newest, by=names, step_us=_HOUR, now_us=selection.end_us, latency=True)
    found["figures"] = _sorted(figures)
    return {question: _plain(answer, _NOT_ALIKE) for question, answer in found.items()}


def _of_trace(store: Store, trace_id: str) -> dict[str, Any]:
    trace = store.trace(trace_id)
    assert trace is not None
    return {
        f"trace {trace_id}": trace,
        f"outline {trace_id}": store.outline(trace_id),
        f"details {trace_id}": list(store.details(trace_id)),
        f"fingerprints {trace_id}": [*store.fingerprints(trace_id)],  # what they are is the engine's own
        f"run {trace_id}": store.run(trace_id),
        f"related {trace_id}": store.related(trace_id),
        f"find {trace_id}": store.find(trace_id[:12]),
        **{f"span {trace_id} {span.span_id}": store.span(trace_id, span.span_id) for span in trace.spans[:5]},
    }


def _names(choice: Any) -> list[Any]:
    """The words of a choice, which may have another choice among them."""
    return [name for each in get_args(choice) for name in (get_args(each) or (each,))]


def _sorted(rows: Any) -> list[Any]:
    return sorted(rows, key=repr)


def _plain(value: Any, without: frozenset[str]) -> Any:
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if is_dataclass(value):
        return {
            each.name: _plain(getattr(value, each.name), without) for each in fields(value) if each.name not in without
        }
    if isinstance(value, Mapping):
        return {key: _plain(each, without) for key, each in value.items()}
    return [_plain(each, without) for each in value] if isinstance(value, (list, tuple, frozenset, set)) else value
