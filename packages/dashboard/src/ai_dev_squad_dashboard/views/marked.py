"""What was thought of runs, beside what they cost: mean scores, shares of labels, and what a good run costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final, get_args

from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Marked, MarkedBy, Store

from .parity.spread import ENOUGH, share_of

__all__ = ["BY", "Good", "LabelShare", "MarkedRuns", "Marks", "marks"]

BY: Final[tuple[MarkedBy, ...]] = get_args(MarkedBy)
MOST: Final = 100
_GOOD: Final = ("good", "👍", "thumbs_up", "pass", "passed", "yes", "correct", "helpful", "positive")
"""Labels that say by themselves that a run was good, the first one that was given is taken."""


@dataclass(frozen=True)
class LabelShare:
    """A label, and how many of the runs have it."""

    label: str
    runs: int
    share: float


@dataclass(frozen=True)
class MarkedRuns:
    """Runs with something in common, that were judged under one name. Each speaks once, by its newest score and newest label."""

    key: str | None
    """What they have in common."""
    name: str
    """What was judged."""
    runs: int
    """Runs with such a mark."""
    scored: int
    """Those with a score."""
    mean: float | None
    """Of the scores."""
    low: float | None
    """Where the 95 % interval of the mean begins: Wilson's for scores of 0 and 1, else Student's. ``null`` for fewer than six
    scores, and for equal ones, which tell nothing of how they vary."""
    high: float | None
    labels: tuple[LabelShare, ...]
    cost_usd: float
    """What the runs cost as a whole, of the calls whose price is known."""
    unpriced_calls: int
    good_runs: int | None
    """``null`` where nothing says what is good."""
    cost_per_good_run_usd: float | None
    """The cost of all these runs, over the good ones; ``null`` for fewer than six good ones, as so few tell nothing."""
    cost_per_good_run_low_usd: float | None
    """As little as it is if the share of good runs is as large as its 95 % interval (Wilson) allows."""
    cost_per_good_run_high_usd: float | None


@dataclass(frozen=True)
class Good:
    """What makes a run a good one: a label, or a score of at least so much."""

    label: str | None
    least_score: float | None


@dataclass(frozen=True)
class Marks:
    """How marks of runs are put together."""

    by: MarkedBy
    labels: tuple[str, ...]
    """Labels that the runs have."""
    good: Good | None


def marks(store: Store, query: Query) -> tuple[Marks, tuple[MarkedRuns, ...]]:
    """The marks of the runs that began in the span of time, put together as the URL says by ``marks_by``; ``good`` and ``good_score`` say what a good run is."""
    by: MarkedBy = query.choice("marks_by", BY, "model")  # type: ignore[assignment]
    least = query.number("good_score", minimum=-1e12, maximum=1e12)
    found = store.marked(query.selection, by, good_score=least, limit=MOST)
    labels = tuple(dict.fromkeys(label for each in found for label, _ in each.labels))
    label = query.get("good") or next((each for word in _GOOD for each in labels if each.casefold() == word), None)
    good = Good(None, least) if least is not None else Good(label, None) if label else None
    return Marks(by, labels, good), tuple(_row(each, good) for each in found)


def _row(each: Marked, good: Good | None) -> MarkedRuns:
    low, high = _interval(each)
    many = None
    if good is not None:
        many = each.high if good.label is None else dict(each.labels).get(good.label, 0)
    share = share_of(many, each.runs) if many is not None and many >= ENOUGH else None
    a_run = each.cost_usd / each.runs
    return MarkedRuns(
        key=each.key,
        name=each.name,
        runs=each.runs,
        scored=each.scored,
        mean=each.mean,
        low=low,
        high=high,
        labels=tuple(LabelShare(label, runs, runs / each.runs) for label, runs in each.labels),
        cost_usd=each.cost_usd,
        unpriced_calls=each.unpriced_calls,
        good_runs=many,
        cost_per_good_run_usd=None if share is None else a_run / share.share,
        cost_per_good_run_low_usd=None if share is None else a_run / share.high,
        cost_per_good_run_high_usd=None if share is None else a_run / share.low,
    )


def _interval(each: Marked) -> tuple[float | None, float | None]:
    """The 95 % interval of the mean."""
    n, mean, deviation = each.scored, each.mean, each.deviation
    if n < ENOUGH or mean is None or deviation is None:
        return None, None
    ends = {each.lowest, each.highest}
    # Only zeros and ones have this spread between 0 and 1.
    if ends <= {0.0, 1.0} and abs(deviation**2 * (n - 1) / n - mean * (1 - mean)) < 1e-9:
        share = share_of(round(mean * n), n)
        return (None, None) if share is None else (share.low, share.high)
    if not deviation:
        return None, None
    half = _student(n - 1) * deviation / sqrt(n)
    return mean - half, mean + half


def _student(freedom: int) -> float:
    """What 97.5 % of Student's distribution stay below: by its expansion around the normal one (Abramowitz and Stegun, 26.7.5), off
    by less than 0.003 from five degrees of freedom on.
    """
    z = NormalDist().inv_cdf(0.975)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term * float(freedom) ** -power for power, term in enumerate(terms))
