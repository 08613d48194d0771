"""The frameworks' own runs of the same work, as distributions, and what of them cannot be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ai_dev_squad_dashboard.hues import hues
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import TraceRow
from ai_dev_squad_dashboard.store.runs import Run

from .spread import ENOUGH, Share, Spread, lowest, share_of, spread_of

__all__ = ["SameWork", "Side", "SpreadRow", "same_work"]

SIDES: Final = 6
MOST_RUNS: Final = 5_000
NAMES: Final = 20
_SUCCEEDED: Final = frozenset({"ok", "handoff"})
_ENDED: Final = _SUCCEEDED | {"error"}


@dataclass(frozen=True)
class Side:
    """A framework's runs of the work."""

    framework: str
    hue: int
    runs: int
    succeeded: int
    failed: Share | None
    """Runs that failed, of those that succeeded or failed; ``null`` where none did either."""
    unended: int
    """Runs that neither succeeded nor failed: cancelled, abandoned, or waiting for a person."""
    resumed: int
    """Runs that were interrupted and resumed; each is counted once."""
    newest: str
    """A trace of the newest run that succeeded, else of the newest."""


@dataclass(frozen=True)
class SpreadRow:
    """One measure of the runs that succeeded."""

    name: str
    unit: Literal["us", "usd", "count"]
    spreads: tuple[Spread | None, ...]
    """One for each side."""
    top: float
    """The largest value, which the pictures are drawn against."""
    lowest: int | None
    """The side whose median is lowest beyond doubt; ``null`` where that cannot be said."""


@dataclass(frozen=True)
class SameWork:
    """Runs of the same work, by framework."""

    task: str
    """The task's label; empty where names were chosen."""
    names: tuple[str, ...]
    """The names of runs that were chosen as the same work."""
    sides: tuple[Side, ...]
    rows: tuple[SpreadRow, ...]
    missing: tuple[str, ...]
    """What stands in the way of comparing, in words."""
    cut: bool
    """True when there are more runs than are looked at: the newest are."""


def same_work(site: Site, query: Query) -> SameWork | None:
    """The runs of the task that the URL names, or of the ``name`` it names, several times."""
    names = tuple(dict.fromkeys(query.all("name")))[:NAMES]
    tasks = query.selection.tasks
    if not names and not tasks:
        return None
    runs = site.store.runs(query.selection, names=names, limit=MOST_RUNS)
    by_framework: dict[str, list[Run]] = {}
    for run in runs:
        by_framework.setdefault(run.row.framework or "(unknown)", []).append(run)
    most = [
        framework for framework, _ in Counter({key: len(own) for key, own in by_framework.items()}).most_common(SIDES)
    ]
    shown = sorted(most)
    colours = hues(shown)
    sides = tuple(_side(framework, colours[framework], by_framework[framework]) for framework in shown)
    succeeded = [[run.row for run in by_framework[framework] if run.row.status in _SUCCEEDED] for framework in shown]
    labels = max(len(tasks), len({row.task for rows in succeeded for row in rows if row.task is not None}))
    return SameWork(
        task=", ".join(tasks),
        names=names,
        sides=sides,
        rows=tuple(_row(name, unit, of, succeeded, comparable=labels < 2) for name, unit, of in _MEASURES),
        missing=_missing(sides, succeeded, labels, len(by_framework) - len(shown)),
        cut=len(runs) == MOST_RUNS,
    )


def _side(framework: str, hue: int, runs: Sequence[Run]) -> Side:
    ended = [run for run in runs if run.row.status in _ENDED]
    succeeded = [run for run in ended if run.row.status in _SUCCEEDED]
    return Side(
        framework=framework,
        hue=hue,
        runs=len(runs),
        succeeded=len(succeeded),
        failed=share_of(len(ended) - len(succeeded), len(ended)),
        unended=len(runs) - len(ended),
        resumed=sum(len(run.parts) > 1 for run in runs),
        newest=(succeeded or list(runs))[0].row.trace_id,
    )


Of = Callable[[TraceRow], "float | None"]
_MEASURES: Final[tuple[tuple[str, Literal["us", "usd", "count"], Of], ...]] = (
    ("Duration", "us", lambda row: None if row.skewed else row.duration_us),
    ("Cost", "usd", lambda row: None if row.unpriced_calls else row.cost_usd),
    ("Tokens", "count", lambda row: row.input_tokens + row.output_tokens),
    ("Model calls", "count", lambda row: row.calls),
    ("Tool calls", "count", lambda row: row.tools),
)
"""Name, unit, and the number of a run; ``None`` where it is unknown."""


def _row(
    name: str, unit: Literal["us", "usd", "count"], of: Of, sides: Sequence[Sequence[TraceRow]], *, comparable: bool
) -> SpreadRow:
    values = [[value for value in map(of, rows) if value is not None] for rows in sides]
    spreads = tuple(map(spread_of, values))
    # Where some runs have no number, those that have one may be the cheap ones.
    whole = all(len(own) == len(rows) for own, rows in zip(values, sides, strict=True))
    known = {place: spread for place, spread in enumerate(spreads) if spread is not None}
    best = lowest(known) if comparable and whole and len(known) == len(spreads) else None
    return SpreadRow(name, unit, spreads, max((spread.highest for spread in known.values()), default=0.0), best)


def _missing(
    sides: Sequence[Side], succeeded: Sequence[Sequence[TraceRow]], labels: int, left_out: int
) -> tuple[str, ...]:
    said = []
    if labels > 1:
        said.append(
            f"These are {labels} tasks: different work costs differently, so nothing is called lowest. Choose one."
        )
    if len(sides) < 2:
        only = sides[0].framework if sides else "no framework"
        said.append(f"Only {only} has runs of it here: run it on another framework, or look at a longer span of time.")
    few = [f"{side.framework} has {side.succeeded}" for side in sides if side.succeeded < ENOUGH]
    if few:
        said.append(f"A median's interval takes {ENOUGH} runs that succeeded: {', '.join(few)}.")
    unpriced = [
        f"{number} of {side.framework}"
        for side, rows in zip(sides, succeeded, strict=True)
        if (number := sum(row.unpriced_calls > 0 for row in rows))
    ]
    if unpriced:
        said.append(f"Runs with calls of unknown price are left out of cost: {', '.join(unpriced)}.")
    skewed = sum(row.skewed for rows in succeeded for row in rows)
    if skewed:
        said.append(
            f"Duration is without {skewed} {'run' if skewed == 1 else 'runs'} whose operations are from clocks that differ."
        )
    if left_out:
        said.append(f"{left_out} more with fewer runs: filter by framework to see them.")
    return tuple(said)
