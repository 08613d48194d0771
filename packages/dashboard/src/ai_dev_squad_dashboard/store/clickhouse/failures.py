"""What failed on its own account, put together by type, place and message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import ErrorExample, ErrorGroup, ErrorOrder, Selection
from ai_dev_squad_dashboard.store.failures import EXAMPLES, TREND, trend_of

from .client import Client
from .filters import bounded, in_time, names_filter, spans_filter
from .literals import literal

__all__ = ["ORDERS", "errors"]

ORDERS: Final[dict[str, str]] = {
    "count": "failed DESC, last_us DESC, error_group",
    "runs": "runs DESC, last_us DESC, error_group",
    "last": "last_us DESC, error_group",
    "first": "first_us DESC, error_group",
}
_NEWEST: Final = 32


def errors(
    client: Client, selection: Selection, *, order: ErrorOrder, group: str | None, limit: int
) -> tuple[ErrorGroup, ...]:
    """The groups of what failed on its own account in the selection, the largest or the newest first."""
    where = names_filter(selection).add(in_time(selection)).add("status = 'error'")
    runs = spans_filter(selection)
    where.add(str(runs) if runs else "").add(f"error_group = {literal(group)}" if group is not None else "")
    step = max(1, -(-(selection.end_us - selection.start_us) // TREND))
    # An exception that passes through others as well counts where it began.
    passed_on = "SELECT trace_id, assumeNotNull(parent_span_id) FROM spans WHERE status = 'error' AND parent_span_id IS NOT NULL"
    rows = client.ask(
        "SELECT error_group, any(error_type), any(operation), any(name), any(folded), count() AS failed, "
        "uniqExact(trace_id) AS runs, min(start_us) AS first_us, max(start_us) AS last_us, "
        f"groupArray(intDiv(start_us - {bounded(selection.start_us)}, {step})), "
        f"arraySlice(arrayReverseSort(groupArray((start_us, trace_id, span_id))), 1, {_NEWEST}) "
        f"FROM (SELECT * , error_group, folded FROM spans WHERE {where}) WHERE (trace_id, span_id) NOT IN ({passed_on}) "
        f"GROUP BY error_group ORDER BY {ORDERS[order]} LIMIT {int(limit)}"
    )
    return tuple(_group(row) for row in rows)


def _group(row: tuple[Any, ...]) -> ErrorGroup:
    return ErrorGroup(
        id=row[0],
        error_type=row[1] or "_OTHER",
        operation=row[2],
        name=row[3],
        message=row[4],
        count=row[5],
        runs=row[6],
        first_us=row[7],
        last_us=row[8],
        trend=trend_of(row[9]),
        examples=_examples(row[10]),
    )


def _examples(newest: Sequence[tuple[int, bytes, bytes]]) -> tuple[ErrorExample, ...]:
    """The newest failure of each of the newest runs."""
    found: dict[bytes, ErrorExample] = {}
    for start_us, trace_id, span_id in newest:
        if trace_id not in found and len(found) < EXAMPLES:
            found[trace_id] = ErrorExample(trace_id.hex(), span_id.hex(), start_us)
    return tuple(found.values())
