"""What became worse: which differences are larger than chance and larger than is allowed, over all tasks and measures
together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Final, Literal

from ai_dev_squad_testing.gate.samples import MEASURES, Samples
from ai_dev_squad_testing.gate.statistics import holm, permutation_p, ratio_interval

__all__ = ["Comparison", "Finding", "Limits", "Verdict", "compare"]

Verdict = Literal["worse", "better", "same", "unclear"]

_MOST_PERMUTATIONS: Final = 99_999
FEWEST: Final = 5
"""Runs of each side below which nothing can be told: with four of each, chance alone gives any order once in seventy."""


@dataclass(frozen=True)
class Limits:
    """What is a regression."""

    effect: float = 0.10
    """The growth of a mean that is allowed, as a share; of failures, in shares of all runs."""
    level: float = 0.005
    """The chance of any false alarm, over all tasks and measures together."""
    measures: tuple[str, ...] = ("cost", "tokens", "calls", "failures")
    exact: bool = False
    """For programs that always take the same, such as those against a scripted model: every growth beyond ``effect`` is
    worse, and one run is enough.
    """
    permutations: int = 9_999
    resamples: int = 1_000
    """Of the intervals that readers are shown; 0 for none."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.measures) - set(MEASURES))
        if unknown:
            raise ValueError(f"measure {unknown[0]!r} is unknown; use {', '.join(MEASURES)}")
        if not (0 <= self.effect < math.inf and 0 < self.level < 1):
            raise ValueError(f"effect={self.effect} and level={self.level} must be at least 0, and between 0 and 1")


@dataclass(frozen=True)
class Finding:
    """One measure of one task, then and now."""

    task: str
    measure: str
    old_mean: float
    new_mean: float
    old_runs: int
    new_runs: int
    verdict: Verdict = "same"
    p: float | None = None
    """How likely so large a growth is by chance, adjusted for everything that was compared; ``None`` where it was not asked."""
    interval: tuple[float, float] | None = None
    """Of the ratio of the means, 95 %."""

    @property
    def ratio(self) -> float:
        """``new_mean / old_mean``; infinite where there was nothing before."""
        if self.old_mean == self.new_mean:
            return 1.0
        return self.new_mean / self.old_mean if self.old_mean else math.inf

    @property
    def growth(self) -> float:
        """What is held against ``Limits.effect``."""
        return self.new_mean - self.old_mean if self.measure == "failures" else self.ratio - 1


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared, the worst first."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    """What was not compared, and why."""
    limits: Limits = field(default_factory=Limits)

    @property
    def worse(self) -> tuple[Finding, ...]:
        """The regressions."""
        return tuple(finding for finding in self.findings if finding.verdict == "worse")

    @property
    def unclear(self) -> tuple[Finding, ...]:
        """What would be a regression if it were no chance, and too few runs to tell."""
        return tuple(finding for finding in self.findings if finding.verdict == "unclear")


def compare(old: Samples, new: Samples, limits: Limits | None = None) -> Comparison:
    """Compare runs with those of a baseline.

    A measure is ``worse`` where its mean grew by more than ``limits.effect`` and that is no chance at ``limits.level``;
    it is ``unclear`` where it grew by more, and may be chance. Only what grew by more is tested; p-values are adjusted
    for everything that was compared, by Holm's method.
    """
    limits = limits or Limits()
    found = list(_paired(old, new, limits))
    if limits.exact:
        judged = [replace(finding, verdict=_exactly(finding, limits)) for finding, _, _ in found]
    else:
        judged = _judged(found, limits)
    gravity = {"worse": 0, "unclear": 1, "better": 2, "same": 3}
    judged.sort(key=lambda finding: (gravity[finding.verdict], -finding.growth, finding.task, finding.measure))
    return Comparison(tuple(judged), tuple(_notes(old, new)), limits)


_Pair = tuple[Finding, list[float], list[float]]


def _paired(old: Samples, new: Samples, limits: Limits) -> Iterator[_Pair]:
    for task, measures in new.values.items():
        before: Mapping[str, list[float]] = old.values.get(task, {})
        for measure in limits.measures:
            then, now = before.get(measure), measures.get(measure)
            if then and now:
                yield Finding(task, measure, fmean(then), fmean(now), len(then), len(now)), then, now


def _judged(found: list[_Pair], limits: Limits) -> list[Finding]:
    # As many permutations as the smallest p-value needs that an adjustment for so many comparisons asks for.
    permutations = min(_MOST_PERMUTATIONS, max(limits.permutations, math.ceil(4 * len(found) / limits.level)))
    values = []
    for finding, then, now in found:
        tested = finding.growth > limits.effect and min(len(then), len(now)) >= FEWEST
        values.append(permutation_p(then, now, permutations) if tested else 1.0)
    adjusted = holm(values)
    return [
        replace(
            finding,
            p=p if raw < 1 else None,
            verdict=_verdict(finding, p, limits),
            interval=ratio_interval(then, now, limits.resamples) if finding.growth > limits.effect else None,
        )
        for (finding, then, now), raw, p in zip(found, values, adjusted, strict=True)
    ]


def _verdict(finding: Finding, p: float, limits: Limits) -> Verdict:
    if finding.growth > limits.effect:
        return "worse" if p <= limits.level else "unclear"
    return "better" if finding.growth < -limits.effect else "same"


def _exactly(finding: Finding, limits: Limits) -> Verdict:
    # A hair more than allowed is rounding.
    if finding.growth > limits.effect + 1e-9:
        return "worse"
    return "better" if finding.growth < -limits.effect - 1e-9 else "same"


def _notes(old: Samples, new: Samples) -> Iterator[str]:
    yield from (f"baseline: {note}" for note in old.notes)
    yield from new.notes
    gone, come = sorted(old.values.keys() - new.values.keys()), sorted(new.values.keys() - old.values.keys())
    if gone:
        yield f"not run any more: {', '.join(gone)}"
    if come:
        yield f"not in the baseline: {', '.join(come)}"
