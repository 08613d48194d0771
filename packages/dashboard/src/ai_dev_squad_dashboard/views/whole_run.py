"""A run as it is shown: one tree and what was said, of all the traces that it left."""

from __future__ import annotations

from collections.abc import Sequence

from ai_dev_squad_dashboard.page import NotFoundError, Site
from ai_dev_squad_dashboard.store.base import Trace
from ai_dev_squad_dashboard.store.outline import Outline
from ai_dev_squad_dashboard.store.runs import Run, joined

from .transcript import Said, said_in
from .tree import TreeRow, build_tree, join_trees

__all__ = ["load_run", "said_in_run", "traces_of", "tree_of"]

LOOKED_INTO = 400
"""Spans of a trace that are looked into for words."""


def load_run(site: Site, trace_id: str, beside: Sequence[str] = ()) -> Run:
    """The run that a trace is of, also while nothing of it has ended. ``beside``: traces that are asked for next. Raises ``NotFoundError``."""
    run = site.store.run(trace_id, beside=beside)
    if run is None:
        trace = site.store.trace(trace_id)
        if trace is None:
            raise NotFoundError(
                f"trace {trace_id[:200]} is not in the store; it may be older than what is kept, or not have arrived yet"
            )
        run = joined([trace.row])
    return run


def traces_of(site: Site, run: Run) -> tuple[Trace, ...]:
    """The whole traces of a run, oldest first."""
    found = (site.store.trace(part.trace_id) for part in run.parts)
    return tuple(trace for trace in found if trace is not None)


def tree_of(traces: Sequence[Trace | Outline], now_us: int) -> tuple[TreeRow, ...]:
    """The operations of a run as one tree: what came after an interruption stands below the same root."""
    return join_trees([build_tree(trace.spans, trace.running, now_us) for trace in traces])


def said_in_run(site: Site, run: Run) -> tuple[Said | None, Said | None]:
    """What was asked first and answered last: ``(asked, answered)``."""
    asked = answered = None
    for part in run.parts:
        question, answer = said_in(site.store.details(part.trace_id, limit=LOOKED_INTO), part.root_span_id)
        asked = asked or question
        answered = answer or answered
    return asked, answered
