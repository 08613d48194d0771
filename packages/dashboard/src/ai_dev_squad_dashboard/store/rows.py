"""What goes into a store: one row a finished span, a log line, an operation that has begun, a metric point.

Rows are named tuples because a batch becomes columns by one ``zip``. Times are microseconds since 1970, UTC;
durations are microseconds; money is USD; ids are lower-case hex, 32 digits a trace and 16 a span.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from ai_dev_squad.schema import Status, UsageSource

__all__ = [
    "UNTIMED_US",
    "Batch",
    "Carried",
    "Clash",
    "LogRow",
    "MetricRow",
    "OpenRow",
    "Source",
    "SpanRow",
    "label_pairs",
]

UNTIMED_US: Final = -1
"""The duration of what its sender tells no duration of."""

Source = Literal["journal", "otlp"]
"""How a row came here."""


class Carried(NamedTuple):
    """What the results of one tool take of a model call in whose input they stand: an estimate."""

    tool: str
    tokens: int
    cost_usd: float | None
    """``None`` where what the input cost is not known."""


class SpanRow(NamedTuple):
    """One finished operation. (``trace_id``, ``span_id``) is its identity: a second arrival is the same span."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_us: int
    duration_us: int
    """Below zero when nobody knows how long it took: the sender's clock was set back meanwhile, or it does not say (``UNTIMED_US``)."""
    name: str
    """What was called: the agent's, tool's or model's name where there is one, else the span's name."""
    operation: str
    """A GenAI operation (``invoke_workflow``, ``invoke_agent``, ``task``, ``execute_tool``, ``chat``, ``text_completion``,
    ``generate_content``, ``embeddings``, ``retrieval``, ``plan``, ``guardrail``) or ``other`` for any other span."""
    status: Status = "ok"
    framework: str | None = None
    """``langgraph``, ``crewai``, ``autogen``, or what the instrumentation says."""
    service: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    """For whom it was done, as the program or the sender says."""
    labels: str | None = None
    """Tags and metadata by which runs are filtered: a JSON object, each member a text or a list of texts."""
    agent: str | None = None
    tool: str | None = None
    """The tool's name; only where ``operation`` is ``execute_tool``."""
    provider: str | None = None
    model: str | None = None
    """The model that answered, else the one that was asked; only on model calls."""
    error_type: str | None = None
    error_message: str | None = None
    input_tokens: int | None = None
    """Tokens and money stand on model calls only, so that a sum over spans counts each call once."""
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource | None = None
    """Set exactly on model calls."""
    cost_usd: float | None = None
    price: str | None = None
    """The price used, as ``provider/model``."""
    price_date: str | None = None
    price_source: str | None = None
    cost_reason: str | None = None
    """Why ``cost_usd`` is ``None`` on a model call."""
    cache_saving_usd: float | None = None
    """What the tokens read from a cache would have cost more without it."""
    first_chunk_us: int | None = None
    source: Source = "otlp"
    instrumentation: str | None = None
    """Who made the span: the OpenTelemetry scope's name, or ``ai_dev_squad``."""
    ingested_us: int = 0
    details: bytes | None = None
    """JSON object, read only when one span is looked at: ``attributes``, ``input``, ``output``, ``system``, ``tools``
    (GenAI message shapes where known), ``events``, ``links``, ``resource``, ``metadata``, ``below`` (the span
    of the application in which a run began, where only a journal has told of the run); absent keys were not there."""
    text: str | None = None
    """Captured content as plain text, for search; ``None`` when content was not captured. A store may leave out of it what another
    span of the trace has said: all that was captured stands in ``details``.
    """
    task: str | None = None
    """What the run was asked to do, as the program called it; on the run's first operation."""
    resumes: str | None = None
    """The trace that was interrupted and that this operation goes on with; only on the first one of a run."""
    version: str | None = None
    """The version of the service that made it."""
    asked: str | None = None
    """How what was asked begins, in a line; kept of a trace, so not in a row that a store gives back."""
    answered: str | None = None
    """The same of the answer."""
    carried: tuple[Carried, ...] = ()
    """The tools whose results the model call was given; kept beside the spans, so not in a row that a store gives back."""


def label_pairs(labels: str) -> list[tuple[str, str]]:
    """The (key, value) pairs of a span's ``labels``; none for a text that is no such object."""
    try:
        members = _labels.decode(labels)
    except msgspec.MsgspecError:
        return []
    return [
        (key, value) for key, values in members.items() for value in ([values] if isinstance(values, str) else values)
    ]


_labels = msgspec.json.Decoder(dict[str, str | list[str]])


class LogRow(NamedTuple):
    """One line of a log: a journal line or an OpenTelemetry log record."""

    time_us: int
    level: str
    """``DEBUG``, ``INFO``, ``WARNING``, ``ERROR`` or ``CRITICAL``."""
    event_type: str
    message: str
    framework: str | None = None
    service: str | None = None
    session_id: str | None = None
    agent: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    source: Source = "journal"
    details: bytes | None = None
    """JSON object of everything else; ``None`` when there is nothing else."""


class OpenRow(NamedTuple):
    """An operation that has begun. It disappears when its span arrives, or when it is older than the store waits."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_us: int
    name: str
    operation: str
    framework: str | None = None
    session_id: str | None = None
    agent: str | None = None


class MetricRow(NamedTuple):
    """One point of an OpenTelemetry metric, as it came."""

    time_us: int
    name: str
    kind: str
    """``gauge``, ``sum``, ``histogram``, ``exponential_histogram`` or ``summary``."""
    unit: str
    service: str | None
    value: float | None
    """The value of a gauge or sum, the sum of a histogram."""
    count: int | None  # type: ignore[assignment] # a tuple has a method of this name, which nobody calls
    """The number of measurements of a histogram."""
    details: bytes
    """JSON object: ``attributes``, and ``buckets`` or ``quantiles`` where there are some; of what adds up, ``temporality`` (``delta``
    or ``cumulative``) and since when it counts, ``start_us``, 0 where that is unknown.
    """


class Clash(NamedTuple):
    """A span that came with the id of another one, which is stored. It is counted and not stored."""

    trace_id: str
    span_id: str
    start_us: int
    name: str


@dataclass
class Batch:
    """What is written in one transaction: all of it, or nothing."""

    spans: list[SpanRow] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    opened: list[OpenRow] = field(default_factory=list)
    metrics: list[MetricRow] = field(default_factory=list)
    positions: dict[str, str] = field(default_factory=dict)
    """How far each source has been read, by the source's own name: committed with the rows, so nothing is read twice."""
    relayed: bool = False
    """Whether journal lines in it came another way than by their file, which may be read as well."""
    clashes: list[Clash] = field(default_factory=list)
    """Those that another store has noted; what is new is noticed while writing."""

    def __len__(self) -> int:
        return len(self.spans) + len(self.logs) + len(self.opened) + len(self.metrics)
