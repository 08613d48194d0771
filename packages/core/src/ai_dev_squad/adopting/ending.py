"""How an adopted operation ends: with what its span said in the end, and what the wire has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_dev_squad import attributes as keys
from ai_dev_squad import outliving
from ai_dev_squad.adopting.beginning import begin
from ai_dev_squad.adopting.translation import (
    Told,
    answer_of,
    attributes_of,
    content_of,
    outcome_of,
    request_of,
    summed,
    usage_told,
)
from ai_dev_squad.kinds import RETRIEVAL, TOOL

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ai_dev_squad.adopting.node import Node
    from ai_dev_squad.kinds import Kind
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import Usage

__all__ = ["end", "give_up"]


def give_up(node: Node) -> None:
    """Nothing more will be told of it."""
    if node.operation is not None:
        node.operation.abandon()


def end(node: Node, said: Told, span: ReadableSpan) -> None:
    """The span is over, and so is its operation, unless the answer is still on its way."""
    part_of, operation = node.part_of, node.operation
    if part_of is not None:
        usage = _usage(node, said)
        if usage is not None:
            part_of.usages.append(usage)
    elif operation is not None and operation.status is None:
        if said.kind is not None and said.kind.is_model_call and not operation.kind.is_model_call:
            _add_call(node, said, said.kind, operation)
        _finish(operation, node, said)
    node.is_over, node.usages = True, []


def _add_call(node: Node, said: Told, kind: Kind, step: Operation) -> None:
    """It was taken for a step until it said that it is a model call; unless that was seen otherwise, it is told now."""
    usage = None if node.has_calls else _usage(node, said)
    if usage is not None:
        call = begin(node, said, kind, step)
        call.usage = usage
        call.end_as("ok", duration_ns=_lasted(node.span))


def _finish(operation: Operation, node: Node, said: Told) -> None:
    pipeline, values = operation.pipeline, said.values
    if operation.kind.is_model_call:
        _complete_call(operation, node, said)
    elif operation.kind is TOOL or operation.kind is RETRIEVAL:
        operation.note_arguments(values.get(keys.TOOL_CALL_ARGUMENTS) or values.get(keys.RETRIEVAL_QUERY_TEXT))
        operation.note_result(values.get(keys.TOOL_CALL_RESULT))
    operation.annotate(pipeline.redactor.value(attributes_of(said)))
    operation.annotate(content_of(values, pipeline))
    status, error = outcome_of(node.span, pipeline)
    attempts = operation.attempts
    if status == "ok" and attempts and attempts[-1].is_open:
        outliving.leave_open(operation)  # the span of a stream may end before the stream does
    else:
        operation.end_as(status, error, _lasted(node.span))


def _lasted(span: ReadableSpan) -> int:
    return max(0, (span.end_time or 0) - (span.start_time or 0))


def _complete_call(operation: Operation, node: Node, said: Told) -> None:
    if operation.attempts is None:
        asked = operation.request = request_of(said)
        operation.name = asked.model
        operation.annotate({keys.PROVIDER_NAME: asked.provider})
    if operation.usage is None:
        operation.usage = _usage(node, said)
    operation.output = lambda: answer_of(said.values)
    operation.note_result(said.values.get(keys.OUTPUT_MESSAGES))


def _usage(node: Node, said: Told) -> Usage | None:
    """What the span states, else what those within it do, which tell of the same call."""
    return usage_told(said.values) or summed(node.usages)
