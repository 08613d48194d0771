"""What pages ask of a store: the part of ``Store`` that only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, Unpack

from ai_dev_squad.costs import CostEntry

from .answers import (
    Choices,
    ErrorGroup,
    Facets,
    Fingerprint,
    Found,
    LogPage,
    MetricName,
    Session,
    SessionPage,
    Trace,
    TracePage,
    TraceRow,
    UserPage,
)
from .figures import Figure, FigureName
from .outline import Outline
from .rows import LogRow, OpenRow, SpanRow
from .selection import (
    DrawnBy,
    ErrorOrder,
    GroupBy,
    MarkedBy,
    NamedBy,
    OrderBy,
    Selection,
    SessionOrder,
    TraceFilters,
    TraceOrder,
    UserOrder,
)
from .sql_answers import MAX_ROWS, MAX_SECONDS, SqlAnswer
from .sums import Group, Growth, Marked, Point, Step, ToolCalls, ToolEnds, ToolInput, ToolStep, Totals, Unpriced

if TYPE_CHECKING:
    from .runs import Related, Run, TaskRuns

__all__ = ["Questions"]


class Questions(Protocol):
    """Questions about what is stored. An engine that lacks ``snapshot`` or ``sql`` answers the others all the same."""

    def snapshot(self) -> AbstractContextManager[None]:
        """What this thread asks inside the block is answered from the rows of one moment, so that the numbers of a page agree.
        What is written meanwhile is seen after the block. An engine that lacks ``snapshot`` promises that for sums only.
        """

    def totals(self, selection: Selection) -> Totals:
        """The sums over a selection."""

    def with_previous(self, selection: Selection, *, drawn: tuple[int, DrawnBy] | None = None) -> tuple[Totals, Totals]:
        """The sums over a selection and over ``selection.before``, for less than the two of them. ``drawn``: the step and the key of
        the ``timeline`` that is asked for next in the same ``snapshot``, for an engine that can tell both at once.
        """

    def timeline(self, selection: Selection, step_us: int, by: DrawnBy = "framework") -> Sequence[Point]:
        """Sums per step and key, ascending; steps are aligned to multiples of ``step_us``; empty steps are left out."""

    def groups(
        self, selection: Selection, by: GroupBy, *, order: OrderBy = "cost", limit: int = 50, latency: bool = False
    ) -> Sequence[Group]:
        """A table by one key, the largest first (``key``: ascending). ``latency`` adds the histograms."""

    def history(self, selection: Selection, by: NamedBy, key: str | None, step_us: int) -> Sequence[Step]:
        """How what is called ``key`` went in each step, ascending, empty steps left out; sums as those of ``groups``."""

    def tool_inputs(self, selection: Selection, limit: int = 100) -> Sequence[ToolInput]:
        """What results of tools took in the input of model calls of the selection, the dearest first."""

    def tool_calls(self, selection: Selection, limit: int = 100) -> Sequence[ToolCalls]:
        """The model calls of the selection that tools made themselves, the dearest first."""

    def tool_steps(self, selection: Selection, tool: str, step_us: int) -> Sequence[ToolStep]:
        """What one tool cost in each step, ascending, empty steps left out."""

    def marked(
        self, selection: Selection, by: MarkedBy, *, good_score: float | None = None, limit: int = 100
    ) -> Sequence[Marked]:
        """What was thought of the runs that began in the selection and have its names, those of most runs first (by ``day``:
        ascending). A run counts under each model, provider, agent and tool that took part in it, with its whole cost.
        """

    def mark_labels(self, selection: Selection, limit: int = 50) -> Sequence[str]:
        """The labels of marks that were made since the selection began, the most used first."""

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
        """Traces whose first span began in the selection. ``text``: every word occurs in names, errors or captured content of its
        spans, whatever its case and accents, a word of three letters or more also as a part of another. ``counted=False``: nobody is
        told how many there are, and they are not counted. Raises ``BadCursorError``.
        """

    def find(self, text: str, limit: int = 10) -> Sequence[Found]:
        """What has ``text`` for an id, of all times: a trace (32 hexadecimal digits in any case, with or without dashes, as a
        ``traceparent``, or the first eight or more), a span (16, or the first eight or more), a session or a user, also by the beginning
        of its id, unless that is letters only. Exact ones come first, then the newest.
        """

    def trace(self, trace_id: str, limit: int = 20_000) -> Trace | None:
        """A whole trace, its first ``limit`` spans by start, those of one start as they came; ``None`` when nothing of it is there."""

    def outline(self, trace_id: str, limit: int = 200_000) -> Outline | None:
        """A trace as ``trace`` gives it, of each span only what a tree shows; ``limit=0``: whatever is not a span."""

    def span(self, trace_id: str, span_id: str) -> tuple[SpanRow, tuple[LogRow, ...]] | None:
        """One span with its details and text, and its log lines."""

    def fingerprints(self, trace_id: str, limit: int = 20_000) -> Mapping[str, Fingerprint]:
        """By which the first tool and model calls of a trace can be compared, by their span ids: those with captured content."""

    def details(self, trace_id: str, limit: int = 20_000) -> Iterator[tuple[str, bytes]]:
        """(span_id, details) of each span of a trace that has details, by start."""

    def run(self, trace_id: str, *, beside: Sequence[str] = ()) -> Run | None:
        """The whole run that a trace is of: with what it goes on with, and what goes on with it; ``None`` when the trace is not
        there. ``beside``: traces that are asked for next in the same ``snapshot``, for an engine that can tell of all at once.
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
        settled_s: float = 0.0,
        limit: int = 200,
    ) -> LogPage:
        """Log lines. ``after``: only lines stored after that ``newest`` cursor (live tail), oldest of them first. ``settled_s``: as
        of ``newest_span``.
        """

    def running(self, since_us: int, limit: int = 100) -> Sequence[OpenRow]:
        """Operations that have begun at ``since_us`` or later and not ended, newest first."""

    def facets(self, selection: Selection) -> Facets:
        """The names there are to choose from."""

    def entries(self, selection: Selection, limit: int = 10_000) -> Sequence[CostEntry]:
        """The newest model calls, as ledger entries, for the advice report."""

    def unpriced(self, selection: Selection, limit: int = 100) -> Sequence[Unpriced]:
        """(provider, model, calls, reason) of calls without a known price, most calls first."""

    def newest_span(self, known: int = 0, *, settled_s: float = 0.0, at_most: int | None = None) -> int:
        """The number of the newest span, 0 without any. Spans are numbered as they arrive. ``known``: one of before, which
        makes the answer cheap; ``at_most``: the newest of so many that follow it.

        Where several processes write, one of them may still be storing spans of lower numbers. Who reads on from a number and
        must see all asks for those only that were numbered ``settled_s`` seconds ago. Where one writes that changes nothing.
        """

    def late_spans(self) -> int:
        """Changes when spans were stored so long after they were numbered that who reads on may have missed them; 0 where that never
        was.
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

    def growth(self, names: Sequence[str], start_us: int, end_us: int, step_us: int) -> Sequence[Growth]:
        """By how much the metrics of these names grew, by series and step: of those of kind ``sum`` that say what they count from. Steps
        are aligned to multiples of ``step_us``, ascending; empty ones are left out. What a series counted before its first point
        is known where it says since when it counts.
        """

    def tool_ends(self, selection: Selection, limit: int = 1_000) -> Sequence[ToolEnds]:
        """How the tools of the selection ended, the most frequent first."""

    def captured(self, selection: Selection) -> tuple[int, int]:
        """How many model calls of the selection carry captured content, and how many there are."""

    def sql(self, question: str, *, max_rows: int = MAX_ROWS, max_seconds: float = MAX_SECONDS) -> SqlAnswer:
        """Answer one SELECT over the views of ``sql_views``. Raises ``SqlError`` when it may not be asked, cannot be answered, or
        takes too much time or memory.
        """
