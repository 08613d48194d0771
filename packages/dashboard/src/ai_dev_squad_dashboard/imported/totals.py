"""What a product says that it has, and what is stored of it here: added up apart, and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ai_dev_squad_dashboard.store import Store
from ai_dev_squad_dashboard.store.base import Selection, TraceRow
from ai_dev_squad_dashboard.store.cursors import every_row
from ai_dev_squad_dashboard.store.marks import EVENT, SAME_US, Mark, mark_of

from .told import Claim, Judged, Told

__all__ = ["Difference", "Stated", "Totals", "differences", "stored"]

_MarkKey = tuple[str, str | None, str, float | None, str | None, str | None]
"""The trace, the operation, what was judged, the score, the label and the comment."""
_MOST_SPANS: Final = 1_000_000
_ROWS: Final = 1_000
_CENT_PART: Final = 1e-6
"""USD that sums of floats may be apart, for each dollar."""


@dataclass
class Totals:
    """Sums over an export."""

    traces: int = 0
    spans: int = 0
    tokens: int = 0
    """Input and output of model calls."""
    cost_usd: float = 0.0
    """Of the model calls of which the product states a cost."""
    marks: int = 0
    """Scores, annotations, evaluations."""
    scores: float = 0.0
    """The sum of those of them that are numbers."""


@dataclass(frozen=True)
class Difference:
    """What is not the same here and there."""

    what: str
    source: float
    here: float

    def __str__(self) -> str:
        return f"{self.what}: {self.source:,.10g} in the source, {self.here:,.10g} here"


@dataclass
class Stated:
    """What the product says, record by record. A record that comes twice counts once."""

    repeated: int = 0
    priced_here: int = 0
    """Model calls with tokens of which the product states no cost."""
    mixed: set[str] = field(default_factory=set)
    """Traces with such calls beside others of which it does."""
    first_us: int = 0
    """When the first span began, and the last one."""
    last_us: int = 0
    _spans: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Trace → span → whether the product states its cost."""
    _tokens: dict[str, int] = field(default_factory=dict)
    _costs: dict[str, list[float]] = field(default_factory=dict)
    _unpriced: set[str] = field(default_factory=set)
    _roots: dict[str, list[Claim]] = field(default_factory=dict)
    _marks: dict[_MarkKey, list[int]] = field(default_factory=dict)
    """What a mark says of what → when that was said."""

    def add(self, told: Told) -> bool:
        """Whether it is the first of its id."""
        trace, claim = told.span.trace_id, told.claim
        spans = self._spans.setdefault(trace, {})
        if told.span.span_id in spans:
            self.repeated += 1
            return False
        spans[told.span.span_id] = claim.cost_usd is not None
        if claim.tokens:
            self._tokens[trace] = self._tokens.get(trace, 0) + claim.tokens
            self.priced_here += claim.cost_usd is None
            if claim.cost_usd is None:
                self._unpriced.add(trace)
        if claim.cost_usd is not None:
            self._costs.setdefault(trace, []).append(claim.cost_usd)
        if trace in self._unpriced and trace in self._costs:
            self.mixed.add(trace)
        start_us = told.span.start_ns // 1000
        self.first_us = min(self.first_us or start_us, start_us)
        self.last_us = max(self.last_us, start_us)
        if told.rolled_up is not None:
            self._roots.setdefault(trace, []).append(told.rolled_up)
        return True

    def add_mark(self, judged: Judged) -> bool:
        """Whether it is the first that says so within a second, as a store counts them."""
        mark = judged.mark
        times = self._marks.setdefault(_key(judged.trace_id, mark), [])
        if any(abs(mark.time_us - other) <= SAME_US for other in times):
            self.repeated += 1
            return False
        times.append(mark.time_us)
        return True

    @property
    def marks(self) -> Mapping[_MarkKey, Sequence[int]]:
        """What a mark says of what → when that was said."""
        return self._marks

    @property
    def spans(self) -> Mapping[str, Mapping[str, bool]]:
        """Trace → span → whether the product states its cost."""
        return self._spans

    def totals(self) -> Totals:
        """The product's own sum over a trace where it states one, else the sum over its calls."""
        tokens, costs = 0, []
        for trace in self._spans:
            roots = self._roots.get(trace, ())
            of_roots = [root.tokens for root in roots if root.tokens is not None]
            tokens += sum(of_roots) if of_roots else self._tokens.get(trace, 0)
            costs += [root.cost_usd for root in roots if root.cost_usd is not None] or self._costs.get(trace, [])
        marks, scores = _sums(self._marks)
        return Totals(len(self._spans), sum(map(len, self._spans.values())), tokens, math.fsum(costs), marks, scores)


def stored(store: Store, stated: Stated) -> Totals:
    """The same sums over the spans that the store has of the export, read back from it."""
    found, costs = Totals(), list[float]()
    alone = set(stated.spans)
    for row in _rows(store, stated):
        spans = stated.spans.get(row.trace_id)
        # A trace that the store has more of, or of which some calls are priced here, is looked at span by span.
        if spans is not None and row.spans == len(spans) and row.trace_id not in stated.mixed:
            alone.discard(row.trace_id)
            found.traces += 1
            found.spans += row.spans
            found.tokens += row.input_tokens + row.output_tokens
            if any(spans.values()):
                costs.append(row.cost_usd)
    for trace in alone:
        whole, spans = store.trace(trace, limit=_MOST_SPANS), stated.spans[trace]
        here = [] if whole is None else [each for each in whole.spans if each.span_id in spans]
        found.traces += bool(here)
        found.spans += len(here)
        found.tokens += sum((each.input_tokens or 0) + (each.output_tokens or 0) for each in here)
        costs += [each.cost_usd for each in here if spans[each.span_id] and each.cost_usd is not None]
    found.cost_usd = math.fsum(costs)
    found.marks, found.scores = _sums(_stored_marks(store, stated.marks))
    return found


def _key(trace_id: str, mark: Mark) -> _MarkKey:
    return trace_id, mark.span_id, mark.name, mark.score, mark.label, mark.comment


def _sums(marks: Mapping[_MarkKey, Sequence[int]]) -> tuple[int, float]:
    """How many, and what their scores add up to."""
    scores = (score * len(times) for (_, _, _, score, _, _), times in marks.items() if score is not None)
    return sum(map(len, marks.values())), math.fsum(scores)


def _stored_marks(store: Store, stated: Mapping[_MarkKey, Sequence[int]]) -> dict[_MarkKey, list[int]]:
    """Those of the stated marks that the store has, read back from it."""
    found: dict[_MarkKey, list[int]] = {}
    times = [time_us for each in stated.values() for time_us in each]
    if not times:
        return found
    ever = Selection(min(times) - SAME_US, max(times) + SAME_US + 1)
    for line in every_row(lambda cursor: store.logs(ever, event_types=(EVENT,), cursor=cursor, limit=_ROWS)):
        key = _key(line.trace_id or "", mark_of(line))
        if any(abs(line.time_us - time_us) <= SAME_US for time_us in stated.get(key, ())):
            found.setdefault(key, []).append(line.time_us)
    return found


def _rows(store: Store, stated: Stated) -> Iterator[TraceRow]:
    """The traces that began while those of the export did."""
    if not stated.spans:
        return
    selection = Selection(stated.first_us, stated.last_us + 1)
    yield from every_row(lambda cursor: store.traces(selection, cursor=cursor, limit=_ROWS))


def differences(source: Totals, here: Totals) -> Iterator[Difference]:
    """What is not the same, money but for what adding up floats leaves."""
    for what in ("traces", "spans", "tokens", "marks"):
        if getattr(source, what) != getattr(here, what):
            yield Difference(what, getattr(source, what), getattr(here, what))
    if not math.isclose(source.cost_usd, here.cost_usd, rel_tol=_CENT_PART, abs_tol=_CENT_PART):
        yield Difference("USD", source.cost_usd, here.cost_usd)
    if not math.isclose(source.scores, here.scores, rel_tol=_CENT_PART, abs_tol=_CENT_PART):
        yield Difference("scores", source.scores, here.scores)
