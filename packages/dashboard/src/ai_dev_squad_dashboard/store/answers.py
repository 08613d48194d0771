"""The shapes of a store's answers. Times are microseconds since 1970, UTC; money is USD; ``None`` means unknown, never zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .rows import LogRow, OpenRow, SpanRow

__all__ = [
    "Choices",
    "ErrorExample",
    "ErrorGroup",
    "Facets",
    "Fingerprint",
    "Found",
    "Incident",
    "LogPage",
    "MetricName",
    "SearchState",
    "Session",
    "SessionPage",
    "StoreState",
    "Trace",
    "TracePage",
    "TraceRow",
    "User",
    "UserPage",
    "Written",
]


@dataclass(frozen=True)
class Written:
    """What became of a batch."""

    spans: int
    duplicates: int
    logs: int
    clashes: int = 0
    """Spans with the id of another one, told for the first time; they are among the duplicates, and are not stored."""


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
    skewed: bool = False
    """Whether some span began before the root, or long after the root's end: its sender's clock differs. ``duration_us`` is then
    the root's own."""
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
    """How many traces matched in all when the list was begun: counted for its first page, and told by its cursors. ``None`` where
    words are searched for, which would take as long as finding them all.
    """
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
    lines: int = 0
    """Lines of logs that are indexed."""
    lines_behind: int = 0
    """Lines that are not yet."""
    rebuilt: int = 0
    """How often it had to be made anew since the start, because it was damaged or that of another store."""
    trouble: str | None = None
    """Why there is no index, or why it does not go on; ``None`` when all is well."""


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
    clashes: int = 0
    """Spans that came with the id of another span of the trace, and were not stored."""


@dataclass(frozen=True)
class Fingerprint:
    """What a call is compared by: hashes of what was captured, equal for equal content; ``None`` where nothing was captured."""

    given: int | None
    """Of the arguments of a tool, or of all that a model was given."""
    newest: int | None
    """Of the newest two messages that a model was given."""
    messages: int
    """How many messages there were."""
    came: int | None
    """Of the result, or of the answer."""


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
    service: str | None = None
    """Of the oldest trace that names one."""
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
    complete: bool = True
    """Whether no line may be missing: a part of a word can stand for more words than are looked for."""


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
