"""Tasks, agents, flows, and what agents do besides, from CrewAI's events."""

from __future__ import annotations

import sys
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.content import captured
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.operations import Kind
from ai_dev_squad.schema import EventType
from ai_dev_squad_crewai import _invocation, _resume, _translate
from ai_dev_squad_crewai._invocation import Call
from ai_dev_squad_crewai._sink import fail_with, is_internal, on, redacted

__all__: list[str] = []


# --- tasks and agents -------------------------------------------------------------------------------------------------


def _crew_here() -> Any:
    call = _invocation.enclosing("crew")
    return None if call is None else call.owner


@on("task_started")
def _task_started(source: Any, event: Any) -> None:
    task = getattr(event, "task", None) or source
    current = Call.current()
    if current is not None and current.kind == "task" and current.owner is task:
        return  # the entry point opened it
    attributes = _translate.task_attributes(task)
    attributes.update(captured(lambda: {"crewai.task.description": task.description}))
    _invocation.begin(
        "task", id(task), operations.TASK, _translate.task_name(task, _crew_here()), attributes=attributes
    )


@on("task_completed")
def _task_completed(source: Any, event: Any) -> None:
    task = getattr(event, "task", None) or source
    call = _invocation.find("task", id(task))
    if call is None:
        return
    call.operation.annotate(captured(lambda: {"crewai.task.output": getattr(event.output, "raw", None)}))
    if call.owner is None:
        _invocation.end(call)


@on("task_failed")
def _task_failed(source: Any, event: Any) -> None:
    task = getattr(event, "task", None) or source
    call = _invocation.find("task", id(task))
    if call is not None and call.owner is None:
        fail_with(call, event)


@on("agent_execution_started")
def _agent_started(source: Any, event: Any) -> None:
    agent, task = event.agent, event.task
    outer = Call.current()
    key = (id(agent), id(task))
    attempt = 1
    if outer is not None:
        attempts = outer.attempts = outer.attempts or {}
        attempt = attempts[key] = attempts.get(key, 0) + 1
    role = _translate.role_of(agent)
    _invocation.begin(
        "agent",
        key,
        operations.AGENT,
        role,
        attributes=_translate.agent_attributes(agent),
        agent_id=role,
        attempt=attempt,
    )


@on("agent_execution_completed")
def _agent_completed(source: Any, event: Any) -> None:
    call = _invocation.find("agent", (id(event.agent), id(event.task)))
    if call is not None:
        _invocation.end(call)


@on("agent_execution_error")
def _agent_failed(source: Any, event: Any) -> None:
    fail_with(_invocation.find("agent", (id(event.agent), id(event.task))), event)


@on("lite_agent_execution_started")
def _lite_agent_started(source: Any, event: Any) -> None:
    current = Call.current()
    if current is not None and current.kind == "lone agent" and current.owner is source:
        return  # the entry point opened it
    role = str(event.agent_info.get("role") or "agent").strip()
    _invocation.begin("lite agent", str(event.agent_info.get("id")), operations.AGENT, role, agent_id=role)


@on("lite_agent_execution_completed")
def _lite_agent_completed(source: Any, event: Any) -> None:
    call = _invocation.find("lite agent", str(event.agent_info.get("id")))
    if call is not None:
        _invocation.end(call)


@on("lite_agent_execution_error")
def _lite_agent_failed(source: Any, event: Any) -> None:
    fail_with(_invocation.find("lite agent", str(event.agent_info.get("id"))), event)


# --- flows ------------------------------------------------------------------------------------------------------------


@on("method_execution_started")
def _method_started(source: Any, event: Any) -> None:
    if not is_internal(source):
        name = str(event.method_name)
        _invocation.begin("method", (id(source), name), operations.TASK, name)


@on("method_execution_finished")
def _method_finished(source: Any, event: Any) -> None:
    call = _invocation.find("method", (id(source), str(event.method_name)))
    if call is not None:
        _invocation.end(call)


@on("method_execution_failed")
def _method_failed(source: Any, event: Any) -> None:
    fail_with(_invocation.find("method", (id(source), str(event.method_name))), event)


@on("method_execution_paused")
def _method_paused(source: Any, event: Any) -> None:
    call = _invocation.find("method", (id(source), str(event.method_name)))
    if call is not None:
        _invocation.end(call, "interrupted")


@on("flow_paused")
def _flow_paused(source: Any, event: Any) -> None:
    call = _invocation.find("flow", id(source))
    if call is not None:
        call.status = "interrupted"
        _resume.paused(call, str(event.flow_id), event)


# --- what agents do besides: guardrails, plans, memory, knowledge, MCP ------------------------------------------------


@on("llm_guardrail_started")
def _guardrail_started(source: Any, event: Any) -> None:
    attributes = {
        "crewai.guardrail.type": getattr(event, "guardrail_type", None),
        "crewai.guardrail.retry_count": getattr(event, "retry_count", None),
    }
    _invocation.begin("guardrail", id(source), operations.TASK, "guardrail", attributes=attributes)


@on("llm_guardrail_completed")
def _guardrail_completed(source: Any, event: Any) -> None:
    call = _invocation.find("guardrail", id(source))
    if call is None:
        return
    call.operation.annotate({"crewai.guardrail.success": bool(event.success)})
    if not event.success:
        # The guardrail did its work; what it found is no failure of it.
        content = captured(lambda: {"error": event.error})
        call.operation.event(EventType.SAFETY_VIOLATION, "guardrail rejected an answer", content or None)
    error = sys.exc_info()[1]
    if error is None:
        _invocation.end(call)
    else:
        _invocation.end(call, classify(error), error)


def _aside(started: str, ended: tuple[str, ...], failed: tuple[str, ...], kind: Kind, name: str) -> None:
    """Something with a start and an end of which only its place and its time are told."""

    def start(source: Any, event: Any) -> None:
        attributes = None
        if query := getattr(event, "query", None):
            attributes = captured(lambda: {keys.RETRIEVAL_QUERY_TEXT: query})
        _invocation.begin(started, id(source), kind, name, attributes=attributes)

    def stop(source: Any, event: Any) -> None:
        call = _invocation.find(started, id(source))
        if call is not None:
            _invocation.end(call)

    def fail(source: Any, event: Any) -> None:
        fail_with(_invocation.find(started, id(source)), event)

    on(started)(start)
    on(*ended)(stop)
    on(*failed)(fail)


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


@on("mcp_tool_execution_started")
def _mcp_tool_started(source: Any, event: Any) -> None:
    """The tool's own operation learns which server runs it."""
    call = _invocation.enclosing("tool")
    if call is not None:
        call.operation.annotate(_mcp_server(event))


@on("mcp_connection_completed", "mcp_connection_failed")
def _mcp_connection(source: Any, event: Any) -> None:
    call = Call.current()
    if call is not None:
        failed = event.type.endswith("failed")
        details = {**_mcp_server(event), "failed": failed}
        if failed:
            details.update(redacted({"error": str(event.error)}))
        name = "failed to connect to" if failed else "connected to"
        call.operation.event(EventType.CUSTOM_EVENT, f"{name} an MCP server", details)


def _mcp_server(event: Any) -> dict[str, Any]:
    return redacted({"mcp.server.name": event.server_name, "mcp.transport": getattr(event, "transport_type", None)})
