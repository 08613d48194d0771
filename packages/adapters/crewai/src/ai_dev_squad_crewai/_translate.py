"""From CrewAI's objects and events to the core's schema: pure functions, testable without running a crew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai import messages as shapes
from ai_dev_squad.genai import providers, requests
from ai_dev_squad.genai.usage import tier_from, usage_from
from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.schema import Usage

__all__ = [
    "agent_attributes",
    "answer_text",
    "crew_attributes",
    "messages_content",
    "model_attributes",
    "model_request",
    "output_content",
    "response_attributes",
    "role_of",
    "task_attributes",
    "task_name",
    "tool_call_ids",
    "tool_call_key",
    "usage_in",
]

# --- crews, tasks, agents ---------------------------------------------------------------------------------------------


def crew_attributes(crew: Any) -> dict[str, Any]:
    """Attributes of a crew's run."""
    process = getattr(crew, "process", None)
    return {
        "crewai.crew.id": str(crew.id),
        "crewai.crew.process": str(getattr(process, "value", process)),
        "crewai.crew.agents": len(getattr(crew, "agents", None) or ()),
        "crewai.crew.tasks": len(getattr(crew, "tasks", None) or ()),
    }


def task_name(task: Any, crew: Any) -> str:
    """The task's own name; for a nameless task its place in the crew. Its description is content and no name."""
    if name := getattr(task, "name", None):
        return str(name)
    tasks: Sequence[Any] = getattr(crew, "tasks", None) or ()
    return next((f"task {place}" for place, other in enumerate(tasks, 1) if other is task), "task")


def task_attributes(task: Any) -> dict[str, Any]:
    """Attributes of one run of a task."""
    return {"crewai.task.id": str(task.id), "crewai.task.async": bool(getattr(task, "async_execution", False))}


def role_of(agent: Any) -> str:
    """The agent's role as it was written: inputs put into it later are content, and would give it many names."""
    role = getattr(agent, "_original_role", None) or getattr(agent, "role", None) or "agent"
    return str(role).strip()


def agent_attributes(agent: Any) -> dict[str, Any]:
    """Attributes of an agent's run. CrewAI gives its agents a new id in every process, hence not ``gen_ai.agent.id``."""
    return {keys.GEN_AI_AGENT_NAME: role_of(agent), "crewai.agent.id": str(getattr(agent, "id", ""))}


# --- model calls ------------------------------------------------------------------------------------------------------


def model_request(llm: Any, event: Any) -> ModelRequest:
    """What is known of a model call before it's made."""
    provider, model = _provider_and_model(llm, str(getattr(event, "model", None) or "unknown"))
    messages, tools = _messages(getattr(event, "messages", None)), getattr(event, "tools", None)
    of_llm = _fields(llm)
    return requests.model_request(
        model,
        provider,
        _settings(event),
        messages,
        tools,
        of_llm.get("response_format"),
        prompt=lambda: shapes.countable(messages, tools),
        service_tier=tier_from(of_llm.get("additional_params")) or tier_from(of_llm),
    )


def _fields(source: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(source, "__dict__", {})  # asking a pydantic model for what it lacks takes long
    return found


def _provider_and_model(llm: Any, model: str) -> tuple[str, str]:
    provider = str(getattr(llm, "provider", None) or "openai").lower()
    prefix, slash, rest = model.partition("/")
    named = slash and providers.is_known(prefix)
    if named and (getattr(llm, "is_litellm", False) or prefix.lower() == provider):
        provider, model = prefix.lower(), rest
    host = requests.server_attributes(_address(llm)).get(keys.SERVER_ADDRESS)
    if provider == "azure" and host and providers.provider_of_host(host) == "azure.ai.inference":
        return "azure.ai.inference", model
    return providers.provider_behind(providers.convention_name(provider, framework="crewai"), host), model


def _address(llm: Any) -> str:
    fields = _fields(llm)
    for name in ("base_url", "api_base", "endpoint"):
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def model_attributes(llm: Any, event: Any) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    return {**requests.request_attributes(_settings(event)), **requests.server_attributes(_address(llm))}


def _settings(event: Any) -> Mapping[str, Any]:
    """What is set of a request: its event has a field for everything that may be."""
    return {name: value for name, value in _fields(event).items() if value is not None}


def response_attributes(event: Any) -> dict[str, Any]:
    """Response attributes of a finished model call."""
    attributes: dict[str, Any] = {}
    if identity := getattr(event, "response_id", None):
        attributes[keys.RESPONSE_ID] = str(identity)
    if reason := getattr(event, "finish_reason", None):
        attributes[keys.RESPONSE_FINISH_REASONS] = [str(reason)]
    return attributes


def usage_in(event: Any, before: Any, after: Any, **asked: str) -> tuple[Usage | None, bool]:
    """The call's token counts, and whether they had to be read off the model object's running totals.

    CrewAI's event lacks them when a function ran inside the call. The totals grew by this call alone if they counted
    exactly one request. ``asked`` are provider and model, as for ``usage_from``.
    """
    usage = usage_from(getattr(event, "usage", None), **asked)
    if usage is not None or not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return usage, False
    grown = {name: value - before.get(name, 0) for name, value in after.items() if isinstance(value, int)}
    if grown.get("successful_requests") != 1:
        return None, False
    usage = usage_from(grown, **asked)
    return usage, usage is not None


# --- tool calls -------------------------------------------------------------------------------------------------------


def tool_call_key(name: Any, arguments: Any) -> tuple[str, str]:
    """What a tool call looks like to the model and to the tool alike; no event says which belong together."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments else {}
        except ValueError:
            return str(name), arguments
    return str(name), json.dumps(arguments or {}, sort_keys=True, default=str)


def tool_call_ids(response: Any) -> list[tuple[tuple[str, str], str]]:
    """The tool calls that a model asked for, with their ids: OpenAI's, Anthropic's, Gemini's and Responses' shapes."""
    found = []
    for item in response if isinstance(response, list) else ():
        call = _part(item, "function") or item
        name, identity = _part(call, "name"), _part(item, "id", "call_id", "toolUseId")
        if name and identity:
            found.append((tool_call_key(name, _part(call, "arguments", "input", "args")), str(identity)))
    return found


def _part(source: Any, *names: str) -> Any:
    for name in names:
        value = source.get(name) if type(source) is dict else getattr(source, name, None)
        if value is not None:
            return value
    return None


# --- content: read only when captured, or to estimate missing usage ---------------------------------------------------


def _messages(messages: Any) -> list[Any]:
    if messages is None:
        return []
    return list(messages) if isinstance(messages, (list, tuple)) else [messages]


def messages_content(messages: Any) -> list[dict[str, Any]]:
    """Messages in the shape of ``gen_ai.input.messages``: role and parts."""
    return shapes.input_messages(_messages(messages))


def _asks_for_tools(response: Any) -> bool:
    return isinstance(response, list) and bool(tool_call_ids(response))


def output_content(event: Any) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``."""
    response = getattr(event, "response", None)
    if _asks_for_tools(response):
        message = shapes.message({"role": "assistant", "tool_calls": response})
    else:
        message = {"role": "assistant", "parts": [{"type": "text", "content": answer_text(response)}]}
    if reason := getattr(event, "finish_reason", None):
        message["finish_reason"] = str(reason)
    return [message]


def answer_text(response: Any) -> str:
    """The text of the answer, tool calls included, for an estimate of its tokens."""
    if isinstance(response, str):
        return response
    if _asks_for_tools(response):
        return "".join(f"{name}{arguments}" for (name, arguments), _ in tool_call_ids(response))
    return "" if response is None else json.dumps(response, default=str)
