"""What the observed calls of Pydantic AI have in common. A call is found again through the context."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from opentelemetry import trace

from ai_dev_squad.context import current_context, current_operation
from ai_dev_squad.invocation import Beginning, Invocation
from ai_dev_squad.marks import Marks
from ai_dev_squad.operations import Kind, Operation

__all__ = ["FRAMEWORK", "MARKS", "Call", "name_in"]

FRAMEWORK = "pydantic_ai"
MARKS = Marks()
"""What is observed."""


class Call(Invocation, framework=FRAMEWORK):
    """An observed call under way. It is wrapped, so that its end is never missed."""

    kind: ClassVar[Kind]
    tells_its_end = True
    parent: Call | None
    operation: Operation

    def __init__(self, subject: Any, parent: Call | None) -> None:
        self.subject, self.parent = subject, parent

    def start(self, name: str, **given: Unpack[Beginning]) -> None:
        """Start the operation. Raises ``CallRefused`` when it is a model call that may not be made."""
        here = current_context()
        above, parent, context = self.parent, None, None
        if above is not None and (above.ended or above is not Call.current()):
            # The context belongs to something else, or nothing: the call above knows better.
            parent = above.operation
            context = here = above.context or trace.set_span_in_context(parent.span, here)
        operation = self.begin_below(
            parent or current_operation(here), self.kind, name, context=context, here=here, **given
        )
        if above is not None and not above.ended:
            above.hold(self)
        if operation.request is not None:
            self.ask(operation.reserve)

    def admit(self, arguments: Any) -> None:
        """Say what a tool is called with. Raises ``CallRefused`` when it may not be."""
        self.operation.note_arguments(arguments)
        self.ask(self.operation.admit)


def name_in(frame: Any, thing: Any) -> str | None:
    """What the program calls a thing in the frame in which it uses it."""
    for names in (frame.f_locals, frame.f_globals):
        for name, value in names.items():
            if value is thing:
                return str(name)
    return None
