"""From AutoGen's objects to the core's schema: pure functions, testable without running a team."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import HandoffMessage

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.usage import usage_from
from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.schema import ErrorInfo, Usage

__all__ = [
    "answer_content",
    "answer_text",
    "is_text_of",
    "messages_content",
    "model_attributes",
    "model_request",
    "response_attributes",
    "stop_source",
    "team_error",
    "tool_result_text",
    "usage_of",
    "waits_for",
]

# Module of the client's class, or the beginning of the model's name, to `gen_ai.provider.name`.
_PROVIDERS = {
    "anthropic_bedrock": "aws.bedrock",
    "azure_ai": "azure.ai.inference",
    "azureopenai": "azure.ai.openai",
    "openai": "openai",
    "anthropic": "anthropic",
    "ollama": "ollama",
    "llama_cpp": "llama_cpp",
}
_MODELS_OF = {"gemini-": "gcp.gemini", "claude-": "anthropic"}

_REQUEST_KEYS = {
    "temperature": keys.REQUEST_TEMPERATURE,
    "top_p": keys.REQUEST_TOP_P,
    "top_k": keys.REQUEST_TOP_K,
    "max_tokens": keys.REQUEST_MAX_TOKENS,
    "max_completion_tokens": keys.REQUEST_MAX_TOKENS,
    "seed": keys.REQUEST_SEED,
    "frequency_penalty": keys.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": keys.REQUEST_PRESENCE_PENALTY,
    "reasoning_effort": keys.REQUEST_REASONING_LEVEL,
}

_TEAM_ERROR = re.compile(r"([A-Za-z_]\w*): ")
_MAX_TURNS = "Maximum number of turns "


# --- teams ------------------------------------------------------------------------------------------------------------


def stop_source(source: str, content: str, manager: str | None) -> str:
    """Which termination condition stopped a team: its class, several joined by ``", "``; ``max_turns`` for the limit."""
    return "max_turns" if source == manager and content.startswith(_MAX_TURNS) else source


def waits_for(result: TaskResult, participants: Sequence[str]) -> str | None:
    """Whom a team waits for that ended by handing over to somebody outside, usually a person; else ``None``."""
    last = result.messages[-1] if result.messages else None
    return last.target if isinstance(last, HandoffMessage) and last.target not in participants else None


def is_text_of(error: BaseException, original: BaseException) -> bool:
    """Whether a team's ``RuntimeError`` is ``original`` in words: a team keeps only the text of what its agents raise."""
    text, name = str(error), type(original).__name__
    return type(error) is RuntimeError and text.startswith(f"{name}: {original}"[:500])


def team_error(error: BaseException) -> ErrorInfo | None:
    """What a team's ``RuntimeError`` says went wrong, without the traceback in its text; ``None`` for other errors."""
    text, found, _ = str(error).partition("\nTraceback:\n")
    name = _TEAM_ERROR.match(text)
    if type(error) is not RuntimeError or not found or name is None:
        return None
    return ErrorInfo(type=name[1], message=text[name.end() :])


# --- model calls ------------------------------------------------------------------------------------------------------


def model_request(client: Any, messages: Sequence[Any], more: Mapping[str, Any]) -> ModelRequest:
    """What is known of a model call before it's made. ``more`` are the arguments of this call alone."""
    settings = _settings(client)
    model = str(more.get("model") or settings.get("model") or "unknown")
    limits = (arguments.get(key) for arguments in (more, settings) for key in ("max_tokens", "max_completion_tokens"))
    return ModelRequest(
        model=model,
        provider=_provider(client, model),
        prompt=lambda: [(_role(message), _text(message)) for message in messages],
        max_output_tokens=next((limit for limit in limits if isinstance(limit, int)), None),
        prompt_hash=_prompt_hash(messages),
    )


def _innermost(client: Any) -> Any:
    """The client that asks, below those that keep answers."""
    while (inner := getattr(client, "client", None)) is not None and hasattr(inner, "create_stream"):
        client = inner
    return client


def _settings(client: Any) -> Mapping[str, Any]:
    found = getattr(_innermost(client), "_create_args", None)
    return found if isinstance(found, Mapping) else {}


def _provider(client: Any, model: str) -> str:
    cls = type(_innermost(client))
    for beginning, provider in _MODELS_OF.items():
        if model.startswith(beginning) and "OpenAI" in cls.__name__:
            return provider  # through an endpoint that speaks OpenAI's language
    if cls.__name__.startswith("AnthropicBedrock"):
        return "aws.bedrock"
    if cls.__name__.startswith("AzureOpenAI"):
        return "azure.ai.openai"
    module = cls.__module__.lower()
    return next((provider for part, provider in _PROVIDERS.items() if part in module), "unknown")


def _prompt_hash(messages: Sequence[Any]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for message in messages:
        digest.update(f"{_role(message)}\x1f{_text(message)}\x1e".encode("utf-8", "replace"))
    return digest.hexdigest()


def model_attributes(client: Any, more: Mapping[str, Any], *, stream: bool, json_output: Any) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    settings = {**_settings(client), **more}
    attributes: dict[str, Any] = {
        attribute: settings[key] for key, attribute in _REQUEST_KEYS.items() if settings.get(key) is not None
    }
    if stream:
        attributes[keys.REQUEST_STREAM] = True
    if json_output or "response_format" in settings:
        attributes[keys.OUTPUT_TYPE] = "json"
    if stop := settings.get("stop"):
        attributes[keys.REQUEST_STOP_SEQUENCES] = [stop] if isinstance(stop, str) else [str(item) for item in stop]
    config = getattr(_innermost(client), "_raw_config", None)
    address = config.get("base_url") or config.get("azure_endpoint") if isinstance(config, Mapping) else None
    if isinstance(address, str) and (host := urlsplit(address)).hostname:
        attributes[keys.SERVER_ADDRESS] = host.hostname
        attributes[keys.SERVER_PORT] = host.port or (443 if host.scheme == "https" else 80)
    return attributes


def response_attributes(result: Any, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Response attributes of a finished model call, from AutoGen's result and the provider's own answer."""
    attributes: dict[str, Any] = {keys.RESPONSE_FINISH_REASONS: [_finish_reason(result)]}
    if model := raw.get("model"):
        attributes[keys.RESPONSE_MODEL] = str(model)
    if identity := raw.get("id"):
        attributes[keys.RESPONSE_ID] = str(identity)
    return attributes


def _finish_reason(result: Any) -> str:
    """AutoGen calls the providers' ``tool_calls`` otherwise."""
    return "tool_calls" if result.finish_reason == "function_calls" else str(result.finish_reason)


def usage_of(result: Any, raw: Mapping[str, Any]) -> Usage | None:
    """The provider's token counts: in detail from its own answer, if that is the whole of what AutoGen counted.

    ``None`` if there are none: AutoGen says 0 and 0 then.
    """
    prompt, completion = result.usage.prompt_tokens, result.usage.completion_tokens
    reported = raw.get("usage")
    if reported is not None and (not (prompt or completion) or _plain_counts(reported) == (prompt, completion)):
        return usage_from(reported)
    if prompt or completion:
        return Usage(input_tokens=prompt, output_tokens=completion, source="provider")
    return None


def _plain_counts(reported: Any) -> tuple[Any, Any]:
    """The two numbers that AutoGen takes from a provider's report."""
    counts = reported if isinstance(reported, Mapping) else vars(reported)
    return counts.get("prompt_tokens", counts.get("input_tokens")), counts.get(
        "completion_tokens", counts.get("output_tokens")
    )


# --- content: read only when captured, or to estimate missing usage ---------------------------------------------------

_ROLES = {
    "SystemMessage": "system",
    "UserMessage": "user",
    "AssistantMessage": "assistant",
    "FunctionExecutionResultMessage": "tool",
}


def _role(message: Any) -> str:
    return _ROLES.get(getattr(message, "type", ""), "user")


def _text(message: Any) -> str:
    return _content_text(getattr(message, "content", message))


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return "".join(_part_text(part) for part in content)
    return str(content)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if hasattr(part, "arguments"):
        return f"{part.name}{part.arguments}"
    content = getattr(part, "content", None)
    return content if isinstance(content, str) else ""  # an image


def messages_content(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Messages in the shape of ``gen_ai.input.messages``: role and parts."""
    return [{"role": _role(message), "parts": _parts(getattr(message, "content", message))} for message in messages]


def answer_content(result: Any) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``."""
    parts = _parts(result.content)
    if result.thought:
        parts.insert(0, {"type": "reasoning", "content": result.thought})
    return [{"role": "assistant", "parts": parts, "finish_reason": _finish_reason(result)}]


def answer_text(result: Any) -> str:
    """The text of the answer, thoughts and tool calls included, for an estimate of its tokens."""
    return f"{result.thought or ''}{_content_text(result.content)}"


def _parts(content: Any) -> list[dict[str, Any]]:
    items = content if isinstance(content, (list, tuple)) else [content]
    return [_part(item) for item in items]


def _part(item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"type": "text", "content": item}
    if hasattr(item, "arguments"):
        return {"type": "tool_call", "id": item.id, "name": item.name, "arguments": item.arguments}
    if hasattr(item, "call_id"):
        return {"type": "tool_call_response", "id": item.call_id, "response": item.content}
    return {"type": type(item).__name__.lower()}


def tool_result_text(result: Any) -> Any:
    """What a tool returned, as the model gets to see it where AutoGen has that."""
    to_text = getattr(result, "to_text", None)
    return to_text() if to_text is not None else result
