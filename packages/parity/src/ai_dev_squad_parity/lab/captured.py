"""What was captured of a run, in one shape, whoever captured it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ai_dev_squad import BudgetExceeded, Coverage, EventType, JournalLine, LoopDetected, Usage, read_journal
from ai_dev_squad.attributes import REQUESTS, TOOL_CALL_ARGUMENTS
from ai_dev_squad.runs import MODEL_OPERATIONS, OPENING_EVENTS
from ai_dev_squad_parity.lab.cell import Span

__all__ = ["Captured", "Operation", "from_journal", "from_spans"]

MODEL_CALLS = MODEL_OPERATIONS - {"embeddings"}
_REFUSALS = frozenset({BudgetExceeded.__name__, LoopDetected.__name__})
_NO_USAGE = Usage(source="missing")


@dataclass(frozen=True)
class Operation:
    """One captured operation. Times are microseconds since 1970."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    operation: str
    name: str
    status: str
    start_us: int
    end_us: int
    agent: str | None = None
    session: str | None = None
    error_type: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: str | None = None
    cost_usd: float | None = None
    arguments: Any = None
    """A tool's arguments."""
    first_chunk_us: int | None = None
    links: tuple[tuple[str, str], ...] = ()
    """(trace, span) of what it refers to."""
    opened: int = 1
    """How many opening lines it has."""
    closed: int = 1
    requests: int = 0
    """How many requests a call of a model sent: one more for each time that it was tried again."""


@dataclass(frozen=True)
class Captured:
    """The operations of a run, by start."""

    operations: tuple[Operation, ...]
    spans: tuple[Span, ...] = ()
    by_id: Mapping[str, Operation] = field(default_factory=dict, compare=False)
    coverage: Coverage | None = None
    """What the self-check of the wire has counted; ``None`` where it has said nothing."""
    alarms: tuple[str, ...] = ()
    """What the loop guard said."""

    def of(self, *kinds: str) -> list[Operation]:
        """The operations of these kinds."""
        return [operation for operation in self.operations if operation.operation in kinds]

    @property
    def calls(self) -> list[Operation]:
        """The model calls."""
        return self.of(*MODEL_CALLS)

    @property
    def billable(self) -> list[Operation]:
        """The model calls and the embeddings: whatever a provider bills."""
        return self.of(*MODEL_OPERATIONS)

    @property
    def most_calls_at_once(self) -> int:
        """How many model calls were under way at the same time, at most."""
        edges = sorted(edge for call in self.calls for edge in ((call.start_us, 1), (call.end_us, -1)))
        most = now = 0
        for _, change in edges:
            now += change
            most = max(most, now)
        return most

    @property
    def roots(self) -> list[Operation]:
        """The operations without a captured parent."""
        return [operation for operation in self.operations if operation.parent_span_id not in self.by_id]

    def above(self, operation: Operation) -> Iterator[Operation]:
        """What an operation stands under, from the inside out."""
        seen = {operation.span_id}
        parent = self.by_id.get(operation.parent_span_id or "")
        while parent is not None and parent.span_id not in seen:
            seen.add(parent.span_id)
            yield parent
            parent = self.by_id.get(parent.parent_span_id or "")


def captured(
    operations: Iterable[Operation],
    spans: Sequence[Span] = (),
    coverage: Coverage | None = None,
    alarms: Iterable[str] = (),
) -> Captured:
    """Put operations in order."""
    ordered = tuple(sorted(operations, key=lambda operation: (operation.start_us, -operation.end_us)))
    by_id = {operation.span_id: operation for operation in ordered}
    return Captured(ordered, tuple(spans), by_id, coverage, tuple(alarms))


def from_journal(log_dir: Path, spans: Sequence[Span] = ()) -> Captured:
    """What our adapters wrote."""
    lines = list(read_journal(log_dir)) if log_dir.exists() else []
    opened: dict[str, int] = {}
    begun: dict[str, int] = {}
    closed: dict[str, int] = {}
    operations: dict[str, Operation] = {}
    told = [line.metadata or {} for line in lines if line.event_type == EventType.WIRE_COVERAGE]
    for line in lines:
        if line.operation is None or line.span_id is None:
            continue
        if line.status is not None:
            closed[line.span_id] = closed.get(line.span_id, 0) + 1
            operations[line.span_id] = _operation(line)
        elif line.event_type in OPENING_EVENTS:
            opened[line.span_id] = opened.get(line.span_id, 0) + 1
            begun.setdefault(line.span_id, int(line.timestamp.timestamp() * 1_000_000))
            operations.setdefault(line.span_id, _operation(line))
    return captured(
        (
            # An opening line says when it began; from end and duration that is only known as well as two clocks agree.
            replace(
                operation,
                start_us=begun.get(span_id, operation.start_us),
                opened=opened.get(span_id, 0),
                closed=closed.get(span_id, 0),
            )
            for span_id, operation in operations.items()
        ),
        spans,
        Coverage.summed(told) if told else None,
        [line.message for line in lines if line.event_type == EventType.AGENT_LOOP],
    )


def _operation(line: JournalLine) -> Operation:
    usage, metadata = line.usage or _NO_USAGE, line.metadata or {}
    end_us = int(line.timestamp.timestamp() * 1_000_000)
    first = metadata.get("gen_ai.response.time_to_first_chunk", metadata.get("time_to_first_chunk"))
    return Operation(
        trace_id=line.trace_id or "",
        span_id=line.span_id or "",
        parent_span_id=line.parent_span_id,
        operation=line.operation or "",
        name=line.name or "",
        status=line.status or "open",
        start_us=end_us - int((line.duration_ms or 0) * 1000),
        end_us=end_us,
        agent=line.agent_id,
        session=line.session_id,
        error_type=None if line.error is None else line.error.type,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cache_read_input_tokens,
        reasoning_tokens=usage.reasoning_output_tokens,
        usage_source=None if line.usage is None else usage.source,
        cost_usd=None if line.cost is None else line.cost.usd,
        arguments=metadata.get(TOOL_CALL_ARGUMENTS, metadata.get("arguments")),
        first_chunk_us=None if first is None else int(first * 1_000_000),
        links=tuple((link.trace_id, link.span_id) for link in line.links or ()),
        requests=_requests(line),
    )


def _requests(line: JournalLine) -> int:
    """How many requests stand behind a line. What a budget has refused was never sent."""
    if line.operation not in MODEL_OPERATIONS or (line.error is not None and line.error.type in _REFUSALS):
        return 0
    return int((line.metadata or {}).get(REQUESTS, 1))


def from_spans(spans: Sequence[Span]) -> Captured:
    """What a peer's instrumentation exported, read as the dashboard reads it. Needs ai-dev-squad-dashboard."""
    from ai_dev_squad_parity.lab.foreign import operations

    return captured(operations(spans), spans)
