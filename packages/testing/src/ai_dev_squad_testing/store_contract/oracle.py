"""What a store has to answer, computed the slow and obvious way from the rows that were written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from math import ceil, floor
from operator import add
from typing import Any

from ai_dev_squad_dashboard.engine import (
    FIGURE_NAMES,
    NANO,
    Facets,
    Group,
    Kind,
    Point,
    Selection,
    SpanRow,
    Step,
    Totals,
    bin_of,
)

__all__ = ["Oracle"]

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def is_call(span: SpanRow) -> bool:
    return span.usage_source is not None


def is_root(span: SpanRow) -> bool:
    return span.parent_span_id is None


def total(spans: Iterable[SpanRow], name: str) -> Any:
    return sum(getattr(span, name) or 0 for span in spans)


def failed(spans: Iterable[SpanRow]) -> int:
    return sum(span.status == "error" for span in spans)


def rank(spans: Sequence[SpanRow], share: float) -> int | None:
    durations = sorted(span.duration_us for span in spans if span.duration_us >= 0)
    return durations[max(1, ceil(share * len(durations))) - 1] if durations else None


def mean(spans: Sequence[SpanRow]) -> int | None:
    return round(sum(max(0, span.duration_us) for span in spans) / len(spans)) if spans else None


@dataclass
class Oracle:
    """The rows, each once."""

    spans: list[SpanRow]

    def chosen(self, selection: Selection) -> list[SpanRow]:
        names = {
            "framework": selection.frameworks,
            "provider": selection.providers,
            "model": selection.models,
            "agent": selection.agents,
            "service": selection.services,
            "session_id": selection.sessions,
        }
        users = {trace_id: row["user_id"] for trace_id, row in self.traces().items()} if selection.users else {}
        return [
            span
            for span in self.spans
            if selection.start_us <= span.start_us < selection.end_us
            and all(not wanted or getattr(span, name) in wanted for name, wanted in names.items())
            and (not selection.users or users[span.trace_id] in selection.users)
            and all(
                {(name, value) for name, value in selection.labels if name == key} & self._labels(span.trace_id)
                for key, _ in selection.labels
            )
        ]

    def _labels(self, trace_id: str) -> set[tuple[str, str]]:
        return {
            (key, value)
            for span in self.spans
            if span.trace_id == trace_id and span.labels is not None
            for key, value in json.loads(span.labels).items()
        }

    def totals(self, selection: Selection) -> Totals:
        spans = self.chosen(selection)
        calls, runs = [span for span in spans if is_call(span)], [span for span in spans if is_root(span)]
        runs += self._rootless(selection)
        return Totals(
            calls=len(calls),
            call_errors=failed(calls),
            runs=len(runs),
            run_errors=failed(runs),
            spans=len(spans),
            cost_usd=total(calls, "cost_usd"),
            unpriced_calls=sum(span.cost_usd is None for span in calls),
            **{name: total(calls, name) for name in _TOKENS},
            estimated_calls=sum(span.usage_source == "estimated" for span in calls),
            uncounted_calls=sum(span.usage_source == "missing" for span in calls),
            cache_saving_usd=total(calls, "cache_saving_usd"),
            p50_us=rank(calls, 0.5),
            p95_us=rank(calls, 0.95),
            p99_us=rank(calls, 0.99),
            mean_us=mean(calls),
            run_p50_us=rank(runs, 0.5),
            run_p95_us=rank(runs, 0.95),
            run_p99_us=rank(runs, 0.99),
        )

    def _rootless(self, selection: Selection) -> list[SpanRow]:
        """The traces without a root that are chosen."""
        if selection.providers or selection.models or selection.agents:
            return []
        rows = [row for row in self.traces().values() if row["root_span_id"] is None]
        return [
            _whole(row)
            for row in rows
            if selection.start_us <= row["start_us"] < selection.end_us
            and (not selection.frameworks or row["framework"] in selection.frameworks)
            and (not selection.services or row["service"] in selection.services)
            and (not selection.sessions or row["session_id"] in selection.sessions)
            and (not selection.users or row["user_id"] in selection.users)
            and all(
                {(name, value) for name, value in selection.labels if name == key} & self._labels(row["trace_id"])
                for key, _ in selection.labels
            )
        ]

    def groups(self, selection: Selection, by: str) -> dict[str | None, Group]:
        if by == "workflow":
            return self._workflows(selection)
        answer = {}
        for key, spans in _split(self.chosen(selection), lambda span: _key(span, by)).items():
            counted = [span for span in spans if _counts(span, by)]
            calls = [span for span in spans if is_call(span)] if by != "tool" else []
            if counted or calls:
                answer[key] = _group(key, counted, calls)
        return answer

    def timeline(self, selection: Selection, step_us: int, by: str) -> list[Point]:
        points = []
        for step, spans in sorted(_split(self.chosen(selection), lambda s: s.start_us // step_us * step_us).items()):
            whole = Selection(step, step + step_us)
            for key, group in Oracle(spans).groups(whole, by).items():
                money = (group.cost_usd, group.input_tokens, group.output_tokens)
                points.append(Point(step, key, group.calls, group.errors, *money))
        return sorted(points, key=lambda point: (point.start_us, point.key is None, point.key or ""))

    def history(self, selection: Selection, by: str, key: str | None, step_us: int) -> list[Step]:
        steps = []
        for start, spans in sorted(_split(self.chosen(selection), lambda s: s.start_us // step_us * step_us).items()):
            group = Oracle(spans).groups(Selection(start, start + step_us), by).get(key)
            if group is not None:
                counted = (group.calls, group.errors, group.p50_us, group.p95_us)
                money = (group.cost_usd, group.unpriced_calls, group.input_tokens, group.output_tokens)
                steps.append(Step(*(start, *counted, *money)))
        return steps

    def figures(
        self, by: Sequence[str], step_us: int, now_us: int, since_us: int | None, *, latency: bool
    ) -> dict[tuple[Any, ...], tuple[int, ...]]:
        """(kinds, step, names, bin of durations) → what is added up."""
        answer: dict[tuple[Any, ...], tuple[int, ...]] = {}
        for span in self.spans:
            end_us = min(span.start_us + max(0, span.duration_us), now_us)
            if since_us is not None and end_us < since_us:
                continue
            kinds = Kind.SPAN | (Kind.RUN if is_root(span) else 0) | (Kind.CALL if is_call(span) else 0)
            kinds |= {"execute_tool": Kind.TOOL, "invoke_agent": Kind.AGENT}.get(span.operation, 0)
            columns = {"session": "session_id", "user": "user_id"}
            names = tuple(
                getattr(span, columns.get(name, name)) if name in by and name != "budget" else None
                for name in FIGURE_NAMES
            )
            nano = floor((span.cost_usd or 0) * NANO + 0.5)
            added = (
                1,
                int(span.status == "error"),
                nano,
                span.input_tokens or 0,
                span.output_tokens or 0,
                max(span.duration_us, 0),
            )
            bin_ = bin_of(span.duration_us) if latency and span.duration_us >= 0 else None
            key = (int(kinds), end_us // step_us * step_us, *names, bin_)
            answer[key] = tuple(map(add, answer.get(key, (0,) * 6), added))
        return answer

    def facets(self, selection: Selection) -> Facets:
        spans = self.chosen(selection)

        def names(field: str) -> tuple[str, ...]:
            used = _split(
                [span for span in spans if getattr(span, field) is not None], lambda span: getattr(span, field)
            )
            return tuple(sorted(used, key=lambda name: (-len(used[name]), name))[:200])

        return Facets(*map(names, ("framework", "provider", "model", "agent", "tool", "service")))

    def traces(self) -> dict[str, dict[str, Any]]:
        """What the list of traces says of each, by its id."""
        answer = {}
        for trace_id, spans in _split(self.spans, lambda span: span.trace_id).items():
            ordered = sorted(spans, key=lambda span: (not is_root(span), span.start_us, span.span_id))
            head = ordered[0]
            calls = [span for span in spans if is_call(span)]
            start = min(span.start_us for span in spans)
            skewed = is_root(head) and any(
                span.start_us < head.start_us - 1_000_000
                or (head.duration_us >= 0 and span.start_us > head.start_us + head.duration_us + 60_000_000)
                for span in spans
            )
            end = max(span.start_us + max(0, span.duration_us) for span in spans)
            answer[trace_id] = {
                "trace_id": trace_id,
                "root_span_id": head.span_id if is_root(head) else None,
                "name": head.name,
                "operation": head.operation,
                "framework": next((span.framework for span in ordered if span.framework is not None), None),
                "service": next((span.service for span in ordered if span.service is not None), None),
                "session_id": next((span.session_id for span in ordered if span.session_id is not None), None),
                "status": head.status,
                "error_type": head.error_type,
                "start_us": start,
                "duration_us": max(0, head.duration_us) if skewed else end - start,
                "spans": len(spans),
                "errors": failed(spans),
                "calls": len(calls),
                "tools": sum(span.operation == "execute_tool" for span in spans),
                "input_tokens": total(spans, "input_tokens"),
                "output_tokens": total(spans, "output_tokens"),
                "cost_usd": total(spans, "cost_usd"),
                "unpriced_calls": sum(span.cost_usd is None for span in calls),
                "user_id": next((span.user_id for span in ordered if span.user_id is not None), None),
                "task": next((span.task for span in ordered if span.task is not None), None),
                "version": next((span.version for span in ordered if span.version is not None), None),
                "resumes": next((span.resumes for span in ordered if span.resumes is not None), None),
                "models": tuple(sorted({span.model for span in calls if span.model is not None})),
                "skewed": skewed,
                "asked": None,
                "answered": None,
                "failures": sum(
                    span.status == "error"
                    and not any(other.status == "error" and other.parent_span_id == span.span_id for other in spans)
                    for span in spans
                ),
            }
        return answer

    def _workflows(self, selection: Selection) -> dict[str | None, Group]:
        seen = {span.trace_id for span in self.chosen(Selection(selection.start_us, 1 << 62, selection.frameworks))}
        by_trace = _split(self.spans, lambda span: span.trace_id)
        answer: dict[str | None, list[tuple[SpanRow, list[SpanRow]]]] = {}
        for row in self.traces().values():
            if row["trace_id"] in seen and selection.start_us <= row["start_us"] < selection.end_us:
                spans = by_trace[row["trace_id"]]
                run = next((span for span in spans if span.span_id == row["root_span_id"]), _whole(row))
                answer.setdefault(row["name"], []).append((run, [span for span in spans if is_call(span)]))
        return {
            key: _group(key, [run for run, _ in found], [call for _, calls in found for call in calls])
            for key, found in answer.items()
        }


def _whole(row: Mapping[str, Any]) -> SpanRow:
    """A trace without a root, as a span as long as the whole of it."""
    told = ("start_us", "duration_us", "name", "operation", "status")
    return SpanRow(row["trace_id"], "", None, *(row[name] for name in told))


def _split(spans: Iterable[SpanRow], key: Callable[[SpanRow], Any]) -> dict[Any, list[SpanRow]]:
    answer: dict[Any, list[SpanRow]] = {}
    for span in spans:
        answer.setdefault(key(span), []).append(span)
    return answer


def _key(span: SpanRow, by: str) -> str | None:
    if by == "day":
        return datetime.fromtimestamp(span.start_us / 1e6, timezone.utc).strftime("%Y-%m-%d")
    if by == "program":
        return span.service if span.framework is None else span.framework
    named: str | None = getattr(span, "session_id" if by == "session" else by)
    return named


def _counts(span: SpanRow, by: str) -> bool:
    operation = {"tool": "execute_tool", "agent": "invoke_agent"}.get(by)
    return span.operation == operation if operation else is_call(span)


def _group(key: str | None, counted: list[SpanRow], calls: list[SpanRow]) -> Group:
    return Group(
        key=key,
        calls=len(counted),
        errors=failed(counted),
        cost_usd=total(calls, "cost_usd"),
        unpriced_calls=sum(span.cost_usd is None for span in calls),
        **{name: total(calls, name) for name in _TOKENS},
        cache_saving_usd=total(calls, "cache_saving_usd"),
        p50_us=rank(counted, 0.5),
        p95_us=rank(counted, 0.95),
        p99_us=rank(counted, 0.99),
        mean_us=mean(counted),
        model_calls=len(calls),
        latency=((0, sum(span.duration_us >= 0 for span in counted)),),
    )
