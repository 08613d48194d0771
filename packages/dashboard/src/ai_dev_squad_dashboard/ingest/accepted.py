"""A span on its way into the store, with the marks that stand on it; or why it cannot be stored."""

from __future__ import annotations

from typing import NamedTuple

from ai_dev_squad.guard import report
from ai_dev_squad_dashboard.store.rows import LogRow, SpanRow

from .otlp_shapes import Origin, Span
from .pricing import Prices
from .translate import rejection, translated
from .translate_signals import evaluations

__all__ = ["Accepted", "accepted"]


class Accepted(NamedTuple):
    """What becomes of a span."""

    row: SpanRow
    answer: str | None
    """The provider's id of the answer when it is a model call that has one."""
    marks: list[LogRow]


def accepted(span: Span, origin: Origin, now_us: int, prices: Prices) -> Accepted | str:
    """The rows of a span that arrives now, or why it is not taken. Never raises: one span must not cost its neighbours."""
    reason = rejection(span, now_us)
    if reason is not None:
        return reason
    try:
        row, answer = translated(span, origin, now_us, prices)
        return Accepted(row, answer, list(evaluations(span, row, origin, now_us)) if span.events else [])
    except Exception as error:  # noqa: BLE001 - as the docstring says
        report("translating a span", error)
        return f"a span could not be read ({type(error).__name__})"
