"""Where sums are read: hours where whole hours are asked for, five minutes around them, spans at the edges.

An hour's sums are those of a projection of the spans, which the engine finds when it is asked in the projection's own words. One part of
a question a level: planning a part takes the engine longer than reading it. Each level names its projection, because weighing all of
them against one another was a third of the planning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.summary import SUMS

from .filters import bounded, spans_filter
from .literals import Where
from .schema import FIVE_US, HOUR_US, SUM_OF

__all__ = ["DRAWN", "VALUES", "relation", "values_of"]

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


def values_of(names: Sequence[str]) -> str:
    """Sums as columns ``a_…``."""
    return ", ".join(f"{_known(name)} AS a_{name}" for name in names)


def _known(name: str) -> str:
    # What adds up a column may be NULL; every function more is planned in each part.
    return f"ifNull({SUM_OF[name]}, 0)" if SUM_OF[name] == f"sum({name})" else SUM_OF[name]


VALUES: Final = values_of(SUMS)
DRAWN: Final = values_of(("spans", "errors", "cost_usd", "unpriced", "input_tokens", "output_tokens"))
"""What a timeline draws."""


def relation(
    selection: Selection,
    step_us: int,
    keys: Sequence[str],
    values: str,
    where: Where | None = None,
    *,
    by_hour_only: bool = False,
    with_before: bool = False,
) -> str:
    """A question for ``values`` by ``keys``, of which ``at_us`` is told as finely as ``step_us``. It may have several rows for one key.

    ``where``: conditions on columns that the projection has as well. ``by_hour_only``: there is none of five minutes. ``with_before``:
    over ``selection.before`` as well, which ``is_now``, a further key, tells apart.
    """
    parts = []
    found = _ranges(selection, step_us, by_hour_only=by_hour_only)
    if with_before:
        for unit, ranges in _ranges(selection.before, step_us, by_hour_only=by_hour_only).items():
            found[unit] = [*found.get(unit, []), *ranges]
    for unit, ranges in found.items():
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
            "at_us": f"{at} * {unit or 1} AS at_us",
            "is_now": f"{at} >= {-(-bounded(selection.start_us) // (unit or 1))} AS is_now",
        }
        shown = [known.get(key, key) for key in keys]
        # Only inside FROM (...): at the top of a statement these settings would hold for all of its parts.
        parts.append(
            f"(SELECT {', '.join([*shown, values])} FROM spans WHERE {condition} GROUP BY {', '.join(keys)}"
            f" SETTINGS {_reading(unit, keys)})"
        )
    if not parts:  # an empty span of time
        shown = [{"at_us": "start_us AS at_us", "is_now": "1 AS is_now"}.get(key, key) for key in keys]
        return f"SELECT {', '.join([*shown, values])} FROM spans WHERE 0 GROUP BY {', '.join(keys)}"
    return " UNION ALL ".join(parts)


def _reading(unit: int, keys: Sequence[str]) -> str:
    """The setting with which a level is read."""
    if not unit:
        return "optimize_use_projections = 0"
    kind = next((kind for key, kind in _KINDS.items() if key in keys), "sums")
    return f"preferred_optimize_projection_name = '{_PROJECTIONS[unit, kind]}'"


def _ranges(selection: Selection, step_us: int, *, by_hour_only: bool) -> dict[int, list[tuple[int, int]]]:
    """The length of what is added up already, 0 for spans → from when to when it is read."""
    left = [(bounded(selection.start_us), bounded(selection.end_us))]
    if left[0][0] >= left[0][1]:
        return {}
    found: dict[int, list[tuple[int, int]]] = {}
    for unit in _LEVELS[:1] if by_hour_only else _LEVELS:
        if any(selection.runs) or step_us % unit:
            continue
        rest = []
        for start, end in left:
            first, last = -(-start // unit) * unit, end // unit * unit
            if first < last:
                found.setdefault(unit, []).append((first, last))
                rest += [(start, first), (last, end)]
            else:
                rest.append((start, end))
        left = [(start, end) for start, end in rest if start < end]
    if left:
        found[0] = left
    return found
