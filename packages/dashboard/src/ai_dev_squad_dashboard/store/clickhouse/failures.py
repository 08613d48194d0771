"""What failed on its own account, put together by type, place and message."""

from __future__ import annotations

from ai_dev_squad_dashboard.store.base import ErrorExample, ErrorGroup, ErrorOrder, Selection
from ai_dev_squad_dashboard.store.failures import NEWEST, ORDERS, TREND, group_of

from .client import Client
from .filters import bounded, in_time, names_filter, spans_filter
from .literals import literal

__all__ = ["errors"]


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
        f"arraySlice(arrayReverseSort(groupArray((start_us, trace_id, span_id))), 1, {NEWEST}) "
        f"FROM (SELECT * , error_group, folded FROM spans WHERE {where}) WHERE (trace_id, span_id) NOT IN ({passed_on}) "
        f"GROUP BY error_group ORDER BY {ORDERS[order]} LIMIT {int(limit)}"
    )
    return tuple(
        group_of(
            (row[0], row[1] or "_OTHER", *row[2:9]),
            row[9],
            (ErrorExample(trace.hex(), span.hex(), at) for at, trace, span in row[10]),
        )
        for row in rows
    )
