"""The store on a ClickHouse server: any number of processes that write and ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Literal, Unpack

from ai_dev_squad.costs import CostEntry
from ai_dev_squad_dashboard.store import orders
from ai_dev_squad_dashboard.store.base import (
    Choices,
    DrawnBy,
    ErrorGroup,
    ErrorOrder,
    Facets,
    Fingerprint,
    Found,
    Group,
    GroupBy,
    Growth,
    LogPage,
    Marked,
    MarkedBy,
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
    ToolCalls,
    ToolEnds,
    ToolInput,
    ToolStep,
    Totals,
    Trace,
    TraceFilters,
    TraceOrder,
    TracePage,
    TraceRow,
    Unpriced,
    UnsupportedError,
    UserOrder,
    UserPage,
    Written,
)
from ai_dev_squad_dashboard.store.capabilities import Lacks
from ai_dev_squad_dashboard.store.deletions import Deletion, Extent, Subject
from ai_dev_squad_dashboard.store.extracts import Extract, Kept
from ai_dev_squad_dashboard.store.failures import ORDERS as ERROR_ORDERS
from ai_dev_squad_dashboard.store.figures import Figure, FigureName
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, OpenRow, SpanRow
from ai_dev_squad_dashboard.store.runs import Related, Run, TaskRuns
from ai_dev_squad_dashboard.store.series import MAX_SERIES
from ai_dev_squad_dashboard.store.sql_answers import MAX_ROWS, MAX_SECONDS, SqlAnswer, SqlError
from ai_dev_squad_dashboard.store.summary import NAMES, ORDERS, Summary

from . import (
    delete,
    extract,
    failures,
    figures,
    find,
    growth,
    logs,
    marks,
    runs,
    sessions,
    summed,
    sums,
    tool_calls,
    traces,
    upkeep,
)
from .client import Client
from .drawn import drawn as drawn_of
from .drawn import points
from .facts import LATE
from .hours import Memory
from .migrations import migrate
from .moment import Moment
from .schema import DAY_US
from .write import Writer

__all__ = ["LACKS", "ClickHouseStore"]

LACKS: Final[Lacks] = {
    "snapshot": "ClickHouse has no transactions: inside a snapshot sums agree with one another, and lists may be newer",
    "one_transaction": "ClickHouse has no transactions: a batch that failed is repeated, and what of it was stored counts once",
    "sql": "this store answers no free questions; ask the server itself, with a user who may only read",
    "backup": "a server copies itself; use its BACKUP DATABASE statement",
}


class ClickHouseStore:
    """``Store`` on ClickHouse."""

    lacks: Lacks = LACKS

    def __init__(self, client: Client, *, max_series: int = MAX_SERIES) -> None:
        self._client = client
        migrate(client)
        self._writer = Writer(client, max_series)
        self._memory = Memory()
        self._moment = Moment()

    def snapshot(self) -> AbstractContextManager[None]:
        return self._moment.held()

    def write(self, batch: Batch) -> Written:
        return self._writer.write(batch)

    def position(self, source: str) -> str | None:
        return self.positions().get(source)

    def positions(self) -> Mapping[str, str]:
        return dict(self._client.ask("SELECT source, position FROM positions FINAL"))

    def totals(self, selection: Selection) -> Totals:
        return self._summary(selection).totals()

    def with_previous(self, selection: Selection, *, drawn: tuple[int, DrawnBy] | None = None) -> tuple[Totals, Totals]:
        too = None
        if drawn is not None and self._moment.is_held:
            too = drawn_of(self._writer.series.known, selection, *drawn)
        told = summed.summarise(self._client, self._writer.series, self._memory, selection, with_before=True, too=too)
        assert told.before is not None
        self._moment.keep(selection, told, drawn)
        return told.now.filtered(selection).totals(), told.before.totals()

    def timeline(self, selection: Selection, step_us: int, by: DrawnBy = "framework") -> Sequence[Point]:
        orders.known(by, sums.DRAWN_BY, "group by")
        rows = self._moment.drawn(selection).get((step_us, by))
        return points(rows) if rows is not None else sums.timeline(self._client, selection, step_us, by)

    def groups(
        self, selection: Selection, by: GroupBy, *, order: OrderBy = "cost", limit: int = 50, latency: bool = False
    ) -> Sequence[Group]:
        orders.known(by, sums.KEYS, "group by")
        orders.allowed(order, ORDERS)
        if by in NAMES:
            return self._summary(selection).groups(by, order, limit, latency)
        drawn = next(
            (rows for (step_us, _), rows in self._moment.drawn(selection).items() if DAY_US % step_us == 0), None
        )
        names = self._writer.series.names() if drawn is None else self._writer.series.known
        return sums.groups(
            self._client, names, selection, by, order=order, limit=limit, latency=latency, drawn=drawn, memory=self._memory,
            sealed=self._moment.sealed(selection),
        )  # fmt: skip

    def history(self, selection: Selection, by: NamedBy, key: str | None, step_us: int) -> Sequence[Step]:
        orders.known(by, NAMES, "tell the history of a")
        return sums.history(self._client, self._writer.series.names(), selection, by, key, step_us)

    def tool_inputs(self, selection: Selection, limit: int = 100) -> Sequence[ToolInput]:
        return tool_calls.tool_inputs(self._client, selection, limit)

    def tool_calls(self, selection: Selection, limit: int = 100) -> Sequence[ToolCalls]:
        return tool_calls.tool_calls(self._client, selection, limit)

    def tool_steps(self, selection: Selection, tool: str, step_us: int) -> Sequence[ToolStep]:
        return tool_calls.tool_steps(self._client, selection, tool, step_us)

    def marked(
        self, selection: Selection, by: MarkedBy, *, good_score: float | None = None, limit: int = 100
    ) -> Sequence[Marked]:
        return marks.marked(self._client, selection, by, good_score, limit)

    def mark_labels(self, selection: Selection, limit: int = 50) -> Sequence[str]:
        return marks.labels(self._client, selection, limit)

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
        orders.allowed(order, orders.TRACE_ORDERS)
        return traces.traces(
            self._client, selection, filters, text=text, order=order, after=cursor, limit=limit, counted=counted
        )

    def find(self, text: str, limit: int = 10) -> Sequence[Found]:
        return find.find(self._client, text, limit)

    def trace(self, trace_id: str, limit: int = 20_000) -> Trace | None:
        return traces.trace(self._client, trace_id, limit)

    def outline(self, trace_id: str, limit: int = 200_000) -> Outline | None:
        return traces.outline(self._client, trace_id, limit)

    def span(self, trace_id: str, span_id: str) -> tuple[SpanRow, tuple[LogRow, ...]] | None:
        return traces.span(self._client, trace_id, span_id)

    def fingerprints(self, trace_id: str, limit: int = 20_000) -> Mapping[str, Fingerprint]:
        return traces.fingerprints(self._client, trace_id, limit)

    def details(self, trace_id: str, limit: int = 20_000) -> Iterator[tuple[str, bytes]]:
        return traces.details(self._client, trace_id, limit)

    def run(self, trace_id: str, *, beside: Sequence[str] = ()) -> Run | None:
        return runs.run(self._client, trace_id)

    def runs(self, selection: Selection, *, names: Sequence[str] = (), limit: int = 2_000) -> Sequence[Run]:
        return runs.runs(self._client, selection, names, limit)

    def related(self, trace_id: str, limit: int = 4) -> Sequence[Related]:
        return runs.related(self._client, trace_id, limit)

    def tasks(self, selection: Selection, limit: int = 100) -> Sequence[TaskRuns]:
        return runs.tasks(self._client, selection, limit)

    def sessions(
        self,
        selection: Selection,
        *,
        text: str = "",
        order: SessionOrder = "newest",
        cursor: str | None = None,
        limit: int = 50,
    ) -> SessionPage:
        orders.allowed(order, orders.SESSION_ORDERS)
        return sessions.sessions(self._client, selection, text=text, order=order, cursor=cursor, limit=limit)

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
        orders.allowed(order, orders.USER_ORDERS)
        return sessions.users(self._client, selection, key=key, text=text, order=order, cursor=cursor, limit=limit)

    def choices(self, selection: Selection) -> Choices:
        return sessions.choices(self._client, selection)

    def errors(
        self, selection: Selection, *, order: ErrorOrder = "count", group: str | None = None, limit: int = 100
    ) -> Sequence[ErrorGroup]:
        orders.allowed(order, ERROR_ORDERS)
        return failures.errors(self._client, selection, order=order, group=group, limit=limit)

    def session(self, session_id: str, limit: int = 200) -> tuple[Session, tuple[TraceRow, ...]] | None:
        return sessions.session(self._client, session_id, limit)

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
        return logs.logs(
            self._client, selection, levels=levels, event_types=event_types, text=text, trace_id=trace_id, before=cursor,
            after=after, settled_s=settled_s, limit=limit,
        )  # fmt: skip

    def running(self, since_us: int, limit: int = 100) -> Sequence[OpenRow]:
        return logs.running(self._client, since_us, limit)

    def facets(self, selection: Selection) -> Facets:
        return self._summary(selection).facets()

    def entries(self, selection: Selection, limit: int = 10_000) -> Sequence[CostEntry]:
        return logs.entries(self._client, selection, limit)

    def unpriced(self, selection: Selection, limit: int = 100) -> Sequence[Unpriced]:
        sealed = self._moment.sealed(selection)
        return sums.unpriced(self._client, self._writer.series, self._memory, sealed, selection, limit)

    def newest_span(self, known: int = 0, *, settled_s: float = 0.0, at_most: int | None = None) -> int:
        return figures.newest_span(self._client, known, settled_s, at_most)

    def late_spans(self) -> int:
        return self._client.number(f"SELECT toUInt64(value) FROM facts FINAL WHERE name = '{LATE}'")

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
        return figures.figures(
            self._client, after, until, by=by, step_us=step_us, now_us=now_us, since_us=since_us, latency=latency
        )

    def metric_names(self, limit: int = 200) -> Sequence[MetricName]:
        return logs.metric_names(self._client, limit)

    def state(self) -> StoreState:
        return upkeep.state(self._client, self._writer)

    def search_state(self) -> SearchState:
        # The server indexes words as it stores them.
        spans, lines = self._client.ask("SELECT (SELECT count() FROM spans), (SELECT count() FROM logs)")[0]
        return SearchState(True, spans, 0, 0, lines, 0)

    def growth(self, names: Sequence[str], start_us: int, end_us: int, step_us: int) -> Sequence[Growth]:
        return growth.growth(self._client, names, start_us, end_us, step_us)

    def tool_ends(self, selection: Selection, limit: int = 1_000) -> Sequence[ToolEnds]:
        return tool_calls.tool_ends(self._client, selection, limit)

    def captured(self, selection: Selection) -> tuple[int, int]:
        return traces.captured(self._client, selection)

    def export(self, kind: Literal["spans", "logs"], selection: Selection, target: Path, file_format: str) -> int:
        return upkeep.export(self._client, kind, selection, Path(target), file_format)

    def retain(self, *, oldest_us: int | None = None, max_bytes: int | None = None) -> int:
        return upkeep.retain(self._client, oldest_us, max_bytes)

    def extent(self, subject: Subject) -> Extent:
        return delete.extent(self._client, subject)

    def delete(self, subject: Subject, *, by: str, at_us: int) -> Deletion:
        return delete.delete(self._client, subject, by, at_us)

    def deletions(self, limit: int = 100) -> Sequence[Deletion]:
        return delete.recorded(self._client, limit)

    def compact(self) -> bool:
        return upkeep.compact(self._client)

    def extract(self, after: str = "", limit: int = 5_000) -> Extract | None:
        return extract.extract(self._client, after, limit)

    def kept(self) -> Kept:
        return extract.kept(self._client)

    def keep(self, kept: Kept) -> None:
        extract.keep(self._client, kept)
        self._writer.learn()
        self._writer.note_positions(kept.positions or {})

    def sql(self, question: str, *, max_rows: int = MAX_ROWS, max_seconds: float = MAX_SECONDS) -> SqlAnswer:
        raise SqlError(LACKS["sql"])

    def backup(self, target: Path) -> None:
        raise UnsupportedError(LACKS["backup"])

    def mend(self) -> None:
        """There is no file that could be lost."""

    def close(self) -> None:
        self._client.close()

    def _summary(self, selection: Selection) -> Summary:
        """What several questions of a page are answered from: asked for once inside a snapshot."""
        known = self._moment.summary(selection)
        if known is None:
            told = summed.summarise(self._client, self._writer.series, self._memory, selection)
            self._moment.keep(selection, told)
            known = told.now
        return known.filtered(selection)
