"""Model calls as conversations. Understands GenAI messages, those of OpenAI, Anthropic and LangChain, plain text, and shrugs at the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .texts import Budget, Text

__all__ = ["Conversation", "Message", "MessagePart", "ToolDefinition", "read_conversation"]

MAX_MESSAGES = 200
MAX_PARTS = 100
MAX_TOOLS = 100

PartKind = Literal["text", "reasoning", "tool_call", "tool_result", "media", "other"]
ROLES: Mapping[str, str] = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "developer": "system",
    "function": "tool",
}
TEXT_TYPES = frozenset({"text", "input_text", "output_text", "refusal", "compaction"})
REASONING_TYPES = frozenset({"reasoning", "thinking", "redacted_thinking"})
CALL_TYPES = frozenset({"tool_call", "tool_use", "function", "function_call", "server_tool_call", "server_tool_use"})
RESULT_TYPES = frozenset({"tool_call_response", "tool_result", "function_call_output", "server_tool_call_response"})
MEDIA_TYPES: Mapping[str, str] = {
    "blob": "",
    "uri": "",
    "file": "file",
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "input_file": "file",
}

# The first bytes of each kind, in base64.
_PICTURES: Final = {"iVBORw0KGgo": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_LARGEST_PICTURE: Final = 40_000
"""Characters of base64; the browser is given at most 50,000 to draw."""


@dataclass(frozen=True)
class MessagePart:
    """A piece of a message."""

    kind: PartKind
    title: str = ""
    """The tool's name, the medium, or the type of a part that is not known."""
    body: Text | None = None
    """Text, arguments or result; of media a transcript. Nothing is ever loaded from elsewhere."""
    id: str | None = None
    """What joins a tool call and its result."""
    picture: str | None = None
    """A ``data:`` URL of a small picture that was captured whole; the page draws it when its reader asks for it."""


@dataclass(frozen=True)
class Message:
    """What somebody said."""

    role: str
    """``system``, ``user``, ``assistant``, ``tool``, or what the sender calls it."""
    name: str | None
    parts: tuple[MessagePart, ...]
    answer: bool = False
    """True for what the model said in this call, false for what it was given."""
    finish_reason: str | None = None


@dataclass(frozen=True)
class ToolDefinition:
    """A tool that the model was offered."""

    name: str
    description: Text | None
    parameters: Text | None


@dataclass(frozen=True)
class Conversation:
    """A model call's content, in the order in which it was said."""

    messages: tuple[Message, ...]
    left_out: int = 0
    """Messages that are not shown, because there were too many; the first and the last ones are."""
    tools: tuple[ToolDefinition, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.messages or self.tools)


def read_conversation(details: Mapping[str, Any]) -> Conversation:
    """The conversation in a span's details: ``system``, ``input``, ``output``, ``tools``, whatever they are. Never raises."""
    # The answer is what people look for: the budget is spent from there backwards.
    budget = Budget()
    given = [_Raw(item, "user", answer=False) for item in _messages(details.get("input"))]
    answers = [_Raw(item, "assistant", answer=True) for item in _messages(details.get("output"))]
    instructions = details.get("system")
    opening = [_Raw({"role": "system", "parts": _items(instructions)}, "system", answer=False)] if instructions else []
    raw = opening + given + answers
    left_out = max(len(raw) - MAX_MESSAGES, 0)
    if left_out:
        first = MAX_MESSAGES // 10
        raw = raw[:first] + raw[first + left_out :]
    messages = [_message(item, budget) for item in reversed(raw)]
    messages.reverse()
    tools = tuple(_tool(item, budget) for item in _items(details.get("tools"))[:MAX_TOOLS])
    return Conversation(tuple(message for message in messages if message.parts), left_out, tools)


@dataclass(frozen=True)
class _Raw:
    value: Any
    role: str
    answer: bool


def _items(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def _messages(value: Any) -> list[Any]:
    """The messages in ``value``; some senders wrap them once or twice."""
    for _ in range(3):
        if isinstance(value, Mapping):
            inner = next(
                (value[key] for key in ("messages", "choices", "generations") if isinstance(value.get(key), list)), None
            )
            if inner is None:
                break
            value = inner
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]
        else:
            break
    return _items(value)


def _message(raw: _Raw, budget: Budget) -> Message:
    value = raw.value
    if not isinstance(value, Mapping):
        return Message(raw.role, None, _parts(value, budget), raw.answer)
    inner = value.get("message")
    message = {**value, **inner} if isinstance(inner, Mapping) else value
    role = str(message.get("role") or message.get("type") or raw.role)[:100]
    role = ROLES.get(role, role)
    if not any(key in message for key in ("role", "parts", "content", "tool_calls")):
        # No message at all: a part standing alone, or somebody's own object.
        return Message(raw.role, None, _parts(value, budget), raw.answer)
    parts = list(_parts(message.get("parts"), budget))
    if "parts" not in message:
        result_of = message.get("tool_call_id")
        if role == "tool" and result_of is not None:
            parts = list(_result(_short(message.get("name")), message.get("content"), str(result_of), budget))
        else:
            parts = list(_parts(message.get("content"), budget))
    parts += [_part(_call_shape(call), budget) for call in _items(message.get("tool_calls"))[:MAX_PARTS]]
    name, reason = message.get("name"), message.get("finish_reason") or message.get("stop_reason")
    return Message(
        role,
        _short(name) or None,
        tuple(part for part in parts if part.body is None or part.body.length),
        raw.answer,
        _short(reason) or None,
    )


def _parts(value: Any, budget: Budget) -> tuple[MessagePart, ...]:
    found: list[MessagePart] = []
    for item in _items(value)[:MAX_PARTS]:
        if isinstance(item, Mapping) and str(item.get("type")) in RESULT_TYPES:
            result = _first(item, ("response", "content", "output", "result", "server_tool_call_response"))
            found += _result(_short(item.get("name")), result, _id(item), budget)
        else:
            found.append(_part(item, budget))
    return tuple(found)


def _result(name: str, result: Any, call: str | None, budget: Budget) -> tuple[MessagePart, ...]:
    """What a tool returned. Texts and media in parts of their own, as MCP and Anthropic write them, are shown as such."""
    kinds = [str(item.get("type")) if isinstance(item, Mapping) else "" for item in _items(result)[:MAX_PARTS]]
    if (
        not isinstance(result, list)
        or not kinds
        or not all(kind in TEXT_TYPES or kind in MEDIA_TYPES for kind in kinds)
    ):
        return (MessagePart("tool_result", name, budget.pretty(result), call),)
    given = list(zip(kinds, result, strict=False))
    texts = [str(_first(item, ("content", "text", "refusal")) or "") for kind, item in given if kind in TEXT_TYPES]
    body = budget.pretty("\n".join(texts)) if texts else None
    media = (_media(kind, item, budget) for kind, item in given if kind in MEDIA_TYPES)
    return (MessagePart("tool_result", name, body, call), *media)


def _part(value: Any, budget: Budget) -> MessagePart:
    if isinstance(value, str):
        return MessagePart("text", body=budget.clip(value))
    if not isinstance(value, Mapping):
        return MessagePart("other", type(value).__name__, budget.pretty(value))
    kind = str(value.get("type") or ("text" if isinstance(value.get("text") or value.get("content"), str) else ""))
    if kind == "omitted":  # the middle of a long chat, which was not captured
        return MessagePart("other", f"{_short(value.get('messages'))} messages are left out here")
    if kind in TEXT_TYPES:
        return MessagePart("text", body=_said(value, ("content", "text", "refusal"), budget))
    if kind in REASONING_TYPES:
        if _is_encrypted(value):
            return MessagePart("other", "reasoning, encrypted by the provider")
        return MessagePart("reasoning", body=_said(value, ("content", "thinking", "text", "summary"), budget))
    if kind in CALL_TYPES:
        return _call(value, budget)
    if kind in MEDIA_TYPES:
        return _media(kind, value, budget)
    return MessagePart("other", _short(kind) or "part", budget.pretty(dict(value)))


def _is_encrypted(value: Mapping[str, Any]) -> bool:
    """Whether what was thought is there for the provider alone: nobody can read it."""
    hidden = value.get("data") or value.get("encrypted_content")
    return bool(hidden) and not any(value.get(key) for key in ("content", "thinking", "text", "summary"))


def _call(value: Mapping[str, Any], budget: Budget) -> MessagePart:
    value = _call_shape(value)
    arguments = _first(value, ("arguments", "input", "args", "server_tool_call"))
    body = None if arguments is None else budget.pretty(arguments)
    return MessagePart("tool_call", _short(value.get("name")), body, _id(value))


def _call_shape(call: Any) -> Any:
    """A tool call with name and arguments at the top, where OpenAI puts them one level deeper."""
    if isinstance(call, Mapping):
        function = call.get("function")
        if isinstance(function, Mapping):
            return {"id": call.get("id"), **function, "type": "tool_call"}
        return {"type": "tool_call", **call}
    return call


def _said(value: Mapping[str, Any], keys: Iterable[str], budget: Budget) -> Text:
    text = _first(value, keys)
    return budget.clip(text) if isinstance(text, str) else budget.pretty({} if text is None else text)


def _first(value: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None)


def _id(value: Mapping[str, Any]) -> str | None:
    return _short(_first(value, ("id", "call_id", "tool_use_id", "tool_call_id"))) or None


def _media(kind: str, value: Mapping[str, Any], budget: Budget) -> MessagePart:
    """What there is to see or hear: medium, type and address or size; and the picture, where it is small and whole."""
    source = value.get("source")
    inner = {**source, **value} if isinstance(source, Mapping) else dict(value)
    url = inner.get("image_url")
    address = _first(inner, ("uri", "url", "file_id")) or (url.get("url") if isinstance(url, Mapping) else url)
    content = data = _first(inner, ("content", "data"))
    if isinstance(address, str) and address.startswith("data:"):
        content, data, address = address, address.partition(",")[2], address[:40].partition(";")[0]
    size = f"{len(content) * 3 // 4:,} bytes" if isinstance(content, str) else None
    words = (
        value.get("modality") or MEDIA_TYPES[kind] or kind,
        inner.get("mime_type") or inner.get("media_type"),
        address,
        size,
    )
    title = " · ".join(_short(word) for word in words if word)
    return MessagePart("media", title, _transcript(value, budget), picture=_picture(data, budget))


def _picture(data: Any, budget: Budget) -> str | None:
    """The picture that base64 is, known by how it begins, whatever it is called; ``None`` where it is cut, large, or none."""
    if not isinstance(data, str) or len(data) > _LARGEST_PICTURE or not _BASE64.fullmatch(data):
        return None
    kind = next((kind for head, kind in _PICTURES.items() if data.startswith(head)), None)
    return f"data:image/{kind};base64,{data}" if kind and budget.takes(len(data)) else None


def _transcript(value: Mapping[str, Any], budget: Budget) -> Text | None:
    transcript = value.get("transcript")
    return budget.clip(transcript) if isinstance(transcript, str) and transcript else None


def _tool(value: Any, budget: Budget) -> ToolDefinition:
    definition = (
        value.get("function") if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping) else value
    )
    if not isinstance(definition, Mapping):
        return ToolDefinition(_short(str(definition)), None, None)
    description = definition.get("description")
    parameters = _first(definition, ("parameters", "input_schema", "json_schema"))
    return ToolDefinition(
        _short(definition.get("name") or definition.get("type")) or "tool",
        budget.clip(description) if isinstance(description, str) and description else None,
        None if parameters is None else budget.pretty(parameters),
    )


def _short(value: Any) -> str:
    """A name: one line of it."""
    return "" if value is None else str(value)[:300].encode("utf-8", "replace").decode()
