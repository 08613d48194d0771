"""Runs inside spans of an application: a journal tells of the run alone, and the span around it may come by OTLP."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from ai_dev_squad_dashboard.store.base import Store
from ai_dev_squad_dashboard.store.outline import Outline

__all__ = ["below_callers"]

_MOST: Final = 100
"""Runs of one trace for which the span around them is looked for."""


class _Details(msgspec.Struct):
    below: str | None = None


_decode: Final = msgspec.json.Decoder(_Details).decode


def below_callers(store: Store, outline: Outline) -> Outline:
    """The same with each run below the span in which it began, where that is here as well.

    A run counts as one wherever its caller is, so the store has it without a parent.
    """
    tops = [span.span_id for span in outline.spans if span.parent_span_id is None]
    if len(tops) < 2:
        return outline
    here = {span.span_id for span in outline.spans}
    callers = {top: _caller(store, outline.row.trace_id, top) for top in tops[:_MOST]}
    spans = tuple(
        span._replace(parent_span_id=caller) if (caller := callers.get(span.span_id)) in here else span
        for span in outline.spans
    )
    return replace(outline, spans=spans)


def _caller(store: Store, trace_id: str, span_id: str) -> str | None:
    found = store.span(trace_id, span_id)
    try:
        return None if found is None else _decode(found[0].details or b"{}").below
    except (msgspec.MsgspecError, UnicodeError, RecursionError):  # a sender of OTLP may state anything
        return None
