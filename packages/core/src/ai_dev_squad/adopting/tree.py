"""Which operation a span tells of: found when it starts where its attributes say what it is, else as soon as anybody must know.

Many instrumentations start a span and describe it afterwards, some of them only at its end. So a span waits until it
says what it is, something happens inside it, or it ends; its operation then begins when the span did. A span that is
nothing that is observed is looked through: what happens inside belongs to what is around it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context

from ai_dev_squad import state
from ai_dev_squad.adopting import ending
from ai_dev_squad.adopting.beginning import begin
from ai_dev_squad.adopting.node import Node
from ai_dev_squad.adopting.translation import Told, is_ours, told
from ai_dev_squad.context import Scope, current_context, innermost_operation, span_in
from ai_dev_squad.process import ForkSafeLock, after_fork

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from ai_dev_squad.kinds import Kind
    from ai_dev_squad.operations import Operation

__all__ = ["SpanTree"]

MOST_OPEN = 20_000
"""Spans that are open at a time. More are a leak of somebody's, and the oldest are given up."""
MOST_ENDED = 2_048
"""Spans that are remembered after their end, for what starts below them late."""

_ONE_FRAMEWORK = {"langchain": "langgraph"}
"""Frameworks whose instrumentation is that of another one's, too."""


class SpanTree:
    """The spans that are open, by id, and those that ended lately. Safe under threads."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._forget()
        after_fork(self._forget)  # the parent process ends what the parent process began

    def _forget(self) -> None:
        self._open: OrderedDict[int, Node] = OrderedDict()
        self._ended: OrderedDict[int, Node] = OrderedDict()

    # --- told by the provider -------------------------------------------------------------------------------------------

    def started(self, span: Span, parent_context: Context | None) -> None:
        """A span starts, in ``parent_context``, else in the current one."""
        if is_ours(span) or not state.pipeline().settings.enabled:
            return
        context = current_context() if parent_context is None else parent_context
        above = None if span.parent is None else self._node(span.parent.span_id)
        around = span_in(context)
        # What a framework's own adapter has begun in between is nearer than any span.
        native = around.operation_in_charge() if type(around) is Scope else None
        if native is None and above is None:
            native = innermost_operation(context)
        node = Node(span, above, native)
        with self._lock.now:
            own: trace.SpanContext = span.get_span_context()
            self._open[own.span_id] = node
            if len(self._open) > MOST_OPEN:
                ending.give_up(self._open.popitem(last=False)[1])
            if above is not None and above.is_undecided:
                self._decide(above)
            if span.attributes:
                self._decide(node)

    def ended(self, span: ReadableSpan) -> None:
        """A span ended."""
        own = span.get_span_context()
        with self._lock.now:
            node = None if own is None else self._open.pop(own.span_id, None)
            if node is None or own is None:
                return
            node.span = span
            ending.end(node, self._decide(node, is_over=True), span)
            if node.above is not None or node.operation is not None:
                self._ended[own.span_id] = node
                if len(self._ended) > MOST_ENDED:
                    self._ended.popitem(last=False)

    def abandon(self) -> None:
        """Nothing more will be told."""
        with self._lock.now:
            for node in reversed(self._open.values()):
                ending.give_up(node)
            self._forget()

    # --- asked by whoever observes in a span ------------------------------------------------------------------------------

    def operation(self, span: trace.Span, model: Callable[[], str] | None = None) -> Operation | None:
        """The innermost open operation that ``span`` tells of, or belongs to; ``model`` as for ``context.Adopted``."""
        node = self._node(span.get_span_context().span_id)
        if node is None:
            # Another provider's, whose spans nobody adopts: what it is in may be known.
            above = getattr(span, "parent", None)
            node = None if above is None else self._node(above.span_id)
        if node is None:
            return None
        with self._lock.now:
            if model is not None:
                self._note_call(node)
            found = self._operation(node, model)
            while found is not None and found.status is not None:
                found = found.parent
            return found

    def open_waiting(self, model: Callable[[], str]) -> None:
        """Open the model calls that wait to learn what they ask; if it is one, it asks ``model()``."""
        with self._lock.now:
            waiting = [node for node in self._open.values() if node.is_undecided]
            waiting = [node for node in waiting if node.kind is not None and node.kind.is_model_call]
            for node in waiting:
                self._decide(node, has_more=True, model=model if len(waiting) == 1 else None)

    # --- what it is -------------------------------------------------------------------------------------------------------

    def _node(self, span_id: int) -> Node | None:
        return self._open.get(span_id) or self._ended.get(span_id)

    def _operation(self, node: Node, model: Callable[[], str] | None = None) -> Operation | None:
        """The operation that whatever happens in ``node`` belongs to, which begins now if it hasn't yet."""
        found: Node | None = node
        last = node
        while found is not None:
            if found.is_undecided:
                self._decide(found, has_more=True, model=model)
            if found.operation is not None:
                return found.operation
            last, found = found, found.above
        return last.native

    def _decide(
        self, node: Node, *, has_more: bool = False, is_over: bool = False, model: Callable[[], str] | None = None
    ) -> Told:
        """Open the operation that a span tells of, once it is clear. Returns what the span says."""
        above = self._around(node)
        said = told(node.span, is_root=above is None and node.native is None, has_more=has_more or is_over)
        if not node.is_undecided:
            return said
        kind = node.kind = said.kind
        native = self._native(node)
        if kind is None:
            node.is_undecided = not (said.is_said or is_over)
        elif native is not None and _is_observed_already(native, said):
            node.is_undecided = False
        elif kind.is_model_call and above is not None and _is_same_call(above.kind, kind):
            node.is_undecided, node.part_of = False, above
        elif has_more or is_over or not kind.is_model_call or said.model is not None:
            node.is_undecided = False
            node.operation = self._open_operation(node, said, kind, model)
        return said

    def _around(self, node: Node) -> Node | None:
        """The nearest span around that is something, or may be."""
        found = node.above
        while found is not None:
            if found.is_undecided:
                found.kind = told(found.span, is_root=found.above is None, has_more=True).kind
            is_something = found.operation is not None or found.part_of is not None or found.is_undecided
            if is_something and found.kind is not None and not (found.is_over and found.kind.is_model_call):
                return found
            found = found.above
        return None

    def _native(self, node: Node) -> Operation | None:
        """The innermost operation around that was told by no span, unless an adopted one is nearer."""
        found: Node | None = node
        while found is not None:
            if found is not node and found.operation is not None:
                return None
            if found.native is not None:
                return found.native
            found = found.above
        return None

    def _open_operation(self, node: Node, said: Told, kind: Kind, model: Callable[[], str] | None) -> Operation:
        parent = node.native or (None if node.above is None else self._operation(node.above))
        if kind.is_model_call:
            self._note_call(node)
        return begin(node, said, kind, parent, model)

    @staticmethod
    def _note_call(node: Node) -> None:
        found: Node | None = node
        while found is not None:
            found.has_calls, found = True, found.above


def _is_observed_already(native: Operation, said: Told) -> bool:
    """Whether the adapter of its framework tells of the same: no span tells of it again, nor of what happens in a model call."""
    if native.kind.is_model_call and native.status is None:
        return True
    framework = said.framework
    return framework is not None and native.framework in {framework, _ONE_FRAMEWORK.get(framework)}


def _is_same_call(around: Kind | None, kind: Kind) -> bool:
    """Whether a model call in another one is that call told once more: by a client's instrumentation in a framework's."""
    return around is not None and around.is_model_call and around.may_send(kind)
