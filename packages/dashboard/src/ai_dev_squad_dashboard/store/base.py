"""The questions that pages ask of a store, and the shapes of its answers. No SQL stands elsewhere, no Flask in here.

A second engine implements ``Store`` and passes the same contract test. Times are microseconds since 1970, UTC;
``*_us`` durations are microseconds; money is USD; ``None`` means unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from ai_dev_squad.costs import CostEntry

from .deletions import Deletion, Extent, Subject
from .figures import Figure, FigureName
from .rows import Batch, LogRow, OpenRow, SpanRow
from .selection import ErrorOrder, GroupBy, OrderBy, Selection, SessionOrder, TraceOrder, UserOrder
from .sql_answers import MAX_ROWS, MAX_SECONDS, SqlAnswer

if TYPE_CHECKING:
    from .runs import Related, Run, TaskRuns

__all__ = [
    "BadCursorError",
    "Choices",
    "ErrorExample",
    "ErrorGroup",
    "ErrorOrder",
    "Facets",
    "Found",
    "Group",
    "GroupBy",
    "Incident",
    "LogPage",
    "MetricName",
    "OrderBy",
    "Point",
    "SearchState",
    "Selection",
    "Session",
    "SessionOrder",
    "SessionPage",
    "Store",
    "StoreBegunAnewError",
    "StoreError",
    "StoreState",
    "Totals",
    "Trace",
    "TraceOrder",
    "TracePage",
    "TraceRow",
    "User",
    "UserOrder",
    "UserPage",
    "Written",
]


class StoreError(Exception):
    """The store cannot do it: a file that is no store, corrupt, of a newer version, in use, or a full disk. The message
    names the file and the cure.
    """


class StoreBegunAnewError(StoreError):
    """The store's file was lost while it was open, and an empty one stands in its place: what was read before is to be read again."""


class BadCursorError(ValueError):
    """A page's cursor that this store did not give out."""


@dataclass(frozen=True)
class Written:
    """What became of a batch."""

    spans: int
    duplicates: int
    logs: int


@dataclass(frozen=True)
class Totals:
    """What model calls cost and how runs went. Money and tokens are sums over model calls."""

    calls: int
    """Model calls."""
    call_errors: int
    runs: int
    """Traces by their root spans."""
    run_errors: int
    """Roots that ended with status ``error``."""
    spans: int
    cost_usd: float
    """The sum of the known costs."""
    unpriced_calls: int
    """Calls whose cost is unknown, hence not in ``cost_usd``."""
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    estimated_calls: int
    """Calls whose tokens were estimated."""
    uncounted_calls: int
    """Calls whose tokens are unknown."""
    cache_saving_usd: float
    p50_us: int | None
    """Latency of model calls; ``None`` without calls. From a histogram: off by at most 5 %."""
    p95_us: int | None
    p99_us: int | None
    mean_us: int | None
    run_p50_us: int | None
    """Latency of runs."""
    run_p95_us: int | None
    run_p99_us: int | None


@dataclass(frozen=True)
class Point:
    """A step of a timeline for one framework (or whatever it is split by; ``None`` is a value as well)."""

    start_us: int
    key: str | None
    calls: int
    errors: int
    cost_usd: float
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Group:
    """One row of a table by model, agent, tool and so on. ``calls`` counts what the key names: model calls by model and
    provider, tool calls by tool, agent invocations by agent, root spans by workflow, model calls otherwise. Money and tokens
    are those of the model calls in the group (an agent's: of the calls that carry its name). Latency is that of ``calls``.
    """

    key: str | None
    calls: int
    errors: int
    cost_usd: float
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cache_saving_usd: float
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    mean_us: int | None
    latency: tuple[tuple[int, int], ...] = ()
    """The histogram behind the percentiles: (upper bound in us, count), ascending, without empty bins."""


@dataclass(frozen=True)
class TraceRow:
    """A trace as a line of the list. Sums are over what has arrived so far."""

    trace_id: str
    root_span_id: str | None
    """``None`` while the root has not arrived; then name and status are those of the earliest span."""
    name: str
    operation: str
    framework: str | None
    service: str | None
    session_id: str | None
    status: str
    error_type: str | None
    start_us: int
    duration_us: int
    spans: int
    errors: int
    calls: int
    tools: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced_calls: int
    user_id: str | None = None
    """Of the root, else of the earliest span that names one."""
    task: str | None = None
    """What the run was asked to do, as the program called it."""
    version: str | None = None
    """The version of the service."""
    resumes: str | None = None
    """The trace that was interrupted and that this one goes on with."""
    models: tuple[str, ...] = ()
    """By name."""
    asked: str | None = None
    """How what the user said begins; ``None`` where content was not captured."""
    answered: str | None = None
    failures: int = 0
    """Spans that failed on their own account: an exception that passes through others as well counts where it began."""


@dataclass(frozen=True)
class TracePage:
    """A page of traces, in the order that was asked for. ``next`` is the cursor of the following page, ``None`` on the last."""

    rows: tuple[TraceRow, ...]
    next: str | None
    total: int | None = None
    """How many traces match in all; ``None`` where words are searched for, which would take as long as finding them all."""
    complete: bool = True
    """False where a part of a word stands for so many words that not all of them were looked for."""


@dataclass(frozen=True)
class SearchState:
    """How far the words of what is stored are indexed. What is not indexed is found by reading, which takes longer."""

    available: bool
    """Whether there can be an index: some builds of SQLite lack what it needs, and a store in memory has none."""
    indexed: int
    """Spans that are indexed, by their numbers."""
    behind: int
    """Spans that are not yet."""
    bytes: int
    """What the index takes on disk, beside the store."""


@dataclass(frozen=True)
class Trace:
    """A whole trace: its spans by start, its log lines by time, what still runs. ``details`` and ``text`` of the spans are
    left out (``None``); ask ``Store.span`` for one.
    """

    row: TraceRow
    spans: tuple[SpanRow, ...]
    logs: tuple[LogRow, ...]
    running: tuple[OpenRow, ...]
    truncated: bool
    """True when the trace is longer than the limit that was asked for."""


@dataclass(frozen=True)
class Session:
    """A conversation: its traces put together."""

    session_id: str
    framework: str | None
    start_us: int
    end_us: int
    turns: int
    """Traces of the session."""
    errors: int
    """Traces whose root ended with status ``error``."""
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced_calls: int
    last_name: str
    user_id: str | None = None
    """Of the newest trace that names one."""
    failed_steps: int = 0
    """Traces that did not fail as a whole, but in which something did."""
    asked: str | None = None
    """How the newest question begins; ``None`` where content was not captured."""
    answered: str | None = None


@dataclass(frozen=True)
class SessionPage:
    """A page of sessions, in the order that was asked for."""

    rows: tuple[Session, ...]
    next: str | None
    total: int | None = None


@dataclass(frozen=True)
class User:
    """What was done for one user, or for all that share a value of their metadata, such as a tenant: their traces put together."""

    key: str | None
    """The user's id; ``None`` for traces that name nobody."""
    runs: int
    errors: int
    """Traces whose root ended with status ``error``."""
    failed_steps: int
    """Traces that did not fail as a whole, but in which something did."""
    sessions: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced_calls: int
    first_us: int
    last_us: int
    """When the last of them ended."""


@dataclass(frozen=True)
class UserPage:
    """A page of users, in the order that was asked for."""

    rows: tuple[User, ...]
    next: str | None
    total: int


@dataclass(frozen=True)
class ErrorExample:
    """One failure of a group."""

    trace_id: str
    span_id: str
    start_us: int


@dataclass(frozen=True)
class ErrorGroup:
    """Failures of one type, at one place and with one message, but for numbers and ids."""

    id: str
    """16 hexadecimal digits: the same for the same type, place and message, in every store."""
    error_type: str
    operation: str
    name: str
    """What failed: the tool's, the model's or the agent's name."""
    message: str
    """With ``#`` for numbers and ids, at most 300 characters."""
    count: int
    runs: int
    """Traces in which it happened."""
    first_us: int
    last_us: int
    trend: tuple[int, ...]
    """The failures in each of 24 equal steps of the selection."""
    examples: tuple[ErrorExample, ...]
    """The newest of the three newest runs."""


@dataclass(frozen=True)
class Choices:
    """Users, and members of metadata, to choose from: the most used first, at most 200 users and 50 values a key."""

    users: tuple[str, ...]
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    """(key, values), the most used key first."""


@dataclass(frozen=True)
class LogPage:
    """A page of log lines, newest first. ``next`` leads to older lines; ``newest`` is a cursor for what comes after."""

    rows: tuple[LogRow, ...]
    next: str | None
    newest: str | None


@dataclass(frozen=True)
class Facets:
    """The names there are to choose from in a span of time, most used first, at most 200 each."""

    frameworks: tuple[str, ...]
    providers: tuple[str, ...]
    models: tuple[str, ...]
    agents: tuple[str, ...]
    tools: tuple[str, ...]
    services: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Something that an id names."""

    kind: Literal["trace", "span", "session", "user"]
    id: str
    trace_id: str | None
    """The trace it is, or is part of; ``None`` for a session or a user."""
    name: str
    """What the trace or span is called; of a session or a user, the newest trace."""
    start_us: int
    exact: bool
    """Whether the whole id was given, not the beginning of it."""


@dataclass(frozen=True)
class MetricName:
    """An OpenTelemetry metric that has been received."""

    name: str
    kind: str
    unit: str
    points: int
    last_us: int
    last_value: float | None


@dataclass(frozen=True)
class Incident:
    """What became of the store's file while it was open, and what was done about it."""

    at_us: int
    text: str
    lost: bool
    """Whether there is something that only its senders have, if anybody."""


@dataclass(frozen=True)
class StoreState:
    """How the store is: for the health page."""

    engine: str
    """Name and version."""
    path: str | None
    bytes: int
    spans: int
    logs: int
    traces: int
    series: int
    """Distinct combinations of names in the roll-ups."""
    series_dropped: int
    """Spans whose names were put together as ``(other)`` because there were too many."""
    oldest_us: int | None
    newest_us: int | None
    schema_version: int
    incidents: tuple[Incident, ...] = ()
    """The newest ones since the start, the oldest first."""


class Store(Protocol):
    """Every method may be called from any thread. Methods raise ``StoreError`` when the engine cannot answer."""

    def snapshot(self) -> AbstractContextManager[None]:
        """What this thread asks inside the block is answered from the rows of one moment, so that the numbers of a page agree.
        What is written meanwhile is seen after the block.
        """

    def write(self, batch: Batch) -> Written:
        """Store a batch in one transaction. When it returns, all of it is on disk; when it raises, none of it is.
        Spans that are there already are counted as duplicates and change nothing.
        """

    def position(self, source: str) -> str | None:
        """How far ``source`` has been read, as the last batch said."""

    def positions(self) -> Mapping[str, str]:
        """All positions, by source."""

    def totals(self, selection: Selection) -> Totals:
        """The sums over a selection."""

    def with_previous(self, selection: Selection) -> tuple[Totals, Totals]:
        """The sums over a selection and over ``selection.before``, for less than the two of them."""

    def timeline(self, selection: Selection, step_us: int, by: GroupBy = "framework") -> Sequence[Point]:
        """Sums per step and key, ascending; steps are aligned to multiples of ``step_us``; empty steps are left out."""

    def groups(
        self, selection: Selection, by: GroupBy, *, order: OrderBy = "cost", limit: int = 50, latency: bool = False
    ) -> Sequence[Group]:
        """A table by one key, the largest first (``key``: ascending). ``latency`` adds the histograms."""

    def traces(
        self,
        selection: Selection,
        *,
        text: str = "",
        status: str | None = None,
        operation: str | None = None,
        tool: str | None = None,
        name: str | None = None,
        min_duration_us: int | None = None,
        min_cost_usd: float | None = None,
        min_tokens: int | None = None,
        min_calls: int | None = None,
        min_spans: int | None = None,
        min_errors: int | None = None,
        error_group: str | None = None,
        order: TraceOrder = "newest",
        cursor: str | None = None,
        limit: int = 50,
    ) -> TracePage:
        """Traces whose first span began in the selection. ``text``: every word occurs in names, errors or captured content of its
        spans, whatever its case and accents, a word of three letters or more also as a part of another. ``status``: of the root; ``failed_step`` matches traces in which something failed
        though they did not. ``error_group``: the id of an ``ErrorGroup`` of which they have a failure. Raises ``BadCursorError``.
        """

    def find(self, text: str, limit: int = 10) -> Sequence[Found]:
        """What has ``text`` for an id, of all times: a trace (32 hexadecimal digits in any case, with or without dashes, as a
        ``traceparent``, or the first eight or more), a span (16, or the first eight or more), a session or a user, also by the beginning
        of its id, unless that is letters only. Exact ones come first, then the newest.
        """

    def trace(self, trace_id: str, limit: int = 20_000) -> Trace | None:
        """A whole trace, its first ``limit`` spans by start; ``None`` when nothing of it is there."""

    def span(self, trace_id: str, span_id: str) -> tuple[SpanRow, tuple[LogRow, ...]] | None:
        """One span with its details and text, and its log lines."""

    def details(self, trace_id: str, limit: int = 20_000) -> Iterator[tuple[str, bytes]]:
        """(span_id, details) of each span of a trace that has details, by start."""

    def run(self, trace_id: str) -> Run | None:
        """The whole run that a trace is of: with what it goes on with, and what goes on with it; ``None`` when the trace is not
        there.
        """

    def runs(self, selection: Selection, *, names: Sequence[str] = (), limit: int = 2_000) -> Sequence[Run]:
        """The newest runs whose first trace began in the selection and has its names; ``names`` are those of runs."""

    def related(self, trace_id: str, limit: int = 4) -> Sequence[Related]:
        """Runs worth comparing with that of a trace, each once with the best reason, at most ``limit`` for each reason."""

    def tasks(self, selection: Selection, limit: int = 100) -> Sequence[TaskRuns]:
        """What runs that began in the selection were asked to do, by the programs' own labels, the most frequent first."""

    def sessions(
        self,
        selection: Selection,
        *,
        text: str = "",
        order: SessionOrder = "newest",
        cursor: str | None = None,
        limit: int = 50,
    ) -> SessionPage:
        """Sessions with a trace in the selection, the largest (or most recently active) first. ``text`` occurs in the id or
        the last name.
        """

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
        """Users with a trace in the selection; with ``key``, the values of that member of metadata instead. ``text`` occurs in
        the id. Raises ``BadCursorError``.
        """

    def choices(self, selection: Selection) -> Choices:
        """The users, tags and metadata of traces that began in the selection's time, whatever its filters."""

    def errors(
        self, selection: Selection, *, order: ErrorOrder = "count", group: str | None = None, limit: int = 100
    ) -> Sequence[ErrorGroup]:
        """What failed on its own account, by type, place and message. With ``group`` only the one of this id."""

    def session(self, session_id: str, limit: int = 200) -> tuple[Session, tuple[TraceRow, ...]] | None:
        """A session and its newest traces, oldest of them first."""

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
        limit: int = 200,
    ) -> LogPage:
        """Log lines. ``after``: only lines stored after that ``newest`` cursor (live tail), oldest of them first."""

    def running(self, since_us: int, limit: int = 100) -> Sequence[OpenRow]:
        """Operations that have begun at ``since_us`` or later and not ended, newest first."""

    def facets(self, selection: Selection) -> Facets:
        """The names there are to choose from."""

    def entries(self, selection: Selection, limit: int = 10_000) -> Sequence[CostEntry]:
        """The newest model calls, as ledger entries, for the advice report."""

    def unpriced(
        self, selection: Selection, limit: int = 100
    ) -> Sequence[tuple[str | None, str | None, int, str | None]]:
        """(provider, model, calls, reason) of calls without a known price, most calls first."""

    def newest_span(self, known: int = 0) -> int:
        """The number of the newest span, 0 without any. Spans are numbered as they arrive. ``known``: one of before, which
        makes the answer cheap.
        """

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
        """The spans numbered above ``after`` and up to ``until``, put together by kind, by the names in ``by`` (all others are
        ``None``) and by the step in which they ended; at ``now_us`` those that say that they end later. ``since_us``: only
        those that ended then or later. ``latency`` adds the bins of their durations.
        """

    def metric_names(self, limit: int = 200) -> Sequence[MetricName]:
        """The OpenTelemetry metrics that were received, by name."""

    def state(self) -> StoreState:
        """How the store is."""

    def search_state(self) -> SearchState:
        """How far the words of what is stored are indexed."""

    def captured(self, selection: Selection) -> tuple[int, int]:
        """How many model calls of the selection carry captured content, and how many there are."""

    def export(self, kind: Literal["spans", "logs"], selection: Selection, target: Path, file_format: str) -> int:
        """Write spans or logs as ``jsonl``, ``csv`` or ``parquet`` to ``target``. Returns the number of rows."""

    def retain(self, *, oldest_us: int | None = None, max_bytes: int | None = None) -> int:
        """Delete whole days from the oldest on, until nothing is older than ``oldest_us`` and the store fits ``max_bytes``.
        Returns the number of spans deleted.
        """

    def extent(self, subject: Subject) -> Extent:
        """How much is stored of a subject."""

    def delete(self, subject: Subject, *, by: str, at_us: int) -> Deletion:
        """Delete all that is stored of a subject, in one transaction: afterwards every answer is that of a store which never
        had it, and what of it is written again is left out: of a trace always, else what began before ``at_us``. What
        remains is that ``by`` deleted something, and how much. The file may still hold its words until ``compact``.
        """

    def deletions(self, limit: int = 100) -> Sequence[Deletion]:
        """What was deleted by ``delete``, newest first."""

    def compact(self) -> bool:
        """Write the file anew without what was deleted. False when a question took too long: ``retain`` tries again then."""

    def sql(self, question: str, *, max_rows: int = MAX_ROWS, max_seconds: float = MAX_SECONDS) -> SqlAnswer:
        """Answer one SELECT over the views of ``sql_views``. Raises ``SqlError`` when it may not be asked, cannot be answered, or
        takes too much time or memory.
        """

    def backup(self, target: Path) -> None:
        """Write a consistent copy to ``target``, which must not exist, while the store goes on working."""

    def mend(self) -> None:
        """See whether the file is still there, and write it anew when it is not; some microseconds when all is well.

        Raises ``StoreBegunAnewError`` when nothing of it could be saved.
        """

    def close(self) -> None:
        """Write what is pending and let go of the file. Twice is harmless."""
