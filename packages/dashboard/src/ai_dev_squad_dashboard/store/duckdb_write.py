"""Writing: a batch becomes Arrow columns, and those rows of spans, traces, logs and roll-ups, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, TypeAlias

import duckdb

from . import duckdb_delete
from .base import Written
from .clashes import clashes_with
from .duckdb_answers import number, one
from .duckdb_carried import write_carried
from .duckdb_clashes import write_clashes
from .duckdb_columns import BYTES, REAL, SPAN_COLUMNS, TEXT, WHOLE, Columns, id_columns, registered
from .duckdb_excerpts import TRACE_ID, write_excerpts, write_labels
from .duckdb_failures import write_failures
from .duckdb_file import File
from .duckdb_marks import write_marks
from .duckdb_rollup import ROLL_EVERY, binned, roll
from .duckdb_series import Series
from .duckdb_tombstones import bury_traces
from .duckdb_tombstones import load as load_tombstones
from .rows import Batch, LogRow, MetricRow, OpenRow, SpanRow
from .search_said import Said
from .series import MAX_SERIES
from .tombstones import Tombstones

__all__ = ["TRACE_ID", "Writer"]

_INSERT_SPANS: Final = f"""
INSERT INTO spans (seq, series, bin, trace_id, span_id, parent_span_id, {", ".join(SPAN_COLUMNS)}) SELECT
    seq, series, {binned("duration_us")},
    {TRACE_ID}, span_id, nullif(parent_span_id, 0),
    {", ".join(f"CASE WHEN isfinite({name}) THEN {name} END" if kind is REAL else name for name, kind in SPAN_COLUMNS.items())}
FROM incoming
"""  # noqa: S608

_KNOWN_SPANS: Final = f"""
SELECT min(t.start_us), max(t.last_start_us)
FROM traces t JOIN (SELECT DISTINCT {TRACE_ID} AS trace_id FROM ids) i ON t.trace_id = i.trace_id
"""  # noqa: S608

_DUPLICATES: Final = f"""
SELECT s.trace_id, s.span_id, s.start_us, s.name, s.operation FROM spans s
SEMI JOIN (SELECT {TRACE_ID} AS trace_id, span_id FROM ids) i ON s.trace_id = i.trace_id AND s.span_id = i.span_id
WHERE s.start_us BETWEEN ? AND ?
"""  # noqa: S608

# Which span speaks for its trace: a root before all others, then the earliest. Smaller is better.
_HEAD: Final = (
    "(CASE WHEN parent_span_id IS NULL THEN 0 ELSE 1 END)::HUGEINT * 85070591730234615865843651857942052864"
    " + start_us::HUGEINT * 18446744073709551616 + span_id::HUGEINT"
)
# By halves: DuckDB 1 reads no hexadecimal number of 128 bits.
_OTHER: Final = (
    "try_cast('0x' || left(resumes, 16) AS UBIGINT)::UHUGEINT * 18446744073709551616::UHUGEINT"
    " + try_cast('0x' || resumes[17:] AS UBIGINT)::UHUGEINT"
)
RESUMED: Final = f"CASE WHEN length(resumes) = 32 THEN nullif({_OTHER}, trace_id) END"
"""The trace that a span says it goes on with, as traces are numbered; nothing for a text that is no id."""
_HEADS: Final = {
    "framework": "framework_head",
    "service": "service_head",
    "session_id": "session_head",
    "user_id": "user_head",
    "task": "task_head",
    "version": "version_head",
    "resumes": "resumes_head",
}
"""A name that the first span which has one gives to its trace → the column that says which span that was."""
_SUMS: Final = (
    "spans",
    "errors",
    "calls",
    "call_errors",
    "tools",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "unpriced",
    "cache_saving_usd",
)
_SPEAKERS: Final = ("root_span_id", "root_duration_us", "root_start_us", "name", "operation", "status", "error_type")

_INSERT_TRACES: Final = f"""
INSERT INTO traces (
    trace_id, start_us, end_us, last_start_us, {", ".join(_SPEAKERS)}, head,
    {", ".join(f"{name}, {head}" for name, head in _HEADS.items())}, {", ".join(_SUMS)}, first_seq
)
WITH new AS (
    SELECT * REPLACE ({RESUMED} AS resumes), {_HEAD} AS head FROM spans WHERE seq >= ? AND seq < ?
)
SELECT
    trace_id, min(start_us), max(start_us + greatest(duration_us, 0)), max(start_us),
    arg_min(CASE WHEN parent_span_id IS NULL THEN {{'v': span_id}} END, head).v,
    arg_min(CASE WHEN parent_span_id IS NULL THEN {{'v': duration_us}} END, head).v,
    arg_min(CASE WHEN parent_span_id IS NULL THEN {{'v': start_us}} END, head).v,
    arg_min(name, head), arg_min(operation, head), arg_min(status, head), arg_min({{'v': error_type}}, head).v, min(head),
    {", ".join(f"arg_min({name}, head), min(head) FILTER ({name} IS NOT NULL)" for name in _HEADS)},
    count(*), count(*) FILTER (status = 'error'), count(usage_source),
    count(*) FILTER (usage_source IS NOT NULL AND status = 'error'), count(*) FILTER (operation = 'execute_tool'),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cache_read_tokens), 0),
    coalesce(sum(cache_write_tokens), 0), coalesce(sum(reasoning_tokens), 0), coalesce(sum(cost_usd), 0),
    count(*) FILTER (usage_source IS NOT NULL AND cost_usd IS NULL), coalesce(sum(cache_saving_usd), 0), min(seq)
FROM new GROUP BY trace_id
"""  # noqa: S608

_UPSERT_TRACES: Final = f"""
{_INSERT_TRACES}
ON CONFLICT (trace_id) DO UPDATE SET
    start_us = least(start_us, excluded.start_us), end_us = greatest(end_us, excluded.end_us),
    last_start_us = greatest(last_start_us, excluded.last_start_us),
    {", ".join(f"{name} = CASE WHEN excluded.head < head THEN excluded.{name} ELSE {name} END" for name in _SPEAKERS)},
    head = least(head, excluded.head),
    {
    ", ".join(
        f"{name} = CASE WHEN excluded.{head} < coalesce({head}, excluded.{head} + 1) THEN excluded.{name} ELSE {name} END, "
        f"{head} = least({head}, excluded.{head})"
        for name, head in _HEADS.items()
    )
},
    {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)}
"""

_CLOSE_RUNNING: Final = """
DELETE FROM running r USING spans s
WHERE s.seq >= ? AND s.seq < ? AND r.trace_id = s.trace_id AND r.span_id = s.span_id
"""

_OPEN: Final = f"""
INSERT INTO running
WITH new AS (
    SELECT {TRACE_ID} AS trace_id, span_id, nullif(parent_span_id, 0), start_us, name, operation, framework, session_id, agent
    FROM opened
)
SELECT * FROM new
ANTI JOIN running r ON new.trace_id = r.trace_id AND new.span_id = r.span_id
ANTI JOIN (SELECT trace_id, span_id FROM spans WHERE start_us BETWEEN ? AND ?) s
    ON new.trace_id = s.trace_id AND new.span_id = s.span_id
"""  # noqa: S608


_UNKNOWN_LINES: Final = f"""
WHERE source <> 'journal' OR NOT EXISTS (
    SELECT 1 FROM logs l
    WHERE l.time_us BETWEEN ? AND ? AND l.source = 'journal' AND l.time_us = incoming.time_us AND l.level = incoming.level
    AND l.event_type = incoming.event_type AND l.message = incoming.message
    AND coalesce(l.trace_id, 0) = {TRACE_ID} AND coalesce(l.span_id, 0) = incoming.span_id
    AND l.session_id IS NOT DISTINCT FROM incoming.session_id AND l.agent IS NOT DISTINCT FROM incoming.agent
    AND l.details IS NOT DISTINCT FROM incoming.details
)
"""  # noqa: S608


_start: Final = itemgetter(SpanRow._fields.index("start_us"))

Gone: TypeAlias = tuple[list[int], list[int]]
"""Numbers of traces, and of lines of logs, that are no longer there."""


class Writer:
    """The one who writes. Keeps the next numbers of series, spans and logs; ``load`` reads them from the file."""

    def __init__(self, file: File, max_series: int = MAX_SERIES, roll_every: int = ROLL_EVERY) -> None:
        self._file = file
        self._roll_every = roll_every
        self.series = Series(max_series)
        self.tombstones = Tombstones()
        self._said = Said()
        self._next_span = 1
        self._next_log = 1
        self._rolled = 0
        self._may_run = False
        with file.alone() as connection:
            self.load(connection)

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take up where the file ends."""
        self._loaded = self._file.openings
        self.series.load(connection)
        self._said.forget()
        load_tombstones(self.tombstones, connection)
        self._next_span = number(connection, "SELECT max(seq) FROM spans") + 1
        self._next_log = number(connection, "SELECT max(id) FROM logs") + 1
        self._rolled = number(connection, "SELECT value FROM meta WHERE key = 'rolled_seq'")
        self._may_run = number(connection, "SELECT count(*) FROM running") > 0
        self._relayed = number(connection, "SELECT count(*) FROM meta WHERE key = 'relayed'") > 0
        # Rows may have been deleted since; a number is never given out twice.
        given = dict(
            connection.execute("SELECT key, value FROM meta WHERE key IN ('last_span', 'last_log')").fetchall()
        )
        self._next_span = max(self._next_span, self._rolled + 1, given.get("last_span", 0) + 1)
        self._next_log = max(self._next_log, given.get("last_log", 0) + 1)

    @property
    def next_number(self) -> int:
        """The number that the next span gets; those below were given out, for good."""
        return self._next_span

    @property
    def next_line(self) -> int:
        """The number that the next line of a log gets, likewise."""
        return self._next_log

    def keep_numbers(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep in the file which numbers were given out: the rows that have the newest may be gone."""
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('last_span', ?), ('last_log', ?)",
            [self._next_span - 1, self._next_log - 1],
        )

    def write(self, batch: Batch) -> tuple[Written, Gone]:
        """Store a batch in one transaction; and what went, as the batch told that it is of somebody deleted."""
        with self._file.alone() as connection:  # what is deleted meanwhile must not come in behind it
            if self._file.openings != self._loaded:  # what was told to have failed may be there
                self.load(connection)
            return self._write(*self.tombstones.kept(batch))

    def _write(self, batch: Batch, late: set[str]) -> tuple[Written, Gone]:
        next_span, next_log, rolled = self._next_span, self._next_log, self._rolled
        unused: list[int] = []
        gone: Gone = ([], [])
        try:
            with self._file.writing() as connection:
                if late:
                    unused, gone = self._remove(connection, late)
                spans, known, clashes = self._fresh(connection, batch.spans)
                if spans:
                    self._spans(connection, spans, known)
                if batch.clashes:
                    clashes += write_clashes(connection, batch.clashes)
                if batch.relayed and not self._relayed:
                    connection.execute("INSERT OR IGNORE INTO meta VALUES ('relayed', 1)")
                    self._relayed = True
                if batch.opened:
                    self._opened(connection, batch.opened)
                if batch.logs and (logs := write_marks(connection, batch.logs)):
                    self._logs(connection, logs)
                if batch.metrics:
                    self._metrics(connection, batch.metrics)
                for source, position in batch.positions.items():
                    connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", [source, position])
        except BaseException:
            self._next_span, self._next_log, self._rolled = next_span, next_log, rolled
            self.series.undo()
            self._said.forget()
            raise
        self.series.commit()
        if late:
            self.series.forget(unused)
            with self._file.alone() as connection:
                load_tombstones(self.tombstones, connection)
            self._file.has_holes = True
        duplicates = len(batch.spans) - len(spans)
        return Written(spans=len(spans), duplicates=duplicates, logs=len(batch.logs), clashes=clashes), gone

    def _remove(self, connection: duckdb.DuckDBPyConnection, traces: set[str]) -> tuple[list[int], Gone]:
        """Delete what came earlier of traces that only now say to whom they belong; returns the series that are unused then, too."""
        duckdb_delete.choose_traces(connection, traces)
        gone = duckdb_delete.numbers(connection), duckdb_delete.line_numbers(connection)
        bury_traces(connection, [int(trace_id, 16) for trace_id in traces])
        unused = duckdb_delete.remove(connection)
        self.keep_numbers(connection)
        return unused, gone

    def _fresh(
        self, connection: duckdb.DuckDBPyConnection, spans: Sequence[SpanRow]
    ) -> tuple[list[SpanRow], tuple[int, int] | None, int]:
        """The spans that are not stored yet, each once, by start; when spans that are stored of their traces began, first and last;
        and how many others have the id of another span.
        """
        if not spans:
            return [], None, 0
        first: dict[tuple[str, str], SpanRow] = {}
        stored: dict[tuple[str, str], tuple[int, str, str]] = {}
        for span in spans:
            first.setdefault((span.trace_id.lower(), span.span_id.lower()), span)
        ids = id_columns([trace for trace, _ in first], {"span_id": [span for _, span in first]})
        with registered(connection, "ids", ids):
            row = one(connection, _KNOWN_SPANS)
            known = None if row is None or row[0] is None else (row[0], row[1])
            if known is not None:
                for trace_id, span_id, *told in connection.execute(_DUPLICATES, list(known)).fetchall():
                    stored[format(trace_id, "032x"), format(span_id, "016x")] = tuple(told)
        fresh = sorted(
            (span for key, span in first.items() if key not in stored) if stored else first.values(), key=_start
        )
        clashes = 0
        if len(fresh) < len(spans):
            kept = {key: (span.start_us, span.name, span.operation) for key, span in first.items()} | stored
            others = [span for span in spans if clashes_with(span, *kept[span.trace_id.lower(), span.span_id.lower()])]
            clashes = write_clashes(connection, others) if others else 0
        return fresh, known, clashes

    def _spans(
        self, connection: duckdb.DuckDBPyConnection, spans: list[SpanRow], known: tuple[int, int] | None
    ) -> None:
        traces, ids, parents, *rest = zip(*spans, strict=True)
        columns = id_columns(traces, {"span_id": ids, "parent_span_id": parents})
        start, end = self._next_span, self._next_span + len(spans)
        columns["seq"] = (WHOLE, range(start, end))
        numbers = self.series.numbers(spans)
        columns["series"] = (WHOLE, numbers)
        for (name, kind), values in zip(SPAN_COLUMNS.items(), rest, strict=False):
            columns[name] = (kind, values)
        columns["text"] = (TEXT, self._said.unsaid(spans))
        self.series.save(connection)
        with registered(connection, "incoming", columns):
            connection.execute(_INSERT_SPANS)
        write_labels(connection, spans, known)
        write_excerpts(connection, spans)
        write_carried(connection, spans, numbers)
        some_failed = any(span.status == "error" for span in spans)
        self.follow_up(connection, end, are_new=known is None, some_failed=some_failed)

    def follow_up(
        self, connection: duckdb.DuckDBPyConnection, end: int, *, are_new: bool = False, some_failed: bool = True
    ) -> None:
        """Bring what follows from spans up to date with those numbered from the last one known up to before ``end``.

        When ``are_new``, nothing is stored of their traces: to look for what is would take more than half of the time. Where not
        ``some_failed``, nothing is looked for that did: a statement takes its time also for none.
        """
        connection.execute(_INSERT_TRACES if are_new else _UPSERT_TRACES, [self._next_span, end])
        if some_failed:
            write_failures(connection, self._next_span, end)
        if self._may_run:
            connection.execute(_CLOSE_RUNNING, [self._next_span, end])
        self._next_span = end
        self._rolled = roll(connection, self._rolled, end - 1, self._roll_every)

    def _opened(self, connection: duckdb.DuckDBPyConnection, opened: Sequence[OpenRow]) -> None:
        first: dict[tuple[str, str], OpenRow] = {}
        for row in opened:
            first.setdefault((row.trace_id.lower(), row.span_id.lower()), row)
        traces, ids, parents, starts, *rest = zip(*first.values(), strict=True)
        columns = id_columns(traces, {"span_id": ids, "parent_span_id": parents})
        columns["start_us"] = (WHOLE, starts)
        for name, values in zip(("name", "operation", "framework", "session_id", "agent"), rest, strict=True):
            columns[name] = (TEXT, values)
        # The line that opens an operation and its span tell the same start, but for the precision of a clock.
        with registered(connection, "opened", columns):
            connection.execute(_OPEN, [min(starts) - 60_000_000, max(starts) + 60_000_000])
        self._may_run = True

    def _logs(self, connection: duckdb.DuckDBPyConnection, logs: Sequence[LogRow]) -> None:
        if self._relayed:
            # The same line may come from a collector and from the file, in any order.
            logs = list({row if row.source == "journal" else place: row for place, row in enumerate(logs)}.values())
        times, *texts, traces, ids, sources, details = zip(*logs, strict=True)
        columns = id_columns(traces, {"span_id": ids})
        columns["id"] = (WHOLE, range(self._next_log, self._next_log + len(logs)))
        columns["time_us"] = (WHOLE, times)
        names = ("level", "event_type", "message", "framework", "service", "session_id", "agent")
        for name, values in zip(names, texts, strict=True):
            columns[name] = (TEXT, values)
        columns["source"], columns["details"] = (TEXT, sources), (BYTES, details)
        with registered(connection, "incoming", columns):
            connection.execute(
                f"INSERT INTO logs SELECT id, time_us, {', '.join(names)}, nullif({TRACE_ID}, 0), nullif(span_id, 0), source, "  # noqa: S608
                f"details FROM incoming {_UNKNOWN_LINES if self._relayed else ''}",
                [min(times), max(times)] if self._relayed else [],
            )
        self._next_log += len(logs)

    def _metrics(self, connection: duckdb.DuckDBPyConnection, metrics: Sequence[MetricRow]) -> None:
        kinds = (WHOLE, TEXT, TEXT, TEXT, TEXT, REAL, WHOLE, BYTES)
        values = zip(*metrics, strict=True)
        columns: Columns = {
            name: (kind, each) for name, kind, each in zip(MetricRow._fields, kinds, values, strict=True)
        }
        with registered(connection, "incoming", columns):
            connection.execute(f"INSERT INTO metrics SELECT {', '.join(MetricRow._fields)} FROM incoming")  # noqa: S608
