"""Traces of which no root has arrived: runs all the same."""

from __future__ import annotations

from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.percentiles import BINS_PER_OCTAVE

from .filters import began, bounded, of_runs
from .literals import Where
from .schema import HOUR_US

__all__ = ["bin_of", "may_lack_roots", "rootless"]


def bin_of(duration_us: str) -> str:
    """The bin of an expression that is not negative."""
    return f"if({duration_us} > 1, toUInt16(ceil({BINS_PER_OCTAVE} * log2({duration_us}))), 0)"


def may_lack_roots(selection: Selection, *, with_before: bool) -> str:
    """The question whether there may be such traces, at a third of the price of that for them: of most there was a time when their
    root had not arrived, but not for long.
    """
    start_us, end_us = _times(selection, with_before)
    hours = f"hour >= intDiv({start_us}, {HOUR_US}) AND hour <= intDiv({end_us}, {HOUR_US})"
    return f"SELECT 1 FROM traces WHERE root_span_id IS NULL AND {hours} LIMIT 1"


def rootless(selection: Selection, *, with_before: bool) -> str:
    """The question for them, as ``Rootless`` behind whether they are of the selection's time or, ``with_before``, of that before it."""
    start_us, end_us = _times(selection, with_before)
    where = Where(began(start_us, end_us)).among("session_id", selection.sessions).add("root_span_id IS NULL")
    where.add(str(runs) if (runs := of_runs(selection)) else "")
    return (
        f"SELECT start_us >= {bounded(selection.start_us)} AS is_now, framework, service, status = 'error' AS failed, "
        f"{bin_of('end_us - start_us')} AS bin, count() FROM traces FINAL WHERE {where} GROUP BY is_now, framework, service, failed, bin"
    )


def _times(selection: Selection, with_before: bool) -> tuple[int, int]:
    return bounded((selection.before if with_before else selection).start_us), bounded(selection.end_us)
