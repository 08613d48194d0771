"""What all observed calls of Agent Framework have in common, and which objects are observed."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from opentelemetry import trace

from ai_dev_squad.context import current_operation
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.invocation import Beginning, Invocation
from ai_dev_squad.marks import Marks
from ai_dev_squad.operations import Kind, Operation
from ai_dev_squad.resumption import Resumptions
from ai_dev_squad.schema import ErrorInfo
from ai_dev_squad_agent_framework._refusals import carried_by

__all__ = ["FRAMEWORK", "MARKS", "RESUMPTIONS", "Call", "is_wanted"]

FRAMEWORK = "agent_framework"
MARKS = Marks()
RESUMPTIONS = Resumptions()
"""By the ids of what a person was asked."""


class Call(Invocation, framework=FRAMEWORK):
    """An observed call under way. What it has begun and left open ends before it."""

    kind: ClassVar[Kind]
    tells_its_end = True
    parent: Call | None
    operation: Operation

    def __init__(self, subject: Any, parent: Call | None) -> None:
        self.subject, self.parent = subject, parent

    @classmethod
    def around(cls, cause: Call | None) -> Call | None:
        """The innermost call that is open here, where ``cause`` is what ``Call.cause`` has found here."""
        return cause if cause is None or not cause.ended else Call.current()

    def start(self, name: str, **given: Unpack[Beginning]) -> None:
        """Start the operation, below whatever is current here."""
        above = current_operation()
        if above is None and self.parent is not None:
            above = self.parent.operation  # it has ended: a task that a tool began may outlive it
        self.begin_below(above, self.kind, name, **given)
        if self.parent is not None and not self.parent.ended:
            self.parent.hold(self)

    @property
    def is_outermost(self) -> bool:
        """Whether nothing that is under way goes on after it; what it belongs to may have ended."""
        return self.parent is None or self.parent.ended

    def is_parent_of(self, span: trace.Span) -> bool:
        """Whether a span by others was begun right inside of this call."""
        parent = getattr(span, "parent", None)
        return parent is not None and not self.ended and f"{parent.span_id:016x}" == self.operation.span_id

    def reserve(self) -> None:
        """Set money aside for a model call. Raises ``CallRefused`` when it may not be made."""
        self.ask(self.operation.reserve)

    def raised(self, error: BaseException) -> None:
        self.end(carried_by(error))

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
        if self.below and not self.ended:
            status = classify(error) if isinstance(error, BaseException) else self.status
            if self.is_outermost or status not in {"ok", "interrupted", "handoff"}:
                self.sweep(status)
        return super().end(error)

    def left(self) -> None:
        """Its consumer has dropped the stream."""
        if not self.ended:
            self.status = "closed_early"
            self.end()


def is_wanted(subject: Any) -> bool:
    """Whether a call of ``subject`` is observed here: for itself, or because it is part of an observed run."""
    return Call.cause() is not None or MARKS.find(subject) is not None
