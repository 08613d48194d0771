"""What somebody thinks of a run, read from the event that says so: a journal line or a log record, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ai_dev_squad import attributes as keys

from .rows import LogRow
from .selection import MarkedBy
from .sums import Marked

__all__ = [
    "BY",
    "COMMENT",
    "EVENT",
    "LABEL",
    "LONGEST",
    "NAME",
    "OF_SPANS",
    "SAME_US",
    "SCORE",
    "Mark",
    "in_order",
    "mark_of",
    "most_used",
]

EVENT: Final = "gen_ai.evaluation.result"
"""The type of the event."""
NAME: Final = keys.EVALUATION_NAME
SCORE: Final = keys.EVALUATION_SCORE_VALUE
LABEL: Final = keys.EVALUATION_SCORE_LABEL
COMMENT: Final = keys.EVALUATION_EXPLANATION
BY: Final = "ai_dev_squad.mark.by"
LONGEST: Final = 256
"""Characters of what was judged, and of a label."""
SAME_US: Final = 1_000_000
"""What says the same of the same within this time is one mark: a program may write a line and send an event of it."""
OF_SPANS: Final = ("model", "provider", "agent", "tool")
"""Of what several may have taken part in a run."""
_MOST_LABELS: Final = 20


class _Details(msgspec.Struct):
    metadata: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


_decode: Final = msgspec.json.Decoder(_Details).decode


@dataclass(frozen=True)
class Mark:
    """What somebody thinks of a run, or of an operation in it."""

    time_us: int
    name: str
    """What was judged."""
    score: float | None
    label: str | None
    comment: str | None
    by: str | None
    """Who made it on the page or by API; ``None`` for a program's own."""
    span_id: str | None
    """The operation, where one is meant."""


def mark_of(line: LogRow) -> Mark:
    """The mark that a line of type ``EVENT`` tells; one without words where it cannot be read."""
    try:
        details = _decode(line.details or b"{}")
    except msgspec.MsgspecError:
        details = _Details()
    given = {**details.attributes, **details.metadata}
    return Mark(
        time_us=line.time_us,
        name=(_text(given, NAME) or "feedback")[:LONGEST],
        score=_number(given),
        label=(_text(given, LABEL) or "")[:LONGEST] or None,
        comment=_text(given, COMMENT),
        by=_text(given, BY),
        span_id=line.span_id,
    )


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value if isinstance(value, str) and value else None


def _number(given: Mapping[str, Any]) -> float | None:
    value = given.get(SCORE)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def most_used(labels: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """So many labels as are told, of (label, runs), the most used first."""
    return tuple(sorted(labels, key=lambda each: (-each[1], each[0]))[:_MOST_LABELS])


def in_order(found: Iterable[Marked], by: MarkedBy) -> list[Marked]:
    """Days as they come, all else by how many runs were judged; what has no name comes last among equals."""
    if by == "day":
        return sorted(found, key=lambda each: (each.key or "", each.name))
    return sorted(found, key=lambda each: (-each.runs, each.key is None, each.key or "", each.name))
