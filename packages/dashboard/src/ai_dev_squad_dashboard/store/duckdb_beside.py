"""The part of the embedded store that tells what stands beside cost: what tools took and how they ended, what metrics count, and what people
think of runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import duckdb_carried, duckdb_growth, duckdb_marks, duckdb_tool_calls
from .base import Growth, Marked, MarkedBy, Selection, ToolCalls, ToolEnds, ToolInput, ToolStep
from .duckdb_file import File

__all__ = ["BesideCost"]


class BesideCost:
    """Answers that need nothing but the file."""

    _file: File

    def tool_inputs(self, selection: Selection, limit: int = 100) -> Sequence[ToolInput]:
        with self._file.reading() as cursor:
            return duckdb_carried.tool_inputs(cursor, selection, limit)

    def tool_calls(self, selection: Selection, limit: int = 100) -> Sequence[ToolCalls]:
        with self._file.reading() as cursor:
            return duckdb_tool_calls.tool_calls(cursor, selection, limit)

    def tool_steps(self, selection: Selection, tool: str, step_us: int) -> Sequence[ToolStep]:
        with self._file.reading() as cursor:
            return duckdb_tool_calls.tool_steps(cursor, selection, tool, step_us)

    def growth(self, names: Sequence[str], start_us: int, end_us: int, step_us: int) -> Sequence[Growth]:
        with self._file.reading() as cursor:
            return duckdb_growth.growth(cursor, names, start_us, end_us, step_us)

    def tool_ends(self, selection: Selection, limit: int = 1_000) -> Sequence[ToolEnds]:
        with self._file.reading() as cursor:
            return duckdb_tool_calls.tool_ends(cursor, selection, limit)

    def marked(
        self, selection: Selection, by: MarkedBy, *, good_score: float | None = None, limit: int = 100
    ) -> Sequence[Marked]:
        with self._file.reading() as cursor:
            return duckdb_marks.marked(cursor, selection, by, good_score, limit)

    def mark_labels(self, selection: Selection, limit: int = 50) -> Sequence[str]:
        with self._file.reading() as cursor:
            return duckdb_marks.labels(cursor, selection, limit)
