"""Who is running right now: the session of this thread or task, and the operation whose span is current.

**The healing current span.** A framework's start and end callbacks often run in different contexts (LangChain's
asynchronous end events run in another task with a copied context), so a context token can't be kept between them.
Instead, what ``enter`` puts into the context is a ``Scope``: a stand-in that resolves to the operation's span while the
scope is open and to the enclosing span once it's healed. Every copy of the context heals at the same moment, and no
token ever crosses a callback.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation

__all__ = [
    "SESSION_VARS",
    "Adopted",
    "Scope",
    "attach",
    "attached",
    "carried",
    "correlation_id_var",
    "current_context",
    "current_operation",
    "detach",
    "enter",
    "heal",
    "innermost_operation",
    "is_observed",
    "last_scope",
    "look_up_with",
    "open_waiting",
    "parent_context",
    "session",
    "session_id_var",
    "span_in",
    "task_label_var",
    "user_id_var",
    "with_operation",
    "with_value",
]

session_id_var: ContextVar[str | None] = ContextVar("ai_dev_squad_session_id", default=None)
correlation_id_var: ContextVar[str | None] = ContextVar("ai_dev_squad_correlation_id", default=None)
user_id_var: ContextVar[str | None] = ContextVar("ai_dev_squad_user_id", default=None)
task_label_var: ContextVar[str | None] = ContextVar("ai_dev_squad_task_label", default=None)

SESSION_VARS = (session_id_var, correlation_id_var, user_id_var, task_label_var)
"""All that ``session`` sets, for whoever takes it along to another thread or context."""


def _variable() -> ContextVar[Context] | None:
    """The variable that OpenTelemetry keeps its context in, learnt from what it hands out; ``None`` where an
    application has a context implementation of its own.
    """
    token: Any = otel_context.attach(otel_context.get_current())
    otel_context.detach(token)
    try:
        return token.var if isinstance(token.var.get(), Context) else None
    except (AttributeError, LookupError):
        return None


_context = _variable()
# The same as the functions of the API, without the two calls that each of them makes: every step of every stream and
# every start and end of an operation passes here.
current_context: Callable[[], Context] = otel_context.get_current if _context is None else _context.get
"""The current OpenTelemetry context."""
attach: Callable[[Context], Any] = otel_context.attach if _context is None else _context.set
"""Make a context the current one. Returns what ``detach`` takes."""


def detach(token: Any) -> None:
    """Undo ``attach``; quiet where that's impossible.

    A generator that the garbage collector or another task finalises leaves its block in a foreign context, in which
    there is nothing to undo; ``opentelemetry.context.detach`` would log an error about it.
    """
    if type(token) is not Token:  # a context implementation of the application's own
        otel_context.detach(token)
        return
    try:
        token.var.reset(token)
    except ValueError:
        return


_SCOPE_KEY = otel_context.create_key("ai_dev_squad.scope")
# The key under which the API keeps the current span, learnt from the API itself: setting two values in one copy of the
# context instead of four halves the cost of entering an operation.
_SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))


@contextmanager
def session(
    session_id: str, correlation_id: str | None = None, *, user_id: str | None = None, task: str | None = None
) -> Iterator[None]:
    """Everything observed inside the block, in this thread or task, carries these ids.

    ``task`` says what its runs are asked to do, such as ``"refund"``: runs of one task can be compared, whichever
    framework they are of. What ``observe(..., task=...)`` says of a program goes before.
    """
    given = zip(SESSION_VARS, (session_id, correlation_id, user_id, task), strict=True)
    set_before = [(var, var.set(value)) for var, value in given if value is not None]
    try:
        yield
    finally:
        for var, token in reversed(set_before):
            try:
                var.reset(token)
            except ValueError:  # a generator that is finalised in a foreign context, where there is nothing to undo
                pass


def _class_of(scope: Scope) -> type:
    if not scope.healed and scope.operation.recorded_span is None:
        return trace.NonRecordingSpan
    return type(scope.target())


class Scope(trace.Span):
    """What sits in the context for one operation: its span while open, the enclosing span once healed."""

    __slots__ = ("healed", "operation", "outer", "outer_span")

    def __init__(self, operation: Operation, context: Context) -> None:
        self.operation = operation
        self.healed = False
        current: Any = context.get(_SCOPE_KEY)
        if current is None or current.healed or context.get(_SPAN_KEY) is not current:
            # Closed scopes are resolved here, so that a long-lived context never drags a chain of dead ones along.
            self.outer = _innermost(context)
            self.outer_span = _resolved(span_in(context))
        else:  # the usual case, without those calls
            self.outer = self.outer_span = current  # type: ignore[assignment]

    def target(self) -> trace.Span:
        """The span that this scope stands for at this moment."""
        scope: Scope = self
        while scope.healed:
            outer = scope.outer_span
            # `isinstance` would be answered by the span that the scope stands for.
            if type(outer) is not Scope:
                return outer
            scope = outer
        return scope.operation.span

    def operation_in_charge(self) -> Operation | None:
        """The operation whose span this scope stands for, or ``None`` if that span isn't one of ours."""
        scope: Scope = self
        while scope.healed:
            outer = scope.outer_span
            if type(outer) is not Scope:
                return None
            scope = outer
        return scope.operation

    # Other instrumentations test `isinstance(span, ReadableSpan)`; the answer must be that of the real span. Frameworks that
    # trace themselves ask some twenty times a run, here and below: no span is made to say that nobody records it.
    __class__ = property(_class_of)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target(), name)

    def get_span_context(self) -> trace.SpanContext:
        return self.target().get_span_context()

    def is_recording(self) -> bool:
        return (self.healed or self.operation.recorded_span is not None) and self.target().is_recording()

    def set_attributes(self, attributes: Any) -> None:
        if self.healed or self.operation.recorded_span is not None:
            self.target().set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        if self.healed or self.operation.recorded_span is not None:
            self.target().set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.target().add_event(name, attributes, timestamp)

    def add_link(self, context: trace.SpanContext, attributes: Any = None) -> None:
        self.target().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.target().update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.target().set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        self.target().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """Only the operation ends its span."""


def _resolved(span: trace.Span) -> trace.Span:
    while type(span) is Scope and span.healed:
        span = span.outer_span
    return span


def _innermost(context: Context) -> Scope | None:
    scope: Scope | None = context.get(_SCOPE_KEY)  # type: ignore[assignment]
    while scope is not None and scope.healed:
        scope = scope.outer
    return scope


class Adopted(Protocol):
    """What knows the operations that spans of other instrumentations tell of; see ``ai_dev_squad.adopting``."""

    def operation(self, span: trace.Span, model: Callable[[], str] | None = None) -> Operation | None:
        """The innermost open operation that ``span`` tells of, or belongs to.

        ``model()`` is the model that is about to be asked there, where the span does not say so yet.
        """

    def open_waiting(self, model: Callable[[], str]) -> None:
        """Open the model calls that wait to learn what they ask; if it is one, it asks ``model()``."""


_adopted: Adopted | None = None


def look_up_with(adopted: Adopted | None) -> Adopted | None:
    """Have ``adopted`` find the operation of a span that isn't one of ours. Returns who did so before."""
    global _adopted
    before, _adopted = _adopted, adopted
    return before


def current_operation(context: Context | None = None) -> Operation | None:
    """The innermost operation that is open in this context."""
    if context is None:
        context = current_context()
    if _adopted is None:  # the usual cases, without the calls that the others take
        scope: Any = context.get(_SCOPE_KEY)
        if scope is None:
            return None
        if not scope.healed:
            return scope.operation  # type: ignore[no-any-return]
    return innermost_operation(context)


def innermost_operation(context: Context, model: Callable[[], str] | None = None) -> Operation | None:
    """The innermost operation that is open in ``context``; ``model`` as for ``Adopted.operation``."""
    if _adopted is not None:
        span = _resolved(span_in(context))
        found = None if type(span) is Scope else _adopted.operation(span, model)
        if found is not None:
            return found
    scope = _innermost(context)
    return None if scope is None else scope.operation


def is_observed() -> bool:
    """Whether anything was ever observed in this context, or a span may tell of what happens in it."""
    return _adopted is not None or last_scope() is not None


def open_waiting(model: Callable[[], str]) -> None:
    """Open the adopted model calls that wait to learn what they ask, for a request for ``model()`` whose context is lost."""
    if _adopted is not None:
        _adopted.open_waiting(model)


def last_scope() -> Scope | None:
    """What was made current last in this context, open or healed; ``None`` where nothing ever was."""
    scope: Scope | None = current_context().get(_SCOPE_KEY)  # type: ignore[assignment]
    return scope


def span_in(context: Context) -> trace.Span:
    """The current span of ``context``, without the type check that the API makes each time."""
    span: trace.Span = context.get(_SPAN_KEY, trace.INVALID_SPAN)  # type: ignore[assignment]
    return span


def with_operation(operation: Operation, context: Context) -> tuple[Context, Scope]:
    """A copy of ``context`` in which the operation's span is current."""
    scope = Scope(operation, context)
    return Context({**context, _SCOPE_KEY: scope, _SPAN_KEY: scope}), scope


def with_value(operation: Operation, context: Context, key: str, value: object) -> tuple[Context, Scope]:
    """The same with ``value`` beside it, in one copy."""
    scope = Scope(operation, context)
    return Context({**context, _SCOPE_KEY: scope, _SPAN_KEY: scope, key: value}), scope


def enter(operation: Operation) -> Scope:
    """Make the operation's span current from here on in this context, until ``heal`` is called on the scope."""
    context, scope = with_operation(operation, current_context())
    attach(context)
    return scope


def heal(scope: Scope) -> None:
    """The scope's span is no longer current, in any context that holds it. Nothing needs to be put back anywhere."""
    scope.healed = True
    # Pass healed ones by, so that operations that overlap without end form no chain in a long-lived context.
    outer = scope.outer
    while outer is not None and outer.healed:
        outer = outer.outer
        scope.outer, scope.outer_span = outer, _resolved(scope.outer_span)


@contextmanager
def attached(operation: Operation) -> Iterator[None]:
    """Make the operation's span current within one frame of our own."""
    context, scope = with_operation(operation, current_context())
    token = attach(context)
    try:
        yield
    finally:
        heal(scope)
        # A generator finalised by the garbage collector leaves this block in a foreign context.
        if current_context().get(_SCOPE_KEY) is scope:
            detach(token)


def carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` for another thread: there the span and the session that are current here are current while it runs.

    Nothing else of this context goes along, such as the precision of ``decimal`` or what an event loop leaves in it:
    the thread's own variables stay its own.
    """
    here = current_context()
    session_here = [(var, var.get()) for var in SESSION_VARS]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        token = attach(here)
        before = [(var, var.set(value)) for var, value in session_here]
        try:
            return function(*args, **kwargs)
        finally:
            for var, put in before:
                var.reset(put)
            detach(token)

    return call


def parent_context(tree_parent: Operation | None) -> Context:
    """The context whose span becomes the parent of a new operation.

    ``tree_parent`` is the parent according to the framework. If it is the innermost open operation here, the current
    context is right and keeps the user's own spans in between; in a lost or foreign context the framework wins.
    """
    context = current_context()
    if tree_parent is None:
        return context
    scope: Scope | None = context.get(_SCOPE_KEY)  # type: ignore[assignment]
    if scope is not None and scope.healed:
        scope = _innermost(context)
    if scope is not None and scope.operation is tree_parent:
        return context
    return trace.set_span_in_context(tree_parent.span, context)
