"""What is told of every tool call, whichever framework makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, state
from ai_dev_squad.content import captured
from ai_dev_squad.schema import ErrorInfo

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation

__all__ = ["error_in_words", "never_ran", "note_answer", "opening_attributes"]


def opening_attributes(arguments: Any, call_id: str | None = None, *, tool_type: str = "function") -> dict[str, Any]:
    """What a tool call begins with. Its arguments are redacted, and left out where no content is captured."""
    attributes = {keys.TOOL_TYPE: tool_type}
    if call_id:
        attributes[keys.TOOL_CALL_ID] = call_id
    return {**attributes, **captured(lambda: {keys.TOOL_CALL_ARGUMENTS: arguments})}


def note_answer(operation: Operation, answer: Any, compared: Callable[[Any], Any] | None = None) -> None:
    """Note what a tool answered, to find loops by (see ``Operation.note_result``), and where content is captured, to keep.

    ``compared`` makes of the answer what it is compared by.
    """
    operation.note_result(answer, compared)
    operation.annotate(captured(lambda: {keys.TOOL_CALL_RESULT: answer}))


def error_in_words(kind: str, told: str) -> ErrorInfo:
    """An error of type ``kind`` of which the model is told by a text. The text is content."""
    return ErrorInfo(type=kind, message=state.pipeline().content_text(told))


def never_ran(
    name: str, call_id: str, told: Any, *, framework: str, parent: Operation | None, error: str | None = "unknown_tool"
) -> None:
    """Enter a call that a model asked for and that reached no tool: there is none of that name, or it was given nonsense.

    ``told`` is what the model was told instead. ``error`` is the type of the error that it ends with; ``None``: it was
    answered all the same, as by a framework that means a hand-off by it.
    """
    operation = operations.start(
        operations.TOOL,
        state.pipeline().redactor.text(name),  # the model's invention, perhaps
        framework=framework,
        parent=parent,
        attributes={keys.TOOL_TYPE: "function", keys.TOOL_CALL_ID: call_id},
    )
    operation.note_arguments(None)
    operation.note_result(told)
    if error is None:
        operation.stop()
    else:
        operation.fail(error_in_words(error, str(told)))
