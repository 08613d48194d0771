"""Model calls and tools, from CrewAI's events."""

from __future__ import annotations

import sys
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.content import of_answer, of_prompt
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.genai.usage import cost_from
from ai_dev_squad.refusal import CallRefused
from ai_dev_squad.schema import ErrorInfo
from ai_dev_squad.tool_calls import error_in_words, note_answer, opening_attributes
from ai_dev_squad_crewai import _invocation, _translate
from ai_dev_squad_crewai._invocation import Call
from ai_dev_squad_crewai._refusals import stop
from ai_dev_squad_crewai._sink import fail_with, on

__all__: list[str] = []


# --- model calls ------------------------------------------------------------------------------------------------------


def _call_key(source: Any, event: Any) -> Any:
    return getattr(event, "call_id", None) or id(source)


@on("llm_call_started")
def _model_call_started(source: Any, event: Any) -> None:
    attributes = _translate.model_attributes(source, event)
    attributes.update(of_prompt(lambda: _translate.messages_content(event.messages)))
    request = _translate.model_request(source, event)
    call = _invocation.begin(
        "model call", _call_key(source, event), operations.CHAT, request.model, attributes=attributes, request=request
    )
    totals = getattr(source, "_token_usage", None)
    call.counter = dict(totals) if isinstance(totals, dict) else None
    try:
        call.operation.reserve()
    except CallRefused as refusal:
        _invocation.end(call, "error", refusal)
        raise stop(refusal) from None


@on("llm_stream_chunk", "llm_thinking_chunk")
def _model_call_streams(source: Any, event: Any) -> None:
    call = Call.last()
    key = _call_key(source, event)
    if call is None or call.key != key:
        call = _invocation.find("model call", key)
    if call is not None:
        call.operation.first_chunk()


@on("llm_call_completed")
def _model_call_completed(source: Any, event: Any) -> None:
    call = _invocation.find("model call", _call_key(source, event))
    if call is None:
        return
    operation = call.operation
    try:
        request = operation.request
        asked = {} if request is None else {"provider": request.provider, "model": request.model}
        totals = getattr(source, "_token_usage", None)
        usage, from_totals = _translate.usage_in(event, call.counter, totals, **asked)
        if usage is not None:  # else a stream may have left it with the operation already
            operation.usage = usage
        operation.reported_usd = cost_from(getattr(event, "usage", None))
        operation.output = lambda: _translate.answer_text(event.response)
        operation.note_result(event.response, _translate.answer_text)
        attributes = _translate.response_attributes(event)
        if from_totals:
            attributes["crewai.usage.from_totals"] = True
        attributes.update(of_answer(lambda: _translate.output_content(event)))
        operation.annotate(attributes)
    finally:
        _invocation.end(call)
    _remember_tool_calls(call, event.response)
    if call.parent is not None:
        call.parent.unknown_tool = None


def _remember_tool_calls(call: Call, response: Any) -> None:
    """The agent's next tools are those the model asked for; their events don't carry the ids."""
    asked = _translate.tool_call_ids(response)
    if asked and call.parent is not None:
        call.parent.tool_calls = {}
        for key, identity in asked:
            call.parent.tool_calls.setdefault(key, []).append(identity)


@on("llm_call_failed")
def _model_call_failed(source: Any, event: Any) -> None:
    # Some providers report one failure twice; the second finds nothing open.
    fail_with(_invocation.find("model call", _call_key(source, event)), event)


# --- tools ------------------------------------------------------------------------------------------------------------


@on("tool_usage_started")
def _tool_started(source: Any, event: Any) -> None:
    outer, call_id = Call.current(), None
    if outer is not None and outer.tool_calls:
        waiting = outer.tool_calls.get(_translate.tool_call_key(event.tool_name, event.tool_args))
        if waiting:
            call_id = waiting.pop(0)
    attributes = opening_attributes(event.tool_args, call_id)
    call = _invocation.begin("tool", event.tool_name, operations.TOOL, event.tool_name, attributes=attributes)
    call.operation.note_arguments(event.tool_args)
    try:
        call.operation.admit()
    except CallRefused as refusal:
        _invocation.end(call, "error", refusal)
        raise stop(refusal) from None


@on("tool_usage_finished")
def _tool_finished(source: Any, event: Any) -> None:
    call = _invocation.find("tool", event.tool_name)
    if call is None:
        return
    note_answer(call.operation, event.output)
    if getattr(event, "from_cache", False):
        call.operation.annotate({"crewai.tool.from_cache": True})
    failure = getattr(event, "failure", None)
    if failure is None:
        _invocation.end(call)
        return
    # The failure became a message for the model: the run goes on, but this tool call failed.
    reason = getattr(failure, "reason", None)
    kind = str(getattr(reason, "value", reason) or "tool_error")
    _invocation.end(call, "error", error_in_words(kind, str(getattr(failure, "message", ""))))


@on("tool_usage_error")
def _tool_failed(source: Any, event: Any) -> None:
    call = _invocation.find("tool", event.tool_name)
    if call is None:
        return
    error = event.error if isinstance(event.error, BaseException) else sys.exc_info()[1]
    if error is None:
        _invocation.end(call, "error", error_in_words("tool_error", str(event.error)))
    else:
        _invocation.end(call, classify(error), error)


@on("tool_selection_error")
def _tool_unknown(source: Any, event: Any) -> None:
    """An agent that writes its tool calls as text named a tool that isn't there; CrewAI looks for it several times."""
    outer = Call.current()
    name = str(event.tool_name)
    if outer is None or outer.unknown_tool == name:
        return
    outer.unknown_tool = name
    call = _invocation.begin("tool", name, operations.TOOL, name, attributes={keys.TOOL_TYPE: "function"})
    call.operation.note_arguments(None)
    call.operation.note_result("unknown_tool")
    _invocation.end(call, "error", ErrorInfo(type="unknown_tool"))
