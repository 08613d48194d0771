"""Points of a timeline as the numbers of a chart: every step is there, also where nothing happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ai_dev_squad_dashboard.hues import hues
from ai_dev_squad_dashboard.store.base import Point, Selection

__all__ = ["Chart", "Series", "chart", "starts_of"]

OTHERS = "(others)"
MAX_SERIES = 8
MAX_STEPS = 400


@dataclass(frozen=True)
class Series:
    """The numbers of one key, one for each of the chart's starts."""

    key: str | None
    hue: int
    """Its colour, 1 to 8; 0 for what is put together because there is too much."""
    values: tuple[float | None, ...]
    """``None`` where there is nothing to know, as for the latency of a step without calls."""
    total: float
    """The sum of the values."""


@dataclass(frozen=True)
class Chart:
    """Sums over time, the largest series first."""

    step_us: int
    starts: tuple[int, ...]
    """When each step begins, in microseconds since 1970; steps are aligned to multiples of their length, UTC."""
    series: tuple[Series, ...]
    total: float


def starts_of(moments: Iterable[int], selection: Selection, step_us: int) -> tuple[int, ...]:
    """When each step of a chart begins over ``selection``, in which ``moments`` are steps with something in them."""
    # A span of time without a beginning has one where the first of them is.
    first = min(moments, default=selection.end_us) if not selection.start_us else 0
    start = max(first, selection.start_us) // step_us * step_us
    return tuple(range(start, selection.end_us, step_us)[-MAX_STEPS:])


def chart(points: Sequence[Point], selection: Selection, step_us: int, value: Callable[[Point], float]) -> Chart:
    """``value`` of each point, by key and step."""
    starts = starts_of((point.start_us for point in points), selection, step_us)
    place = {moment: number for number, moment in enumerate(starts)}
    sums: dict[str | None, list[float]] = {}
    for point in points:
        number = place.get(point.start_us)
        if number is not None:
            sums.setdefault(point.key, [0.0] * len(starts))[number] += value(point)
    ordered = sorted(sums.items(), key=lambda item: (-sum(item[1]), str(item[0])))
    shown, rest = ordered, []
    if len(ordered) > MAX_SERIES:
        shown, rest = ordered[: MAX_SERIES - 1], ordered[MAX_SERIES - 1 :]
    colours = hues([key for key, _ in shown])
    series = [Series(key, colours[key], tuple(values), sum(values)) for key, values in shown]
    if rest:
        together = tuple(map(sum, zip(*(values for _, values in rest), strict=True)))
        series.append(Series(OTHERS, 0, together, sum(together)))
    return Chart(step_us, starts, tuple(series), sum(one.total for one in series))
