"""From Pydantic AI's objects to the core's schema: pure functions, testable without running an agent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_ai.exceptions import ToolRetryError
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai import messages as shapes
from ai_dev_squad.genai import providers, requests
from ai_dev_squad.operations import ModelRequest, Prompt
from ai_dev_squad.schema import Usage

__all__ = [
    "answer_content",
    "answer_text",
    "compared",
    "finish_reason",
    "kind_of_refusal",
    "messages_content",
    "model_attributes",
    "model_request",
    "not_executed",
    "prompt_content",
    "response_attributes",
    "settings_of",
    "tool_error",
    "usage_of",
    "waits_for",
]

_FINISH_REASONS = {"tool_call": "tool_calls"}
"""Pydantic AI's words for what providers call otherwise."""


# --- model calls ------------------------------------------------------------------------------------------------------


def settings_of(model: Model, settings: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the model was made with, and ``settings``, those of this request. Provider's own names lose their prefix."""
    found: dict[str, Any] = {**(model.settings or {}), **(settings or {})}
    effort = found.get("openai_reasoning_effort")
    if effort is not None:
        found["reasoning_effort"] = effort
    tier = found.get("openai_service_tier") or found.get("service_tier")
    if tier is not None:
        found["service_tier"] = tier
    return found


def model_request(
    model: Model, messages: Sequence[ModelMessage], settings: Mapping[str, Any], asked: ModelRequestParameters
) -> ModelRequest:
    """What is known of a model call before it's made."""
    name = str(model.model_name)
    read = _prompt(messages, asked)
    offered = [_definition(tool) for tool in (*asked.function_tools, *asked.output_tools)]
    wanted = _output_schema(asked)
    return requests.model_request(
        name,
        _provider(model, name),
        settings,
        read,
        offered,
        wanted,
        prompt=lambda: Prompt(read, offered or None, wanted),
    )


def _definition(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters_json_schema}


def _output_schema(asked: ModelRequestParameters) -> Any:
    wanted = asked.output_object
    return None if wanted is None or asked.output_mode in {"tool", "text"} else wanted.json_schema


def _provider(model: Model, name: str) -> str:
    provider = providers.convention_name(str(model.system))
    return provider if provider != "openai" else requests.provider_speaking_openai(model.base_url, name)


def model_attributes(
    model: Model, settings: Mapping[str, Any], asked: ModelRequestParameters, *, stream: bool
) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    attributes = requests.request_attributes(settings, stream=stream)
    if _output_schema(asked) is not None:
        attributes[keys.OUTPUT_TYPE] = "json"
    return {**attributes, **requests.server_attributes(model.base_url)}


def response_attributes(response: ModelResponse) -> dict[str, Any]:
    """Response attributes of a finished model call."""
    reason = finish_reason(response)
    return {
        keys.RESPONSE_FINISH_REASONS: None if reason is None else [reason],
        keys.RESPONSE_MODEL: response.model_name,
        keys.RESPONSE_ID: response.provider_response_id,
    }


def finish_reason(response: ModelResponse) -> str | None:
    """Why the model stopped, in the provider's word; ``None`` where it says nothing."""
    told = (response.provider_details or {}).get("finish_reason")
    if isinstance(told, str):
        return told
    reason = response.finish_reason
    return None if reason is None else _FINISH_REASONS.get(reason, reason)


def usage_of(response: ModelResponse) -> Usage | None:
    """The provider's token counts. ``None`` if there are none: Pydantic AI says 0 and 0 then."""
    counted = response.usage
    if not (counted.input_tokens or counted.output_tokens):
        return None
    return Usage(
        input_tokens=counted.input_tokens or None,
        output_tokens=counted.output_tokens,
        cache_read_input_tokens=counted.cache_read_tokens or None,
        cache_read_audio_input_tokens=counted.cache_audio_read_tokens or None,
        cache_write_input_tokens=counted.cache_write_tokens or None,
        cache_write_1h_input_tokens=getattr(counted, "cache_write_1h_tokens", None) or None,
        reasoning_output_tokens=(counted.details or {}).get("reasoning_tokens") or None,
        audio_input_tokens=counted.input_audio_tokens or None,
        audio_output_tokens=getattr(counted, "output_audio_tokens", None) or None,
        source="provider",
    )


# --- messages ---------------------------------------------------------------------------------------------------------


def messages_content(messages: Iterable[ModelMessage]) -> list[dict[str, Any]]:
    """Messages as ``genai.messages`` reads them: a request is several."""
    found: list[dict[str, Any]] = []
    for item in messages:
        if item.kind == "response":
            found.append({"role": "assistant", "parts": [_answered(part) for part in item.parts]})
        else:
            found.extend(_asked(part) for part in item.parts)
    return found


def prompt_content(messages: Sequence[ModelMessage], asked: ModelRequestParameters) -> list[dict[str, Any]]:
    """What a model is asked, instructions first, in the shape of ``gen_ai.input.messages``."""
    return shapes.input_messages(_prompt(messages, asked))


def _prompt(messages: Sequence[ModelMessage], asked: ModelRequestParameters) -> list[dict[str, Any]]:
    return [*_instructions(messages, asked), *messages_content(messages)]


def _instructions(messages: Sequence[ModelMessage], asked: ModelRequestParameters) -> Iterator[dict[str, Any]]:
    """What stands before the messages: the newest counts, as the framework sends it."""
    parts = asked.instruction_parts
    if parts:
        yield {"role": "system", "content": "\n\n".join(str(part.content) for part in parts)}
        return
    for item in reversed(messages):
        if item.kind == "request" and item.instructions:
            yield {"role": "system", "content": item.instructions}
            return


def _asked(part: Any) -> dict[str, Any]:
    kind = part.part_kind
    if kind == "system-prompt":
        return {"role": "system", "content": str(part.content)}
    if kind == "tool-return":
        given = {"type": "tool_call_response", "id": part.tool_call_id, "response": _returned(part)}
        return {"role": "tool", "parts": [given]}
    if kind == "retry-prompt" and part.tool_name is not None:
        return {"role": "tool", "tool_call_id": part.tool_call_id, "content": part.model_response()}
    content = getattr(part, "content", None)
    if kind != "user-prompt":  # retries, and what newer releases tell the model by parts of their own
        return {"role": "user", "content": content if isinstance(content, str) else str(content)}
    if isinstance(content, str):
        return {"role": "user", "content": content}
    return {"role": "user", "parts": [_given(piece) for piece in content or ()]}


def _returned(part: Any) -> str:
    if isinstance(part.content, str):
        return part.content
    try:
        return str(part.model_response_str())
    except Exception:  # noqa: BLE001 - a tool may return anything; the framework is about to say so itself
        return f"<{type(part.content).__name__}>"


def _given(piece: Any) -> Any:
    """A piece of what the user gave: data is known by its hash, as it would have to be encoded otherwise."""
    if isinstance(piece, str):
        return {"type": "text", "content": piece}
    kind = getattr(piece, "kind", "")
    if kind == "binary":
        modality = str(piece.media_type).partition("/")[0]
        digest = hashlib.blake2b(piece.data, digest_size=16).hexdigest()
        return {"type": "blob", "modality": modality, "mime_type": piece.media_type, "digest": digest}
    if kind.endswith("-url"):
        return {"type": "uri", "modality": kind.removesuffix("-url"), "uri": piece.url}
    if hasattr(piece, "content"):
        return {"type": "text", "content": str(piece.content)}
    return {"type": kind or type(piece).__name__.lower()}


def _answered(part: Any) -> dict[str, Any]:
    kind = part.part_kind
    if kind == "text":
        return {"type": "text", "content": part.content}
    if kind == "thinking":
        return {"type": "reasoning", "content": part.content}
    if kind.endswith("tool-call"):
        return {"type": "tool_call", "id": part.tool_call_id, "name": part.tool_name, "arguments": part.args}
    if kind.endswith("tool-return"):
        return {"type": "tool_call_response", "id": part.tool_call_id, "response": _returned(part)}
    if kind == "file":
        return dict(_given(part.content))
    return {"type": kind}


def answer_content(response: ModelResponse) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``."""
    (answer,) = shapes.input_messages(messages_content([response]))
    return [{**answer, "finish_reason": finish_reason(response)}]


def answer_text(response: ModelResponse) -> str:
    """The text of the answer, thoughts and tool calls included, for an estimate of its tokens."""
    return shapes.countable_text(messages_content([response]))


def compared(response: ModelResponse) -> list[Any]:
    """What an answer is compared by: its text, and its tool calls without their ids."""
    return [
        (part.tool_name, part.args) if isinstance(part, ToolCallPart) else part.content
        for part in response.parts
        if part.part_kind in {"text", "tool-call"}
    ]


# --- tools ------------------------------------------------------------------------------------------------------------


def tool_error(error: BaseException) -> BaseException:
    """What the tool itself raised: the framework wraps what is meant for the model."""
    inner = error.__cause__
    return inner if isinstance(error, ToolRetryError) and inner is not None else error


def not_executed(message: ModelMessage) -> Iterator[tuple[str, str, str]]:
    """The tool calls that the model is asked to make anew: id, name, and the reason given to it."""
    parts: Iterable[Any] = message.parts if message.kind == "request" else ()
    for part in parts:
        retried = part.part_kind == "retry-prompt" or getattr(part, "outcome", None) == "retried"
        name = getattr(part, "tool_name", None)
        if retried and name is not None:
            yield part.tool_call_id, name, str(part.content)


def kind_of_refusal(reason: str) -> str:
    """Why a call reached no tool. The shape that an answer must have is a tool to the model, and no tool to the framework."""
    return "unknown_tool" if reason.startswith("Unknown tool name") else "tool_not_executed"


def waits_for(output: Any) -> list[str] | None:
    """The ids of the tool calls that a run waits for, because a person has to approve them or something else makes them;
    ``None`` for any other output.
    """
    if type(output).__name__ != "DeferredToolRequests":
        return None
    return [call.tool_call_id for call in (*output.approvals, *output.calls)]
