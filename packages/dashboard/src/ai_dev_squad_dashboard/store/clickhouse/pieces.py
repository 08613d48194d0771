"""Where sums are read: hours where whole hours are asked for, five minutes around them, spans at the edges, and nothing but spans
where there are few.

An hour's sums are those of a projection of the spans, which the engine finds when it is asked in the projection's own words. One part of
a question a level: planning a part takes the engine longer than reading it. Each level names its projection, because weighing all of
them against one another was a third of the planning. Spans are not added up here, as who asks does that anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias

from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.summary import SUMS

from .amounts import WORTH_A_LEVEL, WORTH_A_SUM, Amounts, Range
from .client import Client
from .filters import bounded, spans_filter
from .literals import Where
from .schema import FIVE_US, HOUR_US, SUM_OF

__all__ = ["DRAWN", "Relation", "relation", "times_of"]

DRAWN: Final = ("spans", "errors", "cost_usd", "input_tokens", "output_tokens")
"""What a timeline draws."""

_LEVELS: Final = (HOUR_US, FIVE_US)
_KINDS: Final = {"bin": "bins", "session_id": "sessions", "cost_reason": "reasons"}
"""By which key it is known what is added up."""
_PROJECTIONS: Final = {
    (HOUR_US, "sums"): "by_hour",
    (FIVE_US, "sums"): "by_five",
    (HOUR_US, "bins"): "hour_bins",
    (FIVE_US, "bins"): "five_bins",
    (HOUR_US, "sessions"): "by_session",
    (HOUR_US, "reasons"): "by_reason",
}
_OF_ONE: Final[Mapping[str, str]] = {
    "spans": "1",
    "errors": "status = 'error'",
    "duration_us": "greatest(duration_us, 0)",
    "unpriced": "unpriced",
    "estimated": "ifNull(usage_source = 'estimated', 0)",
    "uncounted": "ifNull(usage_source = 'missing', 0)",
    **{name: f"ifNull({name}, 0)" for name in SUMS if SUM_OF[name] == f"sum({name})"},
}
"""What is added up → what one span adds to it."""
_BINS: Final = 4
"""How many sums of a series take as long as its bins, of which there are more, with a count each."""
_FEW: Final = 100_000
"""Spans that one processor reads before others would have begun to help."""
_Ranges: TypeAlias = dict[int, list[Range]]
"""The length of what is added up already, 0 for spans → from when to when it is read."""


@dataclass(frozen=True)
class Relation:
    """What is asked ``FROM``, and how the statement around it ends."""

    question: str
    settings: str
    """Which hold for the whole statement: what is said of a level holds for its part only."""

    def __str__(self) -> str:
        return self.question


def relation(
    client: Client,
    selection: Selection,
    step_us: int,
    keys: Sequence[str],
    values: Sequence[str] = SUMS,
    where: Where | None = None,
    *,
    by_hour_only: bool = False,
    with_before: bool = False,
    times: Sequence[Range] | None = None,
) -> Relation:
    """A question for ``values`` as columns ``a_…``, by ``keys``, of which ``at_us`` is told as finely as ``step_us``. It may have
    several rows for one key.

    ``where``: conditions on columns that the projection has as well. ``by_hour_only``: there is none of five minutes. ``with_before``:
    over ``selection.before`` as well, which ``is_now``, a further key, tells apart. ``times``: only over these parts of both.
    """
    levels = [unit for unit in _LEVELS[: 1 if by_hour_only else None] if not step_us % unit]
    if times is None:
        times = times_of(selection, with_before=with_before)
    of_each = _BINS if "bin" in keys else 1
    read, rows = _cheapest(client.amounts, times, [] if any(selection.runs) else levels, of_each)
    parts = []
    for unit, ranges in read.items():
        at = f"intDiv(start_us, {unit})" if unit else "start_us"
        either = " OR ".join(
            f"({at} >= {start // (unit or 1)} AND {at} < {end // (unit or 1)})" for start, end in ranges
        )
        condition = Where(f"({either})").add(str(where) if where else "")
        if not unit:
            runs = spans_filter(selection)
            condition.add(str(runs) if runs else "")
        # Nothing that is added up already lies on both sides of where the selection begins.
        known = {
            "at_us": f"intDiv({at}, {step_us // unit}) * {step_us} AS at_us" if unit else "start_us AS at_us",
            "is_now": f"{at} >= {-(-bounded(selection.start_us) // (unit or 1))} AS is_now",
        }
        shown = [known.get(key, key) for key in keys]
        added = [f"{_known(name) if unit else _OF_ONE[name]} AS a_{name}" for name in values]
        by = f" GROUP BY {', '.join(keys)}" if unit else ""
        # Only inside FROM (...): at the top of a statement these settings would hold for all of its parts.
        parts.append(
            f"(SELECT {', '.join([*shown, *added])} FROM spans WHERE {condition}{by} SETTINGS {_reading(unit, keys)})"
        )
    if not parts:  # an empty span of time
        shown = [{"at_us": "start_us AS at_us", "is_now": "1 AS is_now"}.get(key, key) for key in keys]
        nothing = (
            f"SELECT {', '.join([*shown, *(f'{_OF_ONE[name]} AS a_{name}' for name in values)])} FROM spans WHERE 0"
        )
        return Relation(nothing, "")
    # What reads nothing but spans is weighed against all projections unless the statement around it says no.
    settings = [] if any(read) else ["optimize_use_projections = 0"]
    if rows < _FEW:
        settings.append("max_threads = 1")
    return Relation(" UNION ALL ".join(parts), f" SETTINGS {', '.join(settings)}" if settings else "")


def times_of(selection: Selection, *, with_before: bool) -> list[Range]:
    """From when to when a selection is, and the time before it."""
    told = (selection, selection.before) if with_before else (selection,)
    moments = [(bounded(each.start_us), bounded(each.end_us)) for each in told]
    return [(start, end) for start, end in moments if start < end]


def _known(name: str) -> str:
    # What adds up a column may be NULL; every function more is planned in each part.
    return f"ifNull({SUM_OF[name]}, 0)" if SUM_OF[name] == f"sum({name})" else SUM_OF[name]


def _reading(unit: int, keys: Sequence[str]) -> str:
    """The setting with which a level is read."""
    if not unit:
        return "optimize_use_projections = 0"
    kind = next((kind for key, kind in _KINDS.items() if key in keys), "sums")
    return f"preferred_optimize_projection_name = '{_PROJECTIONS[unit, kind]}'"


def _cheapest(amounts: Amounts, times: Sequence[Range], levels: Sequence[int], of_each: int) -> tuple[_Ranges, float]:
    """What is read: as few ``levels`` as possible, unless one more spares so many rows that it is worth it; and how many rows, about."""
    choices = [_ranges(times, levels[:count]) for count in range(len(levels) + 1)]
    rows = [_rows(amounts, ranges, of_each) for ranges in choices]
    costs = [each + WORTH_A_LEVEL * sum(map(bool, ranges)) for each, ranges in zip(rows, choices, strict=True)]
    best = costs.index(min(costs))
    return choices[best], rows[best]


def _rows(amounts: Amounts, ranges: _Ranges, of_each: int) -> float:
    """How long the rows take, in spans."""
    sums = sum(amounts.sums(read, unit, of_each) for unit, read in ranges.items() if unit)
    return amounts.spans(ranges.get(0, ())) + WORTH_A_SUM * sums


def _ranges(times: Sequence[Range], levels: Sequence[int]) -> _Ranges:
    """The coarsest level first, and what is left of the times by the finer ones."""
    left = list(times)
    found: _Ranges = {}
    for unit in levels:
        whole = [(-(-start // unit) * unit, end // unit * unit) for start, end in left]
        read = [first < last for first, last in whole]
        if any(read):
            found[unit] = [each for each, is_read in zip(whole, read, strict=True) if is_read]
        around = (
            [(start, first), (last, end)] if is_read else [(start, end)]
            for (start, end), (first, last), is_read in zip(left, whole, read, strict=True)
        )
        left = [(start, end) for start, end in chain.from_iterable(around) if start < end]
    if left:
        found[0] = left
    return found
