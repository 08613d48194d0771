"""Runs as people count them: one that was interrupted and resumed is one, however many traces it left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from .base import TraceRow

__all__ = ["Related", "Relation", "Run", "TaskRuns", "joined"]

Relation = Literal["task", "session", "framework", "version", "earlier", "later"]
"""Why a run is worth laying beside another one: the same task; the same session; another framework's, near in time; the nearest
of the same name by another version; the nearest of the same name before, and after."""


@dataclass(frozen=True)
class Run:
    """One run."""

    row: TraceRow
    """The whole: it has the first trace's id, name, start and question, and the last one's status, error and answer. Everything else is
    added up; the duration is the time at work, without waiting for whoever resumed it."""
    parts: tuple[TraceRow, ...]
    """Its traces, oldest first; mostly one."""
    waited_us: int
    """How long it waited between its parts."""

    def waited_before(self, part: int) -> int:
        """How long it waited before one of its parts."""
        if part == 0:
            return 0
        ended = max(before.start_us + before.duration_us for before in self.parts[:part])
        return max(0, self.parts[part].start_us - ended)


class Related(NamedTuple):
    """A run to compare with."""

    relation: Relation
    row: TraceRow


@dataclass(frozen=True)
class TaskRuns:
    """What runs were asked to do, by the programs' own label."""

    task: str
    runs: int
    frameworks: tuple[str, ...]


def joined(parts: Sequence[TraceRow]) -> Run:
    """The traces of one run as one. ``parts``: at least one, in any order."""
    ordered = tuple(sorted(parts, key=lambda part: (part.start_us, part.trace_id)))
    first, last = ordered[0], ordered[-1]
    waited = 0
    end = first.start_us + first.duration_us
    for part in ordered[1:]:
        waited += max(0, part.start_us - end)
        end = max(end, part.start_us + part.duration_us)
    row = replace(
        first,
        framework=_first(part.framework for part in ordered),
        service=_first(part.service for part in ordered),
        session_id=_first(part.session_id for part in ordered),
        user_id=_first(part.user_id for part in ordered),
        task=_first(part.task for part in ordered),
        version=_first(part.version for part in ordered),
        status=last.status,
        error_type=last.error_type,
        duration_us=end - first.start_us - waited,
        spans=sum(part.spans for part in ordered),
        errors=sum(part.errors for part in ordered),
        calls=sum(part.calls for part in ordered),
        tools=sum(part.tools for part in ordered),
        input_tokens=sum(part.input_tokens for part in ordered),
        output_tokens=sum(part.output_tokens for part in ordered),
        cost_usd=sum(part.cost_usd for part in ordered),
        unpriced_calls=sum(part.unpriced_calls for part in ordered),
        skewed=any(part.skewed for part in ordered),
        models=tuple(sorted({model for part in ordered for model in part.models})),
        asked=_first(part.asked for part in ordered),
        answered=_first(part.answered for part in reversed(ordered)),
        failures=sum(part.failures for part in ordered),
    )
    return Run(row, ordered, waited)


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)
