"""From AutoGen's objects to the core's schema: pure functions, testable without running a team."""

from __future__ import annotations

import hashlib
import re
import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import HandoffMessage

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai import messages as shapes
from ai_dev_squad.genai import providers, requests
from ai_dev_squad.genai.usage import usage_from
from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.schema import ErrorInfo, Usage

__all__ = [
    "answer_content",
    "answer_text",
    "compared",
    "innermost",
    "is_text_of",
    "messages_content",
    "model_attributes",
    "model_request",
    "response_attributes",
    "settings",
    "stop_source",
    "team_error",
    "tool_result_text",
    "usage_of",
    "waits_for",
]

_CLIENTS = "chatcompletionclient"
"""How the names of AutoGen's clients end, in lower case; what stands before is the provider."""
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


def innermost(client: Any) -> Any:
    """The client that asks, below those that keep answers."""
    while (inner := getattr(client, "client", None)) is not None and hasattr(inner, "create_stream"):
        client = inner
    return client


def settings(client: Any, more: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the client that asks was made with, and ``more``, the arguments of this call alone."""
    found = getattr(client, "_create_args", None)
    return {**found, **more} if isinstance(found, Mapping) else more


def model_request(
    client: Any, messages: Sequence[Any], settings: Mapping[str, Any], *, tools: Any = None, json_output: Any = None
) -> ModelRequest:
    """What is known of a model call before it's made, of the client that asks and its settings."""
    model = str(settings.get("model") or "unknown")
    asked = [
        message if type(getattr(message, "content", None)) is str else _with_pictures(message) for message in messages
    ]
    offered = [_definition(tool) for tool in tools or ()]
    wanted = json_output if isinstance(json_output, type) else settings.get("response_format")
    return requests.model_request(
        model,
        _provider(client, model),
        settings,
        asked,
        offered,
        wanted,
        prompt=lambda: shapes.countable(asked, offered),
    )


_definitions: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _definition(tool: Any) -> Any:
    """What the model is told of a tool. AutoGen computes it anew for each question."""
    if isinstance(tool, Mapping):
        return tool
    try:
        known = _definitions.get(tool)
        if known is None:
            known = _definitions[tool] = tool.schema
    except Exception:  # noqa: BLE001 - a tool of the program's own, which may do anything
        return tool
    return known


def _with_pictures(message: Any) -> Any:
    """A message whose pictures are known by their pixels: as data they would have to be encoded once more."""
    content = getattr(message, "content", None)
    if not isinstance(content, list) or all(isinstance(piece, str) or hasattr(piece, "name") for piece in content):
        return message
    return getattr(message, "type", "user"), [_with_pixels(piece) for piece in content]


def _with_pixels(piece: Any) -> Any:
    picture = getattr(piece, "image", None)
    if picture is None:
        return piece
    try:
        pixels = hashlib.blake2b(picture.tobytes(), digest_size=16).hexdigest()
    except Exception:  # noqa: BLE001 - a picture that cannot be read is the client's affair
        pixels = None
    return {"type": "blob", "modality": "image", "pixels": pixels}


def _provider(client: Any, model: str) -> str:
    cls: Any = type(client)
    provider = _provider_of_class(cls)
    return provider if provider != "openai" else requests.provider_speaking_openai(_address(client), model)


@lru_cache(maxsize=256)
def _provider_of_class(client: Any) -> str:
    names = (cls.__name__.lower().removesuffix(_CLIENTS) for cls in client.__mro__)
    return providers.convention_name(next((name for name in names if providers.is_known(name)), "unknown"))


def _address(client: Any) -> Any:
    config = getattr(client, "_raw_config", None)
    return config.get("base_url") or config.get("azure_endpoint") if isinstance(config, Mapping) else None


def model_attributes(client: Any, settings: Mapping[str, Any], *, stream: bool, json_output: Any) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    attributes = requests.request_attributes(settings, stream=stream)
    if json_output:
        attributes[keys.OUTPUT_TYPE] = "json"
    return {**attributes, **requests.server_attributes(_address(client))}


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


def usage_of(result: Any, raw: Mapping[str, Any], **asked: str) -> Usage | None:
    """The provider's token counts: in detail from its own answer, if that is the whole of what AutoGen counted.

    ``None`` if there are none: AutoGen says 0 and 0 then. AutoGen leaves out what providers count beside input and
    output; an answer that counts less than AutoGen is one of several. ``asked`` are provider and model.
    """
    prompt, completion = result.usage.prompt_tokens, result.usage.completion_tokens
    told = usage_from(raw.get("usage"), **asked)
    if told is not None and (told.input_tokens or 0) >= prompt and (told.output_tokens or 0) >= completion:
        return told
    return usage_from({"prompt_tokens": prompt, "completion_tokens": completion}, **asked)


# --- content: read only when captured, or to estimate missing usage ---------------------------------------------------


def messages_content(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Messages in the shape of ``gen_ai.input.messages``: role and parts."""
    return shapes.input_messages([_without_pixels(_with_pictures(message)) for message in messages])


def _without_pixels(message: Any) -> Any:
    if not isinstance(message, tuple):
        return message
    role, content = message
    return role, [{"type": "image"} if isinstance(piece, dict) else piece for piece in content]


def answer_content(result: Any) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``."""
    return [{**shapes.message(_answer(result)), "finish_reason": _finish_reason(result)}]


def answer_text(result: Any) -> str:
    """The text of the answer, thoughts and tool calls included, for an estimate of its tokens."""
    return shapes.countable_text([_answer(result)])


def _answer(result: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": result.content, "thought": result.thought}


def compared(result: Any) -> list[Any]:
    """What an answer is compared by: its text, or its tool calls without their ids."""
    content = result.content
    return [content] if isinstance(content, str) else [(call.name, call.arguments) for call in content]


def tool_result_text(result: Any) -> Any:
    """What a tool returned, as the model gets to see it where AutoGen has that."""
    to_text = getattr(result, "to_text", None)
    return to_text() if to_text is not None else result
