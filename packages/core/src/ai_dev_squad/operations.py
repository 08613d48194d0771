"""The hot path: every observed thing is an operation with one start and exactly one end.

An adapter calls ``start(kind, name, ...)`` and later one of ``stop``, ``fail``, ``interrupt``, ``hand_off``, ``cancel``,
``close_early``. The operation writes its opening and its closing journal line, holds its span and, for a model call,
feeds costs, budgets and metrics. Nothing here raises into the caller but ``reserve`` and ``admit``, as is their purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext

from ai_dev_squad import attributes as keys
from ai_dev_squad import clock, lines, model_calls, outliving, spans, state
from ai_dev_squad.attribution import Attribution
from ai_dev_squad.context import correlation_id_var, parent_context, session_id_var, span_in, user_id_var
from ai_dev_squad.genai.errors import origin
from ai_dev_squad.guard import report
from ai_dev_squad.kinds import (
    AGENT,
    CHAT,
    EMBEDDINGS,
    REMOTE_AGENT,
    RETRIEVAL,
    TASK,
    TEXT_COMPLETION,
    TOOL,
    WORKFLOW,
    Kind,
    ModelRequest,
    Prompt,
)
from ai_dev_squad.loops.compared import Compared
from ai_dev_squad.loops.watch import watch_below
from ai_dev_squad.process import after_fork
from ai_dev_squad.schema import Cost, ErrorInfo, EventType, Link, Status, Usage

if TYPE_CHECKING:
    from ai_dev_squad.assembly import Pipeline
    from ai_dev_squad.costs.budgets import Reservation
    from ai_dev_squad.wire.attempts import Attempt

__all__ = [
    "AGENT",
    "CHAT",
    "EMBEDDINGS",
    "REMOTE_AGENT",
    "RETRIEVAL",
    "TASK",
    "TEXT_COMPLETION",
    "TOOL",
    "WORKFLOW",
    "Kind",
    "ModelRequest",
    "Operation",
    "Prompt",
    "abandon_open_operations",
    "open_operations",
    "start",
]

# Open operations, by identity. Leaving this table is what ends an operation: `dict.pop` is atomic.
_open: dict[int, Operation] = {}
after_fork(_open.clear)  # the parent process ends what the parent process began
after_fork(state.renew_lock)


# A plain class: with slots, or as a struct, all of its forty names would be set when it is made, which was measured to cost more.
class Operation(Compared):
    """One observed thing, from its start to its only end. ``start`` makes it.

    An adapter may set ``usage``, ``output`` (a callable that returns the answer's text, for an estimate), ``cache_hit``
    and ``service_tier`` of a model call before it ends.
    """

    # What most operations never set stands here, as class attributes, and costs a start nothing.
    request: ModelRequest | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    output: Callable[[], Any] | None = None
    cache_hit: bool = False
    service_tier: str | None = None
    reported_usd: float | None = None
    """What the provider itself says that the call cost, in US dollars."""
    first_chunk_s: float | None = None
    """Seconds from the start to the first chunk of a streamed answer."""
    reservation: Reservation | None = None
    is_refused: bool = False
    """Whether a budget or the loop guard refused this call: it was never made."""
    attempts: list[Attempt] | None = None
    """The requests that were seen on the wire for this model call."""
    awaited: outliving.Awaited | None = None
    """Set while what it was billed is yet to be told to another request: it ends with that."""
    is_adopted: bool = False
    """Whether somebody else's span tells of it: no span is made, and what it asks for is learnt on the wire."""
    passed_on: int = 0
    """How many model calls this model call made itself, as a router does: what those were billed is counted there."""
    only_fetches: bool = False
    """Whether all that this model call has sent asks about a response that another call has asked for, and is billed for."""
    own_model_calls: int = 0
    own_tool_calls: int = 0
    links: list[Link] | None = None
    attempt: int | None = None
    parent_span_id: str | None = None
    status: Status | None = None
    """``None`` while the operation is open."""
    duration_ns: int = 0
    """From the start to the end; 0 while the operation is open."""
    ended_with: dict[str, Any] | None = None
    """Attributes that were learnt on the way; see ``annotate``."""
    recorded_span: Span | None = None
    """The span, if one was made already; see ``span``."""
    above: Operation | None = None
    """The operation whose span is the parent, where no span was made yet."""
    started_wall_ns: int = 0
    """Unix time of the start, where a span needs it."""
    _attribution: Attribution | None = None
    _failed_below: tuple[Any, ...] | None = None
    """The exception that an operation below failed with, so that its stack is kept once."""

    kind: Kind
    name: str
    framework: str
    parent: Operation | None
    run_id: str
    """The trace id of the outermost operation: all that belongs to one run."""
    trace_id: str
    span_id: str
    session_id: str | None
    correlation_id: str | None
    user_id: str | None
    agent_id: str | None
    started_ns: int
    """On the monotonic clock."""
    pipeline: Pipeline
    """What was configured when the operation began; it ends there, too."""
    started_with: dict[str, Any] | None
    """Attributes that were known at the start."""

    @property
    def attributes(self) -> dict[str, Any] | None:
        """All attributes known by now."""
        return lines.together(self.started_with, self.ended_with)

    @property
    def span(self) -> Span:
        """The operation's span. Without a receiver it is made when somebody asks, to carry the ids onwards."""
        span = self.recorded_span
        if span is None:
            span = self.recorded_span = spans.carrier(self)
        return span

    @property
    def attribution(self) -> Attribution:
        """Whom the call is counted for, and the model asked. Made when money is first spoken of, and then kept."""
        made = self._attribution
        if made is None:
            request = self.request
            made = self._attribution = Attribution(
                framework=self.framework,
                agent_id=self.agent_id,
                session_id=self.session_id,
                user_id=self.user_id,
                run_id=self.run_id,
                model=None if request is None else request.model,
                provider=None if request is None else request.provider,
            )
        return made

    # --- while it runs ------------------------------------------------------------------------------------------------

    def annotate(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes, to be written when the operation ends. Text in them must be redacted already.

        ``None`` says nothing, and takes nothing back.
        """
        known = {key: value for key, value in attributes.items() if value is not None}
        self.ended_with = {**self.ended_with, **known} if self.ended_with else known

    def first_chunk(self) -> None:
        """Note the arrival of the first chunk of a streamed answer; later calls change nothing."""
        if self.first_chunk_s is None:
            self.first_chunk_s = (clock.monotonic_ns() - self.started_ns) / 1e9

    def reserve(self) -> None:
        """``admit``, and set money aside for this model call; raise ``BudgetExceeded`` likewise when none is left."""
        self.admit()
        if self.pipeline.costs.may_stop:
            model_calls.reserve(self)

    def link(self, link: Link) -> None:
        """Refer to another span, such as the run that this one continues."""
        self.links = [*(self.links or ()), link]
        try:
            spans.add_link(self, link)
        except Exception as error:  # noqa: BLE001 - observing never raises into the user's program
            report("adding a link", error)

    def event(
        self, event_type: EventType, message: str, metadata: dict[str, Any] | None = None, level: str = "INFO"
    ) -> None:
        """Write a line of this level that belongs to this operation without ending it, such as an interrupt or a hand-off."""
        try:
            lines.write_event(self, event_type, message, metadata, level)
            spans.add_event(self, event_type.value, metadata)
        except Exception as error:  # noqa: BLE001 - observing never raises into the user's program
            report("writing an event", error)

    # --- its only end -------------------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """The operation succeeded. Like all ends: returns whether it was this call that ended it."""
        return self.end_as("ok")

    def fail(self, error: BaseException | ErrorInfo) -> bool:
        """The operation failed. The exception itself stays as it is."""
        return self.end_as("error", error)

    def interrupt(self) -> bool:
        """The operation waits for a person, which is no error."""
        return self.end_as("interrupted")

    def hand_off(self) -> bool:
        """The operation passed control on to another agent or graph."""
        return self.end_as("handoff")

    def cancel(self) -> bool:
        """The operation was cancelled from outside."""
        return self.end_as("cancelled")

    def close_early(self) -> bool:
        """The consumer stopped listening before the operation was through."""
        return self.end_as("closed_early")

    def abandon(self) -> bool:
        """Nobody ended the operation: its owner vanished, or the interpreter exits.

        A model call whose end was seen on the wire ended then, and so: answered (``ok``), or given up by who made it.
        """
        return self.end_as("abandoned")

    @property
    def seen_end(self) -> tuple[Status, int] | None:
        """How and when (monotonic clock, ns) this model call was answered or given up, if the wire has seen it."""
        return self.attempts[-1].seen_end if self.attempts else None

    @property
    def is_left_open(self) -> bool:
        """Whether the operation around this model call ended before it."""
        return outliving.is_left_open(self)

    def left_open(self, status: Status) -> bool:
        """The operation around this one ended before it. Returns whether this one ended with it, as ``status``.

        A model call that nobody ended may still be answered, as a task or thread that its maker left running: it stays
        open, for ``outliving.OUTLIVES_S`` at most, and ends with its answer. One that was given up will have none.
        """
        if status != "abandoned" or not self.kind.is_model_call or self.request is None:
            return self.end_as(status)
        seen = self.seen_end
        if seen is not None and seen[0] != "ok":
            return self.abandon()
        outliving.leave_open(self)
        return False

    def end_as(
        self, status: Status, error: BaseException | ErrorInfo | None = None, duration_ns: int | None = None
    ) -> bool:
        """The end that ``status`` names, for adapters that learn the status first, ``duration_ns`` after the start."""
        if status == "abandoned":
            if self.awaited is not None and self.awaited.end(self):
                return True
            seen = self.seen_end
            if seen is not None:
                status, duration_ns = seen[0], seen[1] - self.started_ns
        if self.awaited is not None:
            return self.awaited.hold(self, status, error, duration_ns)
        if _open.pop(id(self), None) is None:
            return False
        kind = self.kind
        if kind.is_model_call:
            outliving.forget(self)
        if self.parent is not None and self.parent.status is not None:
            self.annotate({keys.LATE: True})
        self.duration_ns = clock.monotonic_ns() - self.started_ns if duration_ns is None else duration_ns
        self.status = status
        info = None if error is None else self._error_info(error)
        pipeline = self.pipeline
        # One receiver that fails doesn't keep the others from hearing of the end.
        for what, receive in pipeline.model_call_receivers if kind.is_model_call else pipeline.receivers:
            try:
                receive(self, info)
            except Exception as failure:  # noqa: BLE001 - observing never raises into the user's program
                report(what, failure)
        if self.recorded_span is not None:  # last: what the others learnt, it tells
            try:
                spans.end(self, info)
            except Exception as failure:  # noqa: BLE001 - likewise
                report("ending a span", failure)
        return True

    def _error_info(self, error: BaseException | ErrorInfo) -> ErrorInfo:
        if isinstance(error, ErrorInfo):
            return error
        raised_at = origin(error)
        passing_through = self._failed_below == raised_at
        if self.parent is not None:
            self.parent._failed_below = raised_at
        try:
            return self.pipeline.error_info(error, with_stack=not passing_through)
        except Exception as failure:  # noqa: BLE001 - that it failed is known all the same
            report("describing an error", failure)
            return ErrorInfo(type=type(error).__name__)


def start(
    kind: Kind,
    name: str,
    *,
    framework: str,
    parent: Operation | None = None,
    context: Context | None = None,
    attributes: dict[str, Any] | None = None,
    agent_id: str | None = None,
    session_id: str | None = None,
    request: ModelRequest | None = None,
    links: Sequence[Link] = (),
    attempt: int | None = None,
    started_at_ns: int | None = None,
    task: str | None = None,
    told_by: SpanContext | None = None,
) -> Operation:
    """Open an operation: start its span and write its opening line.

    ``parent`` is the parent according to the framework; without it the current context decides, and ``context``
    overrules both. Text in ``attributes`` must be redacted already; the mapping is the operation's own from then on.
    ``started_at_ns`` (Unix time, ns) back-dates the start. ``task`` is what the run is asked to do, as the user calls it;
    without it, a root takes that of its session. ``told_by`` is somebody else's span that tells of it, whose ids it has.
    """
    pipeline = state.pipeline()
    operation = Operation()
    operation.pipeline = pipeline
    operation.kind, operation.name, operation.framework, operation.parent = kind, name, framework, parent
    if agent_id is None and kind is AGENT:
        agent_id = name
    if parent is None:
        pipeline.tracing.refresh()  # the application may have set its tracer provider since
        outliving.end_overdue()
        _take_session(operation, session_id, agent_id)
    else:
        operation.session_id = session_id or parent.session_id
        operation.agent_id = agent_id or parent.agent_id
        operation.correlation_id, operation.user_id = parent.correlation_id, parent.user_id
        if parent.kind.is_model_call and kind.is_model_call:
            model_calls.pass_on(operation)
    if links:
        operation.links = list(links)
    operation.request, operation.attempt = request, attempt
    around = parent_context(parent) if context is None else context
    is_local_root = parent is None and spans.is_of_application(span_in(around))
    operation.started_with = lines.known_at_the_start(operation, attributes, task, is_local_root=is_local_root)
    operation.started_ns = clock.monotonic_ns()
    if started_at_ns is not None:
        operation.started_ns -= clock.wall_ns() - started_at_ns
    if told_by is not None:
        operation.recorded_span, operation.is_adopted = NonRecordingSpan(told_by), True
    spans.open_span(operation, pipeline.tracing, around, started_at_ns)
    operation.run_id = operation.trace_id if parent is None else parent.run_id
    if pipeline.metrics is not None:
        model_calls.count_for_agent(operation)
    _open[id(operation)] = operation
    if parent is not None and pipeline.loops is not None:
        (parent.watch or watch_below(parent)).begun(operation)
    try:
        lines.write_opening(operation)
    except Exception as error:  # noqa: BLE001 - observing never raises into the user's program
        report("writing the start of an operation", error)
    return operation


def _take_session(operation: Operation, session_id: str | None, agent_id: str | None) -> None:
    """A root takes the ids of this thread's or task's session."""
    # An address or a token makes a poor id, and yet people use them.
    redact = operation.pipeline.redactor.text
    given = session_id_var.get(), correlation_id_var.get(), user_id_var.get()
    session, operation.correlation_id, operation.user_id = (None if name is None else redact(name) for name in given)
    operation.session_id, operation.agent_id = session or session_id, agent_id


def open_operations() -> list[Operation]:
    """The operations of this process that have not ended yet."""
    return list(_open.values())


def abandon_open_operations() -> int:
    """End everything that is still open, innermost first, as ``abandoned``. Called at exit. Returns how many."""
    return sum(operation.abandon() for operation in reversed(open_operations()))
