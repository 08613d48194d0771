"""The seam: CrewAI's events, as they are emitted, become operations.

CrewAI calls the sink synchronously and in order, in the context of the code that emits. What the sink raises would reach
that code; the only thing that may is the refusal of a model call by a budget.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import openai_usage, operations, runtime
from ai_dev_squad.costs import BudgetExceeded
from ai_dev_squad.guard import report
from ai_dev_squad.operations import Kind
from ai_dev_squad.schema import ErrorInfo, EventType, Status
from ai_dev_squad.tracing.errors import classify
from ai_dev_squad_crewai import _records, _resume, _translate
from ai_dev_squad_crewai._budget import BudgetStop
from ai_dev_squad_crewai._records import Record

__all__ = ["is_internal", "outcome", "sink"]

_Handler = Callable[[Any, Any], None]
_handlers: dict[str, _Handler] = {}


def sink(source: Any, event: Any) -> None:
    """Take one event."""
    handle = _handlers.get(event.type)
    if handle is None:
        return
    try:
        handle(source, event)
    except BudgetStop:
        raise
    except Exception as error:  # noqa: BLE001 - the user's program comes first
        report("observing a CrewAI event", error)


def _on(*event_types: str) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        for event_type in event_types:
            _handlers[event_type] = handler
        return handler

    return register


def outcome(error: BaseException) -> Status:
    """How an operation ends that ``error`` left."""
    return classify(error)


def is_internal(flow: Any) -> bool:
    """Whether a flow is part of CrewAI's own machinery: its agents and its memory run on flows, too."""
    cls = type(flow)
    return bool(getattr(cls, "is_crewai_internal", False)) or cls.__module__.startswith(
        ("crewai.agents.", "crewai.memory.", "crewai.experimental.", "crewai.lite_agent")
    )


def _error_of(event: Any) -> BaseException | ErrorInfo:
    """The live exception: failures are reported where it's handled. Without one, what the event tells."""
    error = sys.exc_info()[1] or getattr(event, "error", None)
    if isinstance(error, BaseException):
        return error
    kind = getattr(event, "error_type", None)
    name = getattr(kind, "__qualname__", None) or (str(kind) if kind else "_OTHER")
    return ErrorInfo(type=name, message=runtime.pipeline().redactor.text(str(error or "")))


def _fail(record: Record | None, event: Any) -> None:
    if record is None:
        return
    error = _error_of(event)
    _records.end(record, outcome(error) if isinstance(error, BaseException) else "error", error)


def _captured(**content: Any) -> dict[str, Any] | None:
    """Attributes with content, redacted, where content is captured."""
    pipeline = runtime.pipeline()
    return pipeline.redactor.value(content) if pipeline.capture_content else None


# --- tasks and agents -------------------------------------------------------------------------------------------------


def _crew_here() -> Any:
    record = _records.enclosing("crew")
    return None if record is None else record.owner


@_on("task_started")
def _task_started(source: Any, event: Any) -> None:
    task = getattr(event, "task", None) or source
    current = _records.innermost()
    if current is not None and current.kind == "task" and current.owner is task:
        return  # the entry point opened it
    attributes = _translate.task_attributes(task)
    if content := _captured(**{"crewai.task.description": task.description}):
        attributes.update(content)
    _records.begin("task", id(task), operations.TASK, _translate.task_name(task, _crew_here()), attributes=attributes)


@_on("task_completed")
def _task_completed(source: Any, event: Any) -> None:
    task = getattr(event, "task", None) or source
    record = _records.find("task", id(task))
    if record is None:
        return
    if content := _captured(**{"crewai.task.output": getattr(event.output, "raw", None)}):
        record.operation.annotate(content)
    if record.owner is None:
        _records.end(record)


@_on("task_failed")
def _task_failed(source: Any, event: Any) -> None:
    task = getattr(event, "task", None) or source
    record = _records.find("task", id(task))
    if record is not None and record.owner is None:
        _fail(record, event)


@_on("agent_execution_started")
def _agent_started(source: Any, event: Any) -> None:
    agent, task = event.agent, event.task
    outer = _records.innermost()
    key = (id(agent), id(task))
    attempt = 1
    if outer is not None:
        attempts = outer.attempts = outer.attempts or {}
        attempt = attempts[key] = attempts.get(key, 0) + 1
    role = _translate.role_of(agent)
    _records.begin(
        "agent",
        key,
        operations.AGENT,
        role,
        attributes=_translate.agent_attributes(agent),
        agent_id=role,
        attempt=attempt,
    )


@_on("agent_execution_completed")
def _agent_completed(source: Any, event: Any) -> None:
    record = _records.find("agent", (id(event.agent), id(event.task)))
    if record is not None:
        _records.end(record)


@_on("agent_execution_error")
def _agent_failed(source: Any, event: Any) -> None:
    _fail(_records.find("agent", (id(event.agent), id(event.task))), event)


@_on("lite_agent_execution_started")
def _lite_agent_started(source: Any, event: Any) -> None:
    current = _records.innermost()
    if current is not None and current.kind == "lone agent" and current.owner is source:
        return  # the entry point opened it
    role = str(event.agent_info.get("role") or "agent").strip()
    _records.begin("lite agent", str(event.agent_info.get("id")), operations.AGENT, role, agent_id=role)


@_on("lite_agent_execution_completed")
def _lite_agent_completed(source: Any, event: Any) -> None:
    record = _records.find("lite agent", str(event.agent_info.get("id")))
    if record is not None:
        _records.end(record)


@_on("lite_agent_execution_error")
def _lite_agent_failed(source: Any, event: Any) -> None:
    _fail(_records.find("lite agent", str(event.agent_info.get("id"))), event)


# --- model calls ------------------------------------------------------------------------------------------------------


def _call_key(source: Any, event: Any) -> Any:
    return getattr(event, "call_id", None) or id(source)


@_on("llm_call_started")
def _model_call_started(source: Any, event: Any) -> None:
    openai_usage.install()
    attributes = _translate.model_attributes(source, event)
    if content := _captured(**{keys.INPUT_MESSAGES: _translate.messages_content(event.messages)}):
        attributes.update(content)
    request = _translate.model_request(source, event)
    record = _records.begin(
        "model call", _call_key(source, event), operations.CHAT, request.model, attributes=attributes, request=request
    )
    totals = getattr(source, "_token_usage", None)
    record.counter = dict(totals) if isinstance(totals, dict) else None
    try:
        record.operation.reserve()
    except BudgetExceeded as refusal:
        _records.end(record, "error", refusal)
        raise BudgetStop.of(refusal) from None


@_on("llm_stream_chunk", "llm_thinking_chunk")
def _model_call_streams(source: Any, event: Any) -> None:
    record = _records.latest()
    key = _call_key(source, event)
    if record is None or record.key != key:
        record = _records.find("model call", key)
    if record is not None:
        record.operation.first_chunk()


@_on("llm_call_completed")
def _model_call_completed(source: Any, event: Any) -> None:
    record = _records.find("model call", _call_key(source, event))
    if record is None:
        return
    operation = record.operation
    try:
        usage, from_totals = _translate.usage_in(event, record.counter, getattr(source, "_token_usage", None))
        if usage is not None:  # else a stream may have left it with the operation already
            operation.usage = usage
        operation.output = lambda: _translate.answer_text(event.response)
        attributes = _translate.response_attributes(event)
        if from_totals:
            attributes["crewai.usage.from_totals"] = True
        if content := _captured(**{keys.OUTPUT_MESSAGES: _translate.output_content(event)}):
            attributes.update(content)
        operation.annotate(attributes)
    finally:
        _records.end(record)
    _remember_tool_calls(record, event.response)
    if record.outer is not None:
        record.outer.unknown_tool = None


def _remember_tool_calls(record: Record, response: Any) -> None:
    """The agent's next tools are those the model asked for; their events don't carry the ids."""
    asked = _translate.tool_call_ids(response)
    if asked and record.outer is not None:
        record.outer.tool_calls = {}
        for key, identity in asked:
            record.outer.tool_calls.setdefault(key, []).append(identity)


@_on("llm_call_failed")
def _model_call_failed(source: Any, event: Any) -> None:
    # Some providers report one failure twice; the second finds nothing open.
    _fail(_records.find("model call", _call_key(source, event)), event)


# --- tools ------------------------------------------------------------------------------------------------------------


@_on("tool_usage_started")
def _tool_started(source: Any, event: Any) -> None:
    attributes: dict[str, Any] = {keys.TOOL_TYPE: "function"}
    outer = _records.innermost()
    if outer is not None and outer.tool_calls:
        waiting = outer.tool_calls.get(_translate.tool_call_key(event.tool_name, event.tool_args))
        if waiting:
            attributes[keys.TOOL_CALL_ID] = waiting.pop(0)
    if content := _captured(**{keys.TOOL_CALL_ARGUMENTS: event.tool_args}):
        attributes.update(content)
    _records.begin("tool", event.tool_name, operations.TOOL, event.tool_name, attributes=attributes)


@_on("tool_usage_finished")
def _tool_finished(source: Any, event: Any) -> None:
    record = _records.find("tool", event.tool_name)
    if record is None:
        return
    attributes: dict[str, Any] = {}
    if getattr(event, "from_cache", False):
        attributes["crewai.tool.from_cache"] = True
    if content := _captured(**{keys.TOOL_CALL_RESULT: event.output}):
        attributes.update(content)
    if attributes:
        record.operation.annotate(attributes)
    failure = getattr(event, "failure", None)
    if failure is None:
        _records.end(record)
        return
    # The failure became a message for the model: the run goes on, but this tool call failed.
    reason = getattr(failure, "reason", None)
    pipeline = runtime.pipeline()
    text = pipeline.redactor.text(str(getattr(failure, "message", ""))) if pipeline.capture_content else ""
    _records.end(record, "error", ErrorInfo(type=str(getattr(reason, "value", reason) or "tool_error"), message=text))


@_on("tool_usage_error")
def _tool_failed(source: Any, event: Any) -> None:
    record = _records.find("tool", event.tool_name)
    if record is None:
        return
    error = event.error if isinstance(event.error, BaseException) else sys.exc_info()[1]
    if error is None:
        pipeline = runtime.pipeline()
        text = pipeline.redactor.text(str(event.error)) if pipeline.capture_content else ""
        _records.end(record, "error", ErrorInfo(type="tool_error", message=text))
    else:
        _records.end(record, outcome(error), error)


@_on("tool_selection_error")
def _tool_unknown(source: Any, event: Any) -> None:
    """An agent that writes its tool calls as text named a tool that isn't there; CrewAI looks for it several times."""
    outer = _records.innermost()
    name = str(event.tool_name)
    if outer is None or outer.unknown_tool == name:
        return
    outer.unknown_tool = name
    record = _records.begin("tool", name, operations.TOOL, name, attributes={keys.TOOL_TYPE: "function"})
    _records.end(record, "error", ErrorInfo(type="unknown_tool"))


# --- flows ------------------------------------------------------------------------------------------------------------


@_on("method_execution_started")
def _method_started(source: Any, event: Any) -> None:
    if not is_internal(source):
        name = str(event.method_name)
        _records.begin("method", (id(source), name), operations.TASK, name)


@_on("method_execution_finished")
def _method_finished(source: Any, event: Any) -> None:
    record = _records.find("method", (id(source), str(event.method_name)))
    if record is not None:
        _records.end(record)


@_on("method_execution_failed")
def _method_failed(source: Any, event: Any) -> None:
    _fail(_records.find("method", (id(source), str(event.method_name))), event)


@_on("method_execution_paused")
def _method_paused(source: Any, event: Any) -> None:
    record = _records.find("method", (id(source), str(event.method_name)))
    if record is not None:
        _records.end(record, "interrupted")


@_on("flow_paused")
def _flow_paused(source: Any, event: Any) -> None:
    record = _records.find("flow", id(source))
    if record is not None:
        record.status = "interrupted"
        _resume.paused(record, str(event.flow_id), event)


# --- what agents do besides: guardrails, plans, memory, knowledge, MCP ------------------------------------------------


@_on("llm_guardrail_started")
def _guardrail_started(source: Any, event: Any) -> None:
    attributes = {
        "crewai.guardrail.type": getattr(event, "guardrail_type", None),
        "crewai.guardrail.retry_count": getattr(event, "retry_count", None),
    }
    _records.begin("guardrail", id(source), operations.TASK, "guardrail", attributes=attributes)


@_on("llm_guardrail_completed")
def _guardrail_completed(source: Any, event: Any) -> None:
    record = _records.find("guardrail", id(source))
    if record is None:
        return
    record.operation.annotate({"crewai.guardrail.success": bool(event.success)})
    if not event.success:
        # The guardrail did its work; what it found is no failure of it.
        content = _captured(error=event.error)
        record.operation.event(EventType.SAFETY_VIOLATION, "guardrail rejected an answer", content)
    error = sys.exc_info()[1]
    if error is None:
        _records.end(record)
    else:
        _records.end(record, outcome(error), error)


def _aside(started: str, ended: tuple[str, ...], failed: tuple[str, ...], kind: Kind, name: str) -> None:
    """Something with a start and an end of which only its place and its time are told."""

    def start(source: Any, event: Any) -> None:
        attributes = None
        if kind is operations.RETRIEVAL and (query := getattr(event, "query", None)):
            attributes = _captured(**{keys.RETRIEVAL_QUERY_TEXT: query})
        _records.begin(started, id(source), kind, name, attributes=attributes)

    def stop(source: Any, event: Any) -> None:
        record = _records.find(started, id(source))
        if record is not None:
            _records.end(record)

    def fail(source: Any, event: Any) -> None:
        _fail(_records.find(started, id(source)), event)

    _on(started)(start)
    _on(*ended)(stop)
    _on(*failed)(fail)


_aside(
    "agent_reasoning_started",
    ("agent_reasoning_completed",),
    ("agent_reasoning_failed",),
    operations.TASK,
    "reasoning",
)
_aside("memory_query_started", ("memory_query_completed",), ("memory_query_failed",), operations.RETRIEVAL, "memory")
_aside("memory_save_started", ("memory_save_completed",), ("memory_save_failed",), operations.TASK, "save to memory")
_aside(
    "knowledge_search_query_started",
    ("knowledge_search_query_completed",),
    ("knowledge_search_query_failed",),
    operations.RETRIEVAL,
    "knowledge",
)


@_on("mcp_tool_execution_started")
def _mcp_tool_started(source: Any, event: Any) -> None:
    """The tool's own operation learns which server runs it."""
    record = _records.enclosing("tool")
    if record is not None:
        record.operation.annotate(_mcp_server(event))


@_on("mcp_connection_completed", "mcp_connection_failed")
def _mcp_connection(source: Any, event: Any) -> None:
    record = _records.innermost()
    if record is not None:
        failed = event.type.endswith("failed")
        details = {**_mcp_server(event), "failed": failed}
        if failed:
            details["error"] = runtime.pipeline().redactor.text(str(event.error))
        name = "failed to connect to" if failed else "connected to"
        record.operation.event(EventType.CUSTOM_EVENT, f"{name} an MCP server", details)


def _mcp_server(event: Any) -> dict[str, Any]:
    return runtime.pipeline().redactor.value(
        {
            "mcp.server.name": event.server_name,
            "mcp.transport": getattr(event, "transport_type", None),
        }
    )
