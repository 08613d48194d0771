"""Marks of runs: each kept once, however often and by whatever way it comes, and added up beside what the runs cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from statistics import fmean, stdev
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import Marked, MarkedBy, Selection
from ai_dev_squad_dashboard.store.ids import hex_bytes
from ai_dev_squad_dashboard.store.marks import EVENT, OF_SPANS, SAME_US, Mark, in_order, mark_of, most_used
from ai_dev_squad_dashboard.store.orders import known
from ai_dev_squad_dashboard.store.rows import LogRow

from .client import Client
from .filters import bounded, names_filter, traces_filter
from .incoming import Columns, mended
from .literals import fixed
from .schema import HOUR_US

__all__ = ["labels", "marked", "new_marks"]

_OF_TRACES: Final = {
    "framework": "framework",
    "service": "service",
    "session": "session_id",
    "user": "user_id",
    "task": "task",
    "workflow": "if(root_span_id IS NOT NULL, toNullable(toString(name)), NULL)",
    "day": f"toString(toDate(fromUnixTimestamp64Micro(intDiv(start_us, {HOUR_US}) * {HOUR_US}, 'UTC')))",
}
"""What a run has one of, and where it stands."""


def new_marks(client: Client, logs: Sequence[LogRow]) -> tuple[Columns, list[LogRow]]:
    """The marks among the lines that are not kept yet, as columns, and the lines without those that tell of a mark once more."""
    found = [
        (place, line, mark_of(line)) for place, line in enumerate(logs) if line.event_type == EVENT and line.trace_id
    ]
    if not found:
        return {}, list(logs)
    traces = ", ".join({fixed(bytes.fromhex(str(line.trace_id))) for _, line, _ in found})
    last: dict[tuple[bytes, int], list[int]] = defaultdict(list)
    for trace, same, time_us in client.ask(f"SELECT trace_id, same, time_us FROM marks WHERE trace_id IN ({traces})"):
        last[trace, same].append(time_us)
    again, fresh = set(), []
    for place, line, mark in sorted(found, key=lambda each: (each[2].time_us, each[0])):
        key = bytes.fromhex(str(line.trace_id)), _same(mark)
        if any(abs(mark.time_us - time_us) <= SAME_US for time_us in last[key]):
            again.add(place)
        else:
            fresh.append((key, line, mark))
            last[key].append(mark.time_us)
    columns: Columns = {}
    if fresh:
        texts = {
            name: mended(getattr(mark, field) for *_, mark in fresh)
            for name, field in (("name", "name"), ("label", "label"), ("comment", "comment"), ("made_by", "by"))
        }
        columns = {
            "trace_id": [trace for (trace, _), *_ in fresh],
            "span_id": [hex_bytes(mark.span_id, 16) for *_, mark in fresh],
            "time_us": [mark.time_us for *_, mark in fresh],
            "session_id": mended(line.session_id for _, line, _ in fresh),
            "score": [mark.score for *_, mark in fresh],
            "same": [same for (_, same), *_ in fresh],
            **texts,
        }
    return columns, [line for place, line in enumerate(logs) if place not in again]


def marked(
    client: Client, selection: Selection, by: MarkedBy, good_score: float | None, limit: int
) -> Sequence[Marked]:
    """What was thought of the runs of a selection. A run speaks once for each name that was judged, by its newest score and label."""
    known(by, (*OF_SPANS, *_OF_TRACES), "put marks together by")
    where = traces_filter(selection).add("trace_id IN (SELECT trace_id FROM marks)")
    shown = _OF_TRACES.get(by, "NULL")
    runs = {
        trace: (key, cost_usd, unpriced)
        for trace, key, cost_usd, unpriced in client.ask(
            f"SELECT trace_id, {shown}, cost_usd, unpriced FROM traces FINAL WHERE {where}"
        )
    }
    if not runs:
        return []
    keys = {trace: {run[0]} for trace, run in runs.items()} if by in _OF_TRACES else _took_part(client, selection, by)
    of_runs = f"SELECT trace_id FROM traces FINAL WHERE {where}"
    told: dict[tuple[Any, str], list[tuple[Any, ...]]] = defaultdict(list)
    for trace, name, score, label in client.ask(
        "SELECT trace_id, name, argMaxIf(tuple(score), (time_us, score), score IS NOT NULL).1, "
        "argMaxIf(tuple(label), (time_us, label), label IS NOT NULL).1 FROM marks FINAL "
        f"WHERE trace_id IN ({of_runs}) GROUP BY trace_id, name"
    ):
        for key in keys.get(trace, ()):
            told[key, name].append((score, label, *runs[trace][1:]))
    found = [_marked(key, name, some, good_score) for (key, name), some in told.items()]
    return in_order(found, by)[:limit]


def labels(client: Client, selection: Selection, limit: int) -> tuple[str, ...]:
    """The labels of marks that were made since the selection began, the most used first."""
    rows = client.ask(
        f"SELECT assumeNotNull(label) AS said FROM marks FINAL WHERE time_us >= {bounded(selection.start_us)} "
        f"AND label IS NOT NULL GROUP BY said ORDER BY count() DESC, said LIMIT {int(limit)}"
    )
    return tuple(label for (label,) in rows)


def _same(mark: Mark) -> int:
    said = repr((mark.span_id, mark.name, mark.score, mark.label, mark.comment)).encode("utf-8", "replace")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), "big")


def _took_part(client: Client, selection: Selection, by: str) -> dict[bytes, set[str]]:
    found: dict[bytes, set[str]] = defaultdict(set)
    named = names_filter(selection).add(f"{by} IS NOT NULL").add(f"start_us >= {bounded(selection.start_us)}")
    named.add("trace_id IN (SELECT trace_id FROM marks)")
    for trace, key in client.ask(f"SELECT DISTINCT trace_id, {by} FROM spans WHERE {named}"):
        found[trace].add(key)
    return found


def _marked(key: str | None, name: str, some: Sequence[tuple[Any, ...]], good_score: float | None) -> Marked:
    scores = [score for score, *_ in some if score is not None]
    counted = Counter(label for _, label, *_ in some if label is not None)
    return Marked(
        key,
        name,
        len(some),
        len(scores),
        fmean(scores) if scores else None,
        stdev(scores) if len(scores) > 1 else None,
        min(scores, default=None),
        max(scores, default=None),
        most_used(counted.items()),
        0 if good_score is None else sum(score >= good_score for score in scores),
        sum(cost_usd for *_, cost_usd, _ in some),
        sum(unpriced for *_, unpriced in some),
    )
