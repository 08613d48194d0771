"""From CrewAI's objects and events to the core's schema: pure functions, testable without running a crew."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.usage import usage_from
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

# CrewAI's provider names, and LiteLLM's prefixes, to `gen_ai.provider.name`; other names pass through.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "claude": "anthropic",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
# What stands before the slash of a model name in LiteLLM's notation.
_PREFIXES = frozenset(
    {
        *_PROVIDERS,
        "anthropic",
        "cerebras",
        "cohere",
        "dashscope",
        "deepseek",
        "fireworks_ai",
        "groq",
        "hosted_vllm",
        "huggingface",
        "nvidia_nim",
        "ollama",
        "ollama_chat",
        "openai",
        "openrouter",
        "perplexity",
        "sambanova",
        "snowflake",
        "together_ai",
    }
)
_AZURE_INFERENCE_HOSTS = ("models.ai.azure.com", "services.ai.azure.com", "inference.ai.azure.com")

_REQUEST_KEYS = {
    "temperature": keys.REQUEST_TEMPERATURE,
    "top_p": keys.REQUEST_TOP_P,
    "max_tokens": keys.REQUEST_MAX_TOKENS,
    "seed": keys.REQUEST_SEED,
    "frequency_penalty": keys.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": keys.REQUEST_PRESENCE_PENALTY,
}


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
    limit = getattr(event, "max_tokens", None)
    messages = getattr(event, "messages", None)
    return ModelRequest(
        model=model,
        provider=provider,
        prompt=lambda: [(_role(message), _text(message)) for message in _messages(messages)],
        max_output_tokens=int(limit) if isinstance(limit, (int, float)) and 0 < limit < 2**53 else None,
        prompt_hash=_prompt_hash(messages),
    )


def _provider_and_model(llm: Any, model: str) -> tuple[str, str]:
    provider = str(getattr(llm, "provider", None) or "openai").lower()
    prefix, slash, rest = model.partition("/")
    if slash and prefix.lower() in _PREFIXES and (getattr(llm, "is_litellm", False) or prefix.lower() == provider):
        provider, model = prefix.lower(), rest
    if provider == "azure" and any(host in _address(llm) for host in _AZURE_INFERENCE_HOSTS):
        return "azure.ai.inference", model
    return _PROVIDERS.get(provider, provider), model


def _address(llm: Any) -> str:
    fields = getattr(llm, "__dict__", {})  # asking a pydantic model for what it lacks takes long
    for name in ("base_url", "api_base", "endpoint"):
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


@functools.lru_cache(maxsize=256)
def _server(address: str) -> dict[str, Any]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:  # not an address
        return {}
    if not host:
        return {}
    return {keys.SERVER_ADDRESS: host, keys.SERVER_PORT: port or (443 if parts.scheme == "https" else 80)}


def _prompt_hash(messages: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for message in _messages(messages):
        digest.update(f"{_role(message)}\x1f{_text(message)}\x1e".encode("utf-8", "replace"))
    return digest.hexdigest()


def model_attributes(llm: Any, event: Any) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    attributes = {
        attribute: value
        for name, attribute in _REQUEST_KEYS.items()
        if (value := getattr(event, name, None)) is not None
    }
    if stop := getattr(event, "stop_sequences", None):
        attributes[keys.REQUEST_STOP_SEQUENCES] = [str(item) for item in stop]
    choices = getattr(event, "n", None)
    if isinstance(choices, int) and choices != 1:
        attributes[keys.REQUEST_CHOICE_COUNT] = choices
    if getattr(event, "stream", None):
        attributes[keys.REQUEST_STREAM] = True
    attributes.update(_server(_address(llm)))
    return attributes


def response_attributes(event: Any) -> dict[str, Any]:
    """Response attributes of a finished model call."""
    attributes: dict[str, Any] = {}
    if identity := getattr(event, "response_id", None):
        attributes[keys.RESPONSE_ID] = str(identity)
    if reason := getattr(event, "finish_reason", None):
        attributes[keys.RESPONSE_FINISH_REASONS] = [str(reason)]
    return attributes


def usage_in(event: Any, before: Any, after: Any) -> tuple[Usage | None, bool]:
    """The call's token counts, and whether they had to be read off the model object's running totals.

    CrewAI's event lacks them when a function ran inside the call. The totals grew by this call alone if they counted
    exactly one request.
    """
    usage = usage_from(getattr(event, "usage", None))
    if usage is not None or not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return usage, False
    grown = {name: value - before.get(name, 0) for name, value in after.items() if isinstance(value, int)}
    if grown.get("successful_requests") != 1:
        return None, False
    usage = usage_from(grown)
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


def _role(message: Any) -> str:
    return str(message.get("role", "user")) if isinstance(message, dict) else "user"


def _text(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return "".join(str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content)
    return "" if content is None else str(content)


def messages_content(messages: Any) -> list[dict[str, Any]]:
    """Messages in the shape of ``gen_ai.input.messages``: role and parts."""
    return [_as_message(message) for message in _messages(messages)]


def _as_message(message: Any) -> dict[str, Any]:
    role, text = _role(message), _text(message)
    if role == "tool":
        return {
            "role": role,
            "parts": [{"type": "tool_call_response", "id": message.get("tool_call_id"), "response": text}],
        }
    parts: list[dict[str, Any]] = [{"type": "text", "content": text}] if text else []
    if isinstance(message, dict):
        parts.extend(_tool_call_parts(message.get("tool_calls")))
    return {"role": role, "parts": parts}


def _tool_call_parts(calls: Any) -> list[dict[str, Any]]:
    parts = []
    for item in calls or ():
        call = _part(item, "function") or item
        parts.append(
            {
                "type": "tool_call",
                "id": _part(item, "id", "call_id", "toolUseId"),
                "name": _part(call, "name"),
                "arguments": _part(call, "arguments", "input", "args"),
            }
        )
    return parts


def _asks_for_tools(response: Any) -> bool:
    return isinstance(response, list) and bool(tool_call_ids(response))


def output_content(event: Any) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``."""
    response = getattr(event, "response", None)
    parts = (
        _tool_call_parts(response)
        if _asks_for_tools(response)
        else [{"type": "text", "content": answer_text(response)}]
    )
    message: dict[str, Any] = {"role": "assistant", "parts": parts}
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
