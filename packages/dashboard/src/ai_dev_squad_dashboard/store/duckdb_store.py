"""The embedded store: one DuckDB file, one process that owns it, one thread that writes and any number that ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, Unpack

from ai_dev_squad.costs import CostEntry

from . import (
    duckdb_delete,
    duckdb_failures,
    duckdb_figures,
    duckdb_find,
    duckdb_history,
    duckdb_logs,
    duckdb_runs,
    duckdb_sessions,
    duckdb_sql,
    duckdb_sums,
    duckdb_trace,
    duckdb_traces,
    duckdb_upkeep,
    orders,
)
from .base import (
    Choices,
    DrawnBy,
    ErrorGroup,
    ErrorOrder,
    Facets,
    Fingerprint,
    Found,
    Group,
    GroupBy,
    LogPage,
    MetricName,
    NamedBy,
    OrderBy,
    Outline,
    Point,
    SearchState,
    Selection,
    Session,
    SessionOrder,
    SessionPage,
    Step,
    StoreState,
    Totals,
    Trace,
    TraceFilters,
    TraceOrder,
    TracePage,
    TraceRow,
    Unpriced,
    UserOrder,
    UserPage,
    Written,
)
from .capabilities import Lacks, OneWriter
from .deletions import Deletion, Extent, Subject
from .duckdb_beside import BesideCost
from .duckdb_file import File
from .duckdb_mend import mend
from .duckdb_moving import Moves
from .duckdb_rollup import ROLL_EVERY
from .duckdb_summary import summarise
from .duckdb_write import Writer
from .failures import ORDERS as ERROR_ORDERS
from .figures import Figure, FigureName
from .rows import Batch, LogRow, OpenRow, SpanRow
from .runs import Related, Run, TaskRuns
from .search_indexes import Indexes
from .series import MAX_SERIES
from .sql_answers import MAX_ROWS, MAX_SECONDS, SqlAnswer
from .summary import NAMES, ORDERS, Summary

__all__ = ["DuckDBStore"]


class DuckDBStore(BesideCost, Moves, OneWriter):
    """``Store`` on DuckDB. ``index``: the file of the index of words; without it, a search reads."""

    lacks: Lacks = {}  # noqa: RUF012 - nothing

    def __init__(
        self, file: File, *, max_series: int = MAX_SERIES, roll_every: int = ROLL_EVERY, index: Path | None = None
    ) -> None:
        self._file = file
        self._writer = Writer(file, max_series, roll_every)
        self.indexes = None if index is None else Indexes(file, index, self._writer)

    def snapshot(self) -> AbstractContextManager[None]:
        return self._file.holding()

    def write(self, batch: Batch) -> Written:
        self.mend()
        written, gone = self._writer.write(batch)
        if len(batch) and self._file.log_is_gone():
            self._file.checkpoint()  # there is no log that a start could read, so it has to be in the file
        self.mend()
        if self.indexes is not None:
            if any(gone):
                self.indexes.forget(*gone)
            self.indexes.wake(spans=written.spans, lines=written.logs)
        return written

    def mend(self) -> None:
        if self._file.loss() is not None:
            mend(self._file, self._writer)
            if self.indexes is not None:
                self.indexes.restart()

    def position(self, source: str) -> str | None:
        return self.positions().get(source)

    def positions(self) -> Mapping[str, str]:
        with self._file.reading() as cursor:
            return dict(cursor.execute("SELECT source, position FROM positions").fetchall())

    def totals(self, selection: Selection) -> Totals:
        return self._summaries([selection])[0].totals()

    def with_previous(self, selection: Selection, *, drawn: tuple[int, DrawnBy] | None = None) -> tuple[Totals, Totals]:
        before, now = self._summaries([selection.before, selection])
        return now.totals(), before.totals()

    def timeline(self, selection: Selection, step_us: int, by: DrawnBy = "framework") -> Sequence[Point]:
        orders.known(by, duckdb_sums.KEYS, "group by")
        with self._file.reading() as cursor:
            return duckdb_sums.timeline(cursor, selection, step_us, by)

    def groups(
        self, selection: Selection, by: GroupBy, *, order: OrderBy = "cost", limit: int = 50, latency: bool = False
    ) -> Sequence[Group]:
        orders.known(by, duckdb_sums.KEYS, "group by")
        orders.allowed(order, ORDERS)
        if by in NAMES:
            return self._summaries([selection])[0].groups(by, order, limit, latency)
        with self._file.reading() as cursor:
            return duckdb_sums.groups(cursor, selection, by, order=order, limit=limit, latency=latency)

    def history(self, selection: Selection, by: NamedBy, key: str | None, step_us: int) -> Sequence[Step]:
        orders.known(by, NAMES, "tell the history of a")
        with self._file.reading() as cursor:
            return duckdb_history.history(cursor, selection, by, key, step_us, self._writer.series.names)

    def traces(
        self,
        selection: Selection,
        *,
        text: str = "",
        order: TraceOrder = "newest",
        cursor: str | None = None,
        limit: int = 50,
        counted: bool = True,
        **filters: Unpack[TraceFilters],
    ) -> TracePage:
        with self._file.reading() as reader, self.indexes.of_traces(text) if self.indexes else nullcontext() as index:
            orders.allowed(order, orders.TRACE_ORDERS)
            return duckdb_traces.traces(
                reader, selection, filters, text=text, order=order, after=cursor, limit=limit, counted=counted,
                index=index,
            )  # fmt: skip

    def find(self, text: str, limit: int = 10) -> Sequence[Found]:
        with self._file.reading() as cursor:
            return duckdb_find.find(cursor, text, limit)

    def trace(self, trace_id: str, limit: int = 20_000) -> Trace | None:
        with self._file.reading() as cursor:
            return duckdb_trace.trace(cursor, trace_id, limit, self._file.found)

    def outline(self, trace_id: str, limit: int = 200_000) -> Outline | None:
        with self._file.reading() as cursor:
            return duckdb_trace.outline(cursor, trace_id, limit, self._file.found)

    def span(self, trace_id: str, span_id: str) -> tuple[SpanRow, tuple[LogRow, ...]] | None:
        with self._file.reading() as cursor:
            return duckdb_trace.span(cursor, trace_id, span_id)

    def fingerprints(self, trace_id: str, limit: int = 20_000) -> Mapping[str, Fingerprint]:
        with self._file.reading() as cursor:
            return duckdb_trace.fingerprints(cursor, trace_id, limit)

    def details(self, trace_id: str, limit: int = 20_000) -> Iterator[tuple[str, bytes]]:
        with self._file.reading(own=True) as cursor:
            yield from duckdb_trace.details(cursor, trace_id, limit, self._file.found)

    def run(self, trace_id: str, *, beside: Sequence[str] = ()) -> Run | None:
        with self._file.reading() as cursor:
            return duckdb_runs.run(cursor, trace_id, self._file.found, beside)

    def runs(self, selection: Selection, *, names: Sequence[str] = (), limit: int = 2_000) -> Sequence[Run]:
        with self._file.reading() as cursor:
            return duckdb_runs.runs(cursor, selection, names, limit)

    def related(self, trace_id: str, limit: int = 4) -> Sequence[Related]:
        with self._file.reading() as cursor:
            return duckdb_runs.related(cursor, trace_id, limit, self._file.found)

    def tasks(self, selection: Selection, limit: int = 100) -> Sequence[TaskRuns]:
        with self._file.reading() as cursor:
            return duckdb_runs.tasks(cursor, selection, limit)

    def sessions(
        self,
        selection: Selection,
        *,
        text: str = "",
        order: SessionOrder = "newest",
        cursor: str | None = None,
        limit: int = 50,
    ) -> SessionPage:
        with self._file.reading() as reader:
            return duckdb_sessions.sessions(
                reader,
                selection,
                text=text,
                order=orders.allowed(order, orders.SESSION_ORDERS),
                behind=cursor,
                limit=limit,
            )

    def users(
        self,
        selection: Selection,
        *,
        key: str | None = None,
        text: str = "",
        order: UserOrder = "cost",
        cursor: str | None = None,
        limit: int = 50,
    ) -> UserPage:
        with self._file.reading() as reader:
            return duckdb_sessions.users(
                reader,
                selection,
                key=key,
                text=text,
                order=orders.allowed(order, orders.USER_ORDERS),
                behind=cursor,
                limit=limit,
            )

    def choices(self, selection: Selection) -> Choices:
        with self._file.reading() as cursor:
            return duckdb_sessions.choices(cursor, selection)

    def errors(
        self, selection: Selection, *, order: ErrorOrder = "count", group: str | None = None, limit: int = 100
    ) -> Sequence[ErrorGroup]:
        with self._file.reading() as cursor:
            return duckdb_failures.errors(
                cursor, selection, order=orders.allowed(order, ERROR_ORDERS), group=group, limit=limit
            )

    def session(self, session_id: str, limit: int = 200) -> tuple[Session, tuple[TraceRow, ...]] | None:
        with self._file.reading() as cursor:
            return duckdb_sessions.session(cursor, session_id, limit)

    def logs(
        self,
        selection: Selection,
        *,
        levels: Sequence[str] = (),
        event_types: Sequence[str] = (),
        text: str = "",
        trace_id: str | None = None,
        cursor: str | None = None,
        after: str | None = None,
        settled_s: float = 0.0,
        limit: int = 200,
    ) -> LogPage:
        with self._file.reading() as reader, self.indexes.of_lines(text) if self.indexes else nullcontext() as index:
            return duckdb_logs.logs(
                reader,
                selection,
                levels=levels,
                event_types=event_types,
                text=text,
                trace_id=trace_id,
                before=cursor,
                after=after,
                limit=limit,
                index=index,
            )

    def running(self, since_us: int, limit: int = 100) -> Sequence[OpenRow]:
        with self._file.reading() as cursor:
            return duckdb_logs.running(cursor, since_us, limit)

    def facets(self, selection: Selection) -> Facets:
        return self._summaries([selection])[0].facets()

    def entries(self, selection: Selection, limit: int = 10_000) -> Sequence[CostEntry]:
        with self._file.reading() as cursor:
            return duckdb_logs.entries(cursor, selection, limit)

    def unpriced(self, selection: Selection, limit: int = 100) -> Sequence[Unpriced]:
        with self._file.reading() as cursor:
            return duckdb_sums.unpriced(cursor, selection, limit)

    def newest_span(self, known: int = 0, *, settled_s: float = 0.0, at_most: int | None = None) -> int:
        with self._file.reading() as cursor:
            return duckdb_figures.newest_span(cursor, known, at_most)

    def figures(
        self,
        after: int,
        until: int,
        *,
        by: Sequence[FigureName],
        step_us: int,
        now_us: int,
        since_us: int | None = None,
        latency: bool = False,
    ) -> Sequence[Figure]:
        with self._file.reading() as cursor:
            return duckdb_figures.figures(
                cursor, after, until, by=by, step_us=step_us, now_us=now_us, since_us=since_us, latency=latency
            )

    def metric_names(self, limit: int = 200) -> Sequence[MetricName]:
        with self._file.reading() as cursor:
            return duckdb_logs.metric_names(cursor, limit)

    def state(self) -> StoreState:
        with self._file.reading() as cursor:
            return duckdb_upkeep.state(cursor, self._file, self._writer)

    def export(self, kind: Literal["spans", "logs"], selection: Selection, target: Path, file_format: str) -> int:
        with self._file.reading() as cursor:
            return duckdb_upkeep.export(cursor, kind, selection, Path(target), file_format)

    def retain(self, *, oldest_us: int | None = None, max_bytes: int | None = None) -> int:
        self.mend()
        if max_bytes is not None and self.indexes is not None:
            max_bytes = self.indexes.leaving(max_bytes, duckdb_upkeep.size(self._file))
        deleted = duckdb_upkeep.retain(self._file, self._writer, oldest_us, max_bytes)
        if deleted and self.indexes is not None:
            self.indexes.retain()
        return deleted

    def extent(self, subject: Subject) -> Extent:
        with self._file.reading(own=True) as cursor:
            duckdb_delete.choose(cursor, subject)
            return duckdb_delete.extent(cursor, subject)

    def delete(self, subject: Subject, *, by: str, at_us: int) -> Deletion:
        with self._file.alone() as connection:
            duckdb_delete.choose(connection, subject)
            numbers, lines = duckdb_delete.numbers(connection), duckdb_delete.line_numbers(connection, subject)
            done = duckdb_upkeep.delete(self._file, self._writer, subject, by, at_us)
            if self.indexes is not None:
                self.indexes.forget(numbers, lines)
        return done

    def deletions(self, limit: int = 100) -> Sequence[Deletion]:
        with self._file.reading() as cursor:
            return duckdb_delete.recorded(cursor, limit)

    def compact(self) -> bool:
        if self.indexes is not None:
            self.indexes.compact()
        return duckdb_upkeep.compact(self._file)

    def sql(self, question: str, *, max_rows: int = MAX_ROWS, max_seconds: float = MAX_SECONDS) -> SqlAnswer:
        return duckdb_sql.ask(self._file, question, max_rows, max_seconds)

    def backup(self, target: Path) -> None:
        duckdb_upkeep.backup(self._file, Path(target))

    def search_state(self) -> SearchState:
        unindexed = SearchState(False, 0, self._writer.next_number - 1, 0, 0, self._writer.next_line - 1)
        return self.indexes.state() if self.indexes else unindexed

    def captured(self, selection: Selection) -> tuple[int, int]:
        with self._file.reading() as cursor:
            return duckdb_traces.captured(cursor, selection)

    def close(self) -> None:
        if self.indexes is not None:
            self.indexes.close()
        self._file.close()

    def _summaries(self, periods: Sequence[Selection]) -> list[Summary]:
        """What several questions of a page are answered from: asked for once for all that are asked at one moment."""
        found = self._file.found
        keys = [(period.start_us, period.end_us, period.runs) for period in periods]
        if not all(key in found for key in keys):
            with self._file.reading() as cursor:
                found.update(zip(keys, summarise(cursor, periods, self._writer.series.names), strict=True))
        return [found[key].filtered(period) for key, period in zip(keys, periods, strict=True)]
