"""Content that stands in a span's events, put together into messages: what the conventions asked for before they had attributes for
it, and what Semantic Kernel, OpenLIT, Strands and Azure still send.

- A message each: https://github.com/open-telemetry/semantic-conventions/blob/v1.36.0/docs/gen-ai/gen-ai-events.md
- All in one event: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.foreign_content import Attributes, called, listed, message_of, put, read_json

__all__ = ["CONTENT_EVENTS", "MEMBERS", "content_in"]

_ROLES: Final = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
_CHOICE: Final = "gen_ai.choice"
_WHOLE: Final = {
    **{
        key: key for key in (keys.INPUT_MESSAGES, keys.OUTPUT_MESSAGES, keys.SYSTEM_INSTRUCTIONS, keys.TOOL_DEFINITIONS)
    },
    **{key: key for key in (keys.TOOL_CALL_ARGUMENTS, keys.TOOL_CALL_RESULT)},
    "gen_ai.prompt": keys.INPUT_MESSAGES,
    "gen_ai.completion": keys.OUTPUT_MESSAGES,
}
"""Members of an event that holds all of it, and what they are."""
CONTENT_EVENTS: Final = frozenset(
    {
        *(*_ROLES, _CHOICE, "gen_ai.content.prompt", "gen_ai.content.completion"),
        "gen_ai.client.inference.operation.details",
    }
)
"""Events that are nothing but content."""
_BODY: Final = "gen_ai.event.content"
MEMBERS: Final = frozenset({"content", "message", "tool_calls", "tool.result", _BODY})
"""Members of such events, beside those of a span, that hold what was said."""


def content_in(events: Iterable[tuple[str, Mapping[str, Any]]], operation: str) -> Attributes:
    """The content of a span in canonical attributes, as its events tell it: name and attributes of each, in their order."""
    found: Attributes = {}
    asked: list[Any] = []
    said: list[Any] = []
    for name, given in events:
        body = _body(given)
        role = _ROLES.get(name)
        if role is not None:
            asked.append(body.get("content") if operation == "execute_tool" else _message(role, body))
        elif name == _CHOICE:
            inner = read_json(body.get("message"))
            if operation == "execute_tool":
                said.append(inner)
            else:
                told = _message("assistant", inner if type(inner) is dict else {**body, "content": inner})
                put(told, "finish_reason", body.get("finish_reason"))
                said.append(told)
        elif name in CONTENT_EVENTS:
            for member, meaning in _WHOLE.items():
                put(found, meaning, given.get(member))
    if operation == "execute_tool":
        put(found, keys.TOOL_CALL_ARGUMENTS, asked[0] if asked else None)
        put(found, keys.TOOL_CALL_RESULT, said[0] if said else None)
    else:
        put(found, keys.INPUT_MESSAGES, asked or None)
        put(found, keys.OUTPUT_MESSAGES, said or None)
    return found


def _body(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event's members, which Azure writes as one JSON text."""
    whole = read_json(given.get(_BODY))
    return whole if type(whole) is dict else given


def _message(role: str, body: Mapping[str, Any]) -> dict[str, Any]:
    parts = _parts(body.get("content"))
    if role == "tool" and "id" in body:
        parts = [{"type": "tool_call_response", "id": body["id"], "response": body.get("content")}]
    for call in listed(read_json(body.get("tool_calls"))):
        if type(call) is dict:
            function = call.get("function")
            named = function if type(function) is dict else call
            parts.append(called(call.get("id"), named.get("name"), named.get("arguments")))
    spoken = body.get("role")
    return message_of(spoken if isinstance(spoken, str) and role != "tool" else role, parts)


def _parts(content: Any) -> list[Any]:
    content = read_json(content)
    if type(content) is not list:
        return [] if content in (None, "") else [{"type": "text", "content": content}]
    return [_part(item) for item in content]


def _part(item: Any) -> Any:
    """A block of OpenAI's, Anthropic's or Amazon's as the conventions have it; any other as it is."""
    if type(item) is not dict:
        return {"type": "text", "content": item}
    if "text" in item:
        return {"type": "text", "content": item["text"]}
    call, answer = item.get("toolUse"), item.get("toolResult")
    if type(call) is dict:
        return called(call.get("toolUseId"), call.get("name"), call.get("input"))
    if type(answer) is dict:
        return {"type": "tool_call_response", "id": answer.get("toolUseId"), "response": answer.get("content")}
    return item
