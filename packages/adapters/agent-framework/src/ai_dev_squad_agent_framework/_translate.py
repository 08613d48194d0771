"""From Agent Framework's objects to the core's schema: pure functions, testable without running an agent."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai import messages as shapes
from ai_dev_squad.genai import providers, requests
from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.schema import Usage

__all__ = [
    "Answer",
    "approved",
    "asked_person",
    "compared",
    "handed_to",
    "messages_content",
    "model_attributes",
    "model_request",
    "text_of",
    "tools_not_run",
    "workflow_name",
]

_GENERATED_NAME = re.compile(r"Workflow(Builder)?-[0-9a-f]{8}-[0-9a-f-]{27}")
_HANDOFF = "handoff_to"
# Cached and reasoning tokens had other names in earlier releases.
_USAGE = {
    "input_token_count": "input_tokens",
    "output_token_count": "output_tokens",
    "cache_read_input_token_count": "cache_read_input_tokens",
    "cache_creation_input_token_count": "cache_write_input_tokens",
    "reasoning_output_token_count": "reasoning_output_tokens",
    "prompt/cached_tokens": "cache_read_input_tokens",
    "completion/reasoning_tokens": "reasoning_output_tokens",
    "openai.cached_input_tokens": "cache_read_input_tokens",
    "openai.reasoning_tokens": "reasoning_output_tokens",
}


def workflow_name(name: str | None) -> str:
    """A workflow's name; one that was made up anew for each instance says nothing."""
    return "workflow" if not name or _GENERATED_NAME.fullmatch(name) else name


# --- before a model is asked ------------------------------------------------------------------------------------------


def model_request(client: Any, messages: Sequence[Any], options: Mapping[str, Any]) -> ModelRequest:
    """What is known of a model call before it is made."""
    model = str(options.get("model") or getattr(client, "model", None) or "unknown")
    asked = _asked(messages, options)
    offered = [_definition(tool) for tool in _listed(options.get("tools"))]
    return requests.model_request(
        model,
        _provider(client, model),
        options,
        asked,
        offered,
        options.get("response_format"),
        prompt=lambda: shapes.countable(asked, offered),
    )


def model_attributes(client: Any, options: Mapping[str, Any], *, stream: bool) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    return {
        **requests.request_attributes(options, stream=stream),
        **requests.server_attributes(_address(client)),
    }


def messages_content(messages: Sequence[Any], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the model is told, in the shape of ``gen_ai.input.messages``."""
    return shapes.input_messages(_asked(messages, options))


def _asked(messages: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
    """Messages as ``genai.messages`` reads them the fastest: a pair is nothing but a text."""
    instructions = options.get("instructions")
    before = [("system", str(instructions))] if instructions else []
    listed = messages if isinstance(messages, (list, tuple)) else (messages,)
    return [*before, *map(_message, listed)]


def _message(message: Any) -> Any:
    if isinstance(message, str):  # a client may be asked in plain words
        return "user", message
    contents = message.contents
    if len(contents) == 1 and contents[0].type == "text":
        return message.role, contents[0].text
    return {"role": message.role, "parts": [part for part in map(_part, contents) if part is not None]}


def _part(content: Any) -> dict[str, Any] | None:
    kind = content.type
    if kind == "text":
        return {"type": "text", "content": content.text}
    if kind == "text_reasoning":
        return {"type": "reasoning", "content": content.text} if content.text else None
    if kind == "function_call":
        return {"type": "tool_call", "id": content.call_id, "name": content.name, "arguments": content.arguments}
    if kind == "function_result":
        return {"type": "tool_call_response", "id": content.call_id, "response": text_of(content.result)}
    if kind in {"data", "uri"}:
        modality = (content.media_type or "").partition("/")[0] or "document"
        form = "blob" if kind == "data" else "uri"
        return {"type": form, "modality": modality, "mime_type": content.media_type, "uri": content.uri}
    return None if kind == "usage" else {"type": kind}


def text_of(result: Any) -> Any:
    """What a tool gave, as text where it is nothing but text."""
    if not isinstance(result, list):
        return result
    if len(result) == 1 and getattr(result[0], "type", None) == "text":  # what most tools give
        return result[0].text or ""
    if not all(hasattr(item, "type") for item in result):
        return result
    if all(item.type == "text" for item in result):
        return "".join(item.text or "" for item in result)
    return [_part(item) for item in result]


def _listed(tools: Any) -> Iterable[Any]:
    if tools is None:
        return ()
    return tools if isinstance(tools, (list, tuple)) else (tools,)


_definitions: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _definition(tool: Any) -> Any:
    """What the model is told of a tool. Agent Framework computes it anew for each question."""
    if type(tool) is dict or isinstance(tool, Mapping) or not hasattr(tool, "parameters"):
        return tool
    try:
        known = _definitions.get(tool)
        if known is None:
            told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters()}
            known = _definitions[tool] = requests.Offered(told)
    except Exception:  # noqa: BLE001 - a tool of the program's own, which may do anything
        return tool
    return known


def _provider(client: Any, model: str) -> str:
    name = str(getattr(client, "otel_provider_name", None) or "unknown")
    provider = providers.convention_name(name.lower())
    return provider if provider != "openai" else requests.provider_speaking_openai(_address(client), model)


def _address(client: Any) -> str | None:
    try:
        address = str(client.service_url())
    except Exception:  # noqa: BLE001 - a client of the program's own, which may do anything
        return None
    return address if "://" in address else None  # without one it says "Unknown"


# --- after it has answered --------------------------------------------------------------------------------------------


class Answer:
    """A model's answer, or the updates in which it came: both have contents, ids and a reason to finish."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: Sequence[Any]) -> None:
        self.pieces = pieces

    def contents(self) -> Iterator[Any]:
        """All that was said, in order, as it came."""
        for piece in self.pieces:
            messages = getattr(piece, "messages", None)
            if messages is None:
                yield from piece.contents or ()
            else:
                for message in messages:
                    yield from message.contents

    def usage(self) -> Usage | None:
        """The provider's token counts; ``None`` if it told none."""
        total: dict[str, int] = {}
        for piece in self.pieces:
            for details, replaces in _reports(piece):
                for name, count in details.items():
                    ours = _USAGE.get(name)
                    if ours is not None and isinstance(count, int):
                        total[ours] = count if replaces else total.get(ours, 0) + count
        # No model is asked with nothing: without counts, some clients report zeros.
        return Usage(**total, source="provider") if any(total.values()) else None

    def attributes(self) -> dict[str, Any]:
        """Response attributes of a finished model call."""
        reason = model = identity = None
        for piece in reversed(self.pieces):
            reason = reason or getattr(piece, "finish_reason", None)
            model = model or getattr(piece, "model", None)
            identity = identity or getattr(piece, "response_id", None)
        return {
            keys.RESPONSE_FINISH_REASONS: [str(getattr(reason, "value", reason))] if reason else None,
            keys.RESPONSE_MODEL: model or None,
            keys.RESPONSE_ID: identity or None,
        }

    def parts(self) -> list[dict[str, Any]]:
        """What was said, with the pieces of a text or of a call put together."""
        parts: list[dict[str, Any]] = []
        for content in self.contents():
            part = _part(content)
            if part is None:
                continue
            last = parts[-1] if parts else {}
            if part["type"] == last.get("type") and part["type"] in {"text", "reasoning"}:
                last["content"] = f"{last['content']}{part['content']}"
            elif part["type"] == last.get("type") == "tool_call" and part["id"] in {last["id"], "", None}:
                last["arguments"] = _joined(last["arguments"], part["arguments"])
            else:
                parts.append(part)
        return parts

    def message(self) -> dict[str, Any]:
        """The answer in the shape of ``gen_ai.output.messages``."""
        reasons = self.attributes()[keys.RESPONSE_FINISH_REASONS]
        return {"role": "assistant", "parts": self.parts(), "finish_reason": reasons[0] if reasons else "unknown"}

    def text(self) -> str:
        """All that was said, tool calls included, for an estimate of its tokens."""
        return shapes.countable_text([{"role": "assistant", "content": self.parts()}])


def _reports(piece: Any) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Reports of tokens in an answer or an update, and whether each replaces those before it."""
    details = getattr(piece, "usage_details", None)
    if details:
        yield details, False
    for content in getattr(piece, "contents", None) or ():
        if content.type == "usage" and content.usage_details:
            yield content.usage_details, getattr(content, "merge_mode", None) == "replace"


def _joined(before: Any, more: Any) -> Any:
    return f"{before or ''}{more or ''}" if not isinstance(before, Mapping) else before


def compared(answer: Answer) -> list[Any]:
    """What an answer is compared by: its text, or its tool calls without their ids."""
    return [
        (part["name"], part["arguments"]) if part["type"] == "tool_call" else part.get("content")
        for part in answer.parts()
    ]


# --- what agents say and are told -------------------------------------------------------------------------------------


def asked_person(content: Any) -> str | None:
    """The id of a question to a person that an agent ends with; ``None`` for other contents."""
    if not getattr(content, "user_input_request", None):
        return None
    return str(content.id or content.call_id or "")


def approved(messages: Any) -> list[str]:
    """The ids of the questions that these messages to an agent answer."""
    listed = messages if isinstance(messages, (list, tuple)) else (messages,)
    contents = [content for item in listed for content in getattr(item, "contents", None) or (item,)]
    return [str(content.id) for content in contents if getattr(content, "type", None) == "function_approval_response"]


def handed_to(content: Any) -> str | None:
    """Whom an agent hands over to by this result of a hand-off tool; ``None`` for other contents."""
    if content.type != "function_result" or _HANDOFF not in (result := str(text_of(content.result))):
        return None
    try:
        told = json.loads(result)
    except ValueError:
        return None
    target = told.get(_HANDOFF) if isinstance(told, dict) and len(told) == 1 else None
    return target if isinstance(target, str) else None


def tools_not_run(messages: Sequence[Any], ran: set[str]) -> Iterator[tuple[str, str, str]]:
    """Calls of tools that failed before a tool ran, as there is none of that name: id, name and what the model is told."""
    names: dict[str, str] = {}
    for message in messages[-2:]:
        for content in getattr(message, "contents", ()):
            if content.type == "function_call":
                names[content.call_id] = content.name
            elif content.type == "function_result" and content.exception and content.call_id not in ran:
                yield content.call_id, names.get(content.call_id, "unknown"), str(text_of(content.result))
