"""A rule as it is written, in a file or on the page, and understood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES, FigureName, Kind

from .entries import length_us, named, shaped
from .errors import RuleFileError
from .rules import MEASURES, OF, Measure, Rule, Severity

__all__ = ["RuleText", "read_rule"]

_MAX_COMBINATIONS: Final = 1000
_MOST_COUNT: Final = 1_000_000_000
_MINUTE_US: Final = 60_000_000
_LONGEST_US: Final = 31 * 1440 * _MINUTE_US


class RuleText(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A rule as it is written, in a file or on the page."""

    name: str
    measure: str
    of: Literal["calls", "runs", "tools", "agents", "spans"] | None = None
    over: str = "5m"
    above: float | None = None
    below: float | None = None
    where: dict[str, str | list[str]] = {}
    by: list[str] = []
    notify: list[str] = []
    severity: Severity = "warning"
    min_count: int = 1
    rearm: str | None = None
    repeat: str | None = None
    resolved: bool = True
    note: str = ""


def read_rule(entry: Any) -> Rule:
    """Understand one rule, whose receivers are not looked at. Raises ``RuleFileError``."""
    text = shaped(entry, RuleText)
    problems: list[str] = []
    measure = MEASURES.get(text.measure)
    if measure is None:
        raise RuleFileError([f"measure {text.measure!r} is unknown; use one of {', '.join(MEASURES)}"])
    over_us = length_us(problems, "over", text.over, _MINUTE_US, _LONGEST_US)
    above, threshold = _threshold(problems, text, measure)
    kind = measure.kind or OF[text.of or ("spans" if text.measure == "silence" else "calls")]
    if text.of is not None and measure.kind is not None:
        problems.append(f"{text.measure} is not counted `of` anything; leave `of` out")
    named(problems, "name", text.name)
    if len(text.note) > 2000:
        problems.append(f"note has {len(text.note)} characters; use at most 2000, or the address of a page")
    if not 1 <= text.min_count <= _MOST_COUNT:
        problems.append(f"min_count {str(text.min_count)[:40]} is not from 1 to {_MOST_COUNT}; correct it")
    where = _where(problems, text.where)
    by = _names(problems, "by", text.by)
    rearm_us = over_us if text.rearm is None else length_us(problems, "rearm", text.rearm, 0, _LONGEST_US)
    repeat_us = None if text.repeat is None else length_us(problems, "repeat", text.repeat, _MINUTE_US, _LONGEST_US)
    if problems:
        raise RuleFileError(problems)
    return Rule(
        name=text.name,
        measure=text.measure,
        kind=Kind(kind),
        over_us=over_us,
        threshold=threshold,
        above=above,
        where=where,
        by=by,
        notify=tuple(dict.fromkeys(text.notify)),
        severity=text.severity,
        min_count=text.min_count,
        rearm_us=rearm_us,
        repeat_us=repeat_us,
        resolved=text.resolved,
        note=text.note,
    )


def _threshold(problems: list[str], text: RuleText, measure: Measure) -> tuple[bool, float]:
    if text.measure == "silence":
        if text.above is not None or text.below is not None:
            problems.append("silence has no threshold; leave `above` and `below` out, and say how long with `over`")
        return False, 1.0
    if text.above is not None and text.below is not None:
        problems.append("it has `above` and `below`; write two rules")
        return True, 0.0
    value = text.above if text.above is not None else text.below if text.below is not None else measure.default
    if value is None:
        problems.append(
            f"it has no threshold; write above = … or below = …{f', in {measure.unit}' if measure.unit else ''}"
        )
        return True, 0.0
    if not math.isfinite(value) or not 0 <= value <= 1e12:
        problems.append(f"the threshold {value!r} is not from 0 to 1e12; correct it")
        return True, 0.0
    return text.below is None, float(value)


def _where(problems: list[str], given: Mapping[str, str | list[str]]) -> tuple[tuple[FigureName, tuple[str, ...]], ...]:
    chosen: dict[FigureName, tuple[str, ...]] = {}
    combinations = 1
    for name, values in given.items():
        several = tuple(dict.fromkeys([values] if isinstance(values, str) else values))
        if not several:
            problems.append(f"where.{name} is empty; leave it out, or name values")
            continue
        combinations *= len(several)
        for known in _names(problems, "where", [name]):
            chosen[known] = several
    if combinations > _MAX_COMBINATIONS:
        problems.append(
            f"where has {combinations} combinations; use at most {_MAX_COMBINATIONS}, or write several rules"
        )
    return tuple(sorted(chosen.items()))


def _names(problems: list[str], field: str, given: Sequence[str]) -> tuple[FigureName, ...]:
    known = [name for name in FIGURE_NAMES if name in given]
    problems.extend(
        f"{field} has {name!r}; use {', '.join(FIGURE_NAMES)}" for name in given if name not in FIGURE_NAMES
    )
    return tuple(known)
