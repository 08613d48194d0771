"""The advice report of a span of time, made at most once a minute: it reads single calls, where all else reads sums."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from ai_dev_squad.costs.advice import savings_report
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Store

__all__ = ["AdviceLine", "AdviceReport", "advice"]

CALLS = 2_000
FRESH_US = 60_000_000
_KEPT = 16

_reports: WeakKeyDictionary[Store, OrderedDict[Hashable, AdviceReport]] = WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True)
class AdviceLine:
    """One way to spend less, with the numbers that it rests on."""

    kind: str
    title: str
    action: str
    amount_usd: float | None
    """What it is worth over these calls; ``None`` when that cannot be told, and ``reason`` says why."""
    confidence: str
    """``high``: counted; ``medium``: counted, but you know whether it can be avoided; ``low``: rests on an assumption."""
    evidence: tuple[tuple[str, Any], ...]
    reason: str | None


@dataclass(frozen=True)
class AdviceReport:
    """What could be saved. Amounts overlap: they do not add up. Unknown prices are no saving and stand by themselves."""

    made_us: int
    """When it was made; it is renewed after a minute."""
    calls: int
    """The calls that were looked at, the newest of the span of time, at most 2,000."""
    complete: bool
    """Whether those were all calls of the span of time."""
    spent_usd: float
    unpriced_calls: int
    first: datetime | None
    last: datetime | None
    advice: tuple[AdviceLine, ...]


def advice(store: Store, query: Query) -> AdviceReport:
    """The report of the newest calls of the span of time."""
    selection = query.selection
    # A span of time that ends now is another one at each moment, yet the same question.
    what = (query.range, replace(selection, start_us=0, end_us=0)) if query.range != "custom" else selection
    with _lock:
        known = _reports.setdefault(store, OrderedDict())
        report = known.get(what)
    if report is not None and 0 <= query.now_us - report.made_us < FRESH_US:
        return report
    report = _make(store, query)
    with _lock:
        known[what] = report
        known.move_to_end(what)
        while len(known) > _KEPT:
            known.popitem(last=False)
    return report


def _make(store: Store, query: Query) -> AdviceReport:
    entries = store.entries(query.selection, limit=CALLS + 1)
    report = savings_report(entries[:CALLS])
    return AdviceReport(
        made_us=query.now_us,
        calls=report.calls,
        complete=len(entries) <= CALLS,
        spent_usd=report.spent_usd,
        unpriced_calls=report.unpriced_calls,
        first=report.first,
        last=report.last,
        advice=tuple(
            AdviceLine(
                kind=item.kind,
                title=item.title,
                action=item.action,
                amount_usd=item.amount_usd,
                confidence=item.confidence,
                evidence=tuple((name, _plain(value)) for name, value in item.evidence.items()),
                reason=item.reason,
            )
            for item in report.advice
            if item.kind != "unknown_price"
        ),
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)
