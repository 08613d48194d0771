"""What the observed calls of Pydantic AI have in common. A call is found again through the context."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

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
        operation = self.begin_in_place(self.kind, name, **given)
        if self.parent is not None and not self.parent.ended:
            self.parent.hold(self)
        if operation.request is not None:
            self.ask(operation.reserve)


def name_in(frame: Any, thing: Any) -> str | None:
    """What the program calls a thing in the frame in which it uses it."""
    for names in (frame.f_locals, frame.f_globals):
        for name, value in names.items():
            if value is thing:
                return str(name)
    return None
