"""What a client asked for, in one shape for every endpoint, so that matchers and callables need to know only this."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import unquote

from .counts import count_tokens

__all__ = ["Endpoint", "Message", "ModelRequest", "RequestError", "ToolCall", "parse"]

Endpoint = Literal["chat.completions", "responses", "messages", "gemini", "converse", "ollama", "embeddings"]
"""The endpoints that are model calls: chat completions, responses, Anthropic's messages, Gemini's content, Amazon Bedrock's
Converse, Ollama's chat, embeddings."""


class RequestError(ValueError):
    """The body is not one that the real service would accept."""


@dataclass(frozen=True)
class ToolCall:
    """A tool the model asks for. ``arguments`` is the JSON text as sent on the wire."""

    name: str
    arguments: str
    id: str


@dataclass(frozen=True)
class Message:
    """One message: its text parts joined, the tool calls it asks for, or the tool call it answers."""

    role: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True)
class ModelRequest:
    """One request. ``headers`` have lower-case names; ``body`` is the JSON as received."""

    endpoint: Endpoint
    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    tools: tuple[str, ...] = ()
    forced_tool: str | None = None
    response_format: str = "text"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def system(self) -> str:
        """The text of all system and developer messages (or ``instructions``), joined by line breaks."""
        return "\n".join(m.text for m in self.messages if m.role in ("system", "developer"))

    @cached_property
    def text(self) -> str:
        """The text of all messages, joined by line breaks."""
        return "\n".join(m.text for m in self.messages)

    @property
    def last(self) -> Message:
        """The last message; an empty user message when there is none."""
        return self.messages[-1] if self.messages else Message("user", "")

    @property
    def tool_results(self) -> tuple[Message, ...]:
        """The tool messages at the end of the conversation: the answers to the last tool calls."""
        results: list[Message] = []
        for message in reversed(self.messages):
            if message.role != "tool":
                break
            results.append(message)
        return tuple(reversed(results))

    @cached_property
    def input_tokens(self) -> int:
        """The default count: every message's text and tool-call arguments, counted by the four-character rule."""
        asked = (call.name + call.arguments for m in self.messages for call in m.tool_calls)
        return count_tokens("".join((*(m.text for m in self.messages), *asked)))


def parse(endpoint: Endpoint, body: bytes, headers: Mapping[str, str], path: str = "") -> ModelRequest:
    """Read a request body, and of the path what belongs to it. Raises ``RequestError`` with the reason."""
    try:
        data = json.loads(body)
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise RequestError(f"the body is a JSON {type(data).__name__}; send an object")
    in_path = _IN_PATH.get(endpoint)
    if in_path is not None:
        named = in_path.search(path)
        data = {**data, "model": named and unquote(named[1]), "stream": "stream" in path.rpartition("/")[2]}
    elif not data.get("model") and (deployment := _DEPLOYMENT.search(path)):
        data = {**data, "model": unquote(deployment[1])}
    model = data.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("you must provide a model parameter")
    return _PARSERS[endpoint](model, data, headers)


def _chat(model: str, data: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    messages = tuple(_chat_message(m) for m in _objects(data, "messages"))
    if not messages:
        raise RequestError("messages is empty; send at least one message")
    _check_tool_pairs(messages)
    n = data.get("n") or 1
    if type(n) is not int or not 1 <= n <= 128:
        raise RequestError(f"n is {n!r}; allowed is a whole number from 1 to 128")
    options = data.get("stream_options") or {}
    stream = bool(data.get("stream"))
    if options and not stream:
        raise RequestError("stream_options is only allowed when stream is true")
    choice = data.get("tool_choice")
    return ModelRequest(
        endpoint="chat.completions",
        model=model,
        messages=messages,
        stream=stream,
        include_usage=bool(options.get("include_usage")),
        n=n,
        tools=tuple(_tool_name(tool) for tool in data.get("tools") or ()),
        forced_tool=_tool_name(choice) if isinstance(choice, dict) else None,
        response_format=(data.get("response_format") or {}).get("type", "text"),
        headers=headers,
        body=data,
    )


def _responses(model: str, data: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    given = data.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else _objects(data, "input")
    messages = [_response_item(item) for item in items]
    if instructions := data.get("instructions"):
        messages.insert(0, Message("system", str(instructions)))
    choice = data.get("tool_choice")
    text_format = (data.get("text") or {}).get("format") or {}
    return ModelRequest(
        endpoint="responses",
        model=model,
        messages=tuple(messages),
        stream=bool(data.get("stream")),
        include_usage=True,
        tools=tuple(_tool_name(tool) for tool in data.get("tools") or ()),
        forced_tool=_tool_name(choice) if isinstance(choice, dict) else None,
        response_format=text_format.get("type", "text"),
        headers=headers,
        body=data,
    )


def _messages(model: str, data: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    messages: list[Message] = []
    if system := data.get("system"):
        messages.append(Message("system", _text(system)))
    for item in _objects(data, "messages"):
        messages.extend(_anthropic_message(item))
    choice = data.get("tool_choice") or {}
    return ModelRequest(
        endpoint="messages",
        model=model,
        messages=tuple(messages),
        stream=bool(data.get("stream")),
        include_usage=True,
        tools=tuple(_tool_name(tool) for tool in data.get("tools") or ()),
        forced_tool=choice.get("name") if choice.get("type") == "tool" else None,
        headers=headers,
        body=data,
    )


def _embeddings(model: str, data: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    given = data.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        given = [given]
    if not isinstance(given, list) or not given:
        raise RequestError("input must be a text, a list of texts, or lists of token numbers")
    texts = (item if isinstance(item, str) else json.dumps(item) for item in given)
    return ModelRequest(
        endpoint="embeddings",
        model=model,
        messages=tuple(Message("user", text) for text in texts),
        headers=headers,
        body=data,
    )


def _gemini(model: str, data: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    messages: list[Message] = []
    if system := data.get("systemInstruction") or data.get("system_instruction"):
        messages.append(Message("system", _text(system.get("parts"))))
    for item in _objects(data, "contents"):
        messages.extend(_gemini_message(item))
    declared = [
        declaration for tool in data.get("tools") or () for declaration in tool.get("functionDeclarations") or ()
    ]
    return ModelRequest(
        endpoint="gemini",
        model=model,
        messages=tuple(messages),
        stream=data["stream"],
        include_usage=True,
        tools=tuple(_tool_name(tool) for tool in declared),
        headers=headers,
        body=data,
    )


def _converse(model: str, data: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    messages: list[Message] = []
    if system := data.get("system"):
        messages.append(Message("system", _text(system)))
    for item in _objects(data, "messages"):
        messages.extend(_converse_message(item))
    offered = (data.get("toolConfig") or {}).get("tools") or ()
    return ModelRequest(
        endpoint="converse",
        model=model,
        messages=tuple(messages),
        stream=data["stream"],
        include_usage=True,
        tools=tuple(_tool_name(tool.get("toolSpec") or {}) for tool in offered),
        headers=headers,
        body=data,
    )


def _ollama(model: str, data: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    messages = []
    for item in _objects(data, "messages"):
        calls = tuple(
            ToolCall(call["function"].get("name", ""), json.dumps(call["function"].get("arguments")), "")
            for call in item.get("tool_calls") or ()
        )
        messages.append(Message(str(item.get("role", "")), _text(item.get("content")), calls))
    return ModelRequest(
        endpoint="ollama",
        model=model,
        messages=tuple(messages),
        stream=data.get("stream") is not False,
        include_usage=True,
        tools=tuple(_tool_name(tool) for tool in data.get("tools") or ()),
        headers=headers,
        body=data,
    )


_PARSERS = {
    "chat.completions": _chat,
    "responses": _responses,
    "messages": _messages,
    "gemini": _gemini,
    "converse": _converse,
    "ollama": _ollama,
    "embeddings": _embeddings,
}
_IN_PATH: dict[Endpoint, re.Pattern[str]] = {
    "gemini": re.compile(r"/models/([^/:]+):"),
    "converse": re.compile(r"/model/([^/]+)/converse"),
}
"""Where a path names the model. There it also says whether a stream is wanted."""
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/")
"""Azure OpenAI's: clients leave the model out of the body, or null."""


def _objects(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = data.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RequestError(f"{key} must be a list of objects")
    return value


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(part.get("text") or part.get("refusal") or "" for part in content if isinstance(part, dict))
    return ""


def _tool_name(tool: Mapping[str, Any]) -> str:
    named = tool.get("function") if isinstance(tool.get("function"), dict) else tool
    return str((named or {}).get("name") or tool.get("type") or "")


def _chat_message(item: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call["function"].get("name", ""), call["function"].get("arguments", ""), call.get("id", ""))
        for call in item.get("tool_calls") or ()
        if isinstance(call.get("function"), dict)
    )
    return Message(str(item.get("role", "")), _text(item.get("content")), calls, item.get("tool_call_id"))


def _response_item(item: Mapping[str, Any]) -> Message:
    kind = item.get("type", "message")
    if kind == "function_call":
        call = ToolCall(item.get("name", ""), item.get("arguments", ""), item.get("call_id", ""))
        return Message("assistant", "", (call,))
    if kind == "function_call_output":
        return Message("tool", _text(item.get("output")), tool_call_id=item.get("call_id"))
    if kind == "message":
        return Message(str(item.get("role", "")), _text(item.get("content")))
    return Message("assistant", "")


def _anthropic_message(item: Mapping[str, Any]) -> list[Message]:
    content = item.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    results = [
        Message("tool", _text(part.get("content")), tool_call_id=part.get("tool_use_id"))
        for part in parts
        if part.get("type") == "tool_result"
    ]
    calls = tuple(
        ToolCall(str(part.get("name", "")), json.dumps(part.get("input")), str(part.get("id", "")))
        for part in parts
        if part.get("type") == "tool_use"
    )
    text = "".join(part.get("text") or "" for part in parts if part.get("type") == "text")
    spoken = [Message(str(item.get("role", "")), text, calls)] if text or calls or not results else []
    return results + spoken


def _gemini_message(item: Mapping[str, Any]) -> list[Message]:
    parts = item.get("parts") or []
    results = [
        Message(
            "tool",
            json.dumps(part["functionResponse"].get("response")),
            tool_call_id=part["functionResponse"].get("id"),
        )
        for part in parts
        if "functionResponse" in part
    ]
    calls = tuple(
        ToolCall(part["functionCall"].get("name", ""), json.dumps(part["functionCall"].get("args")), "")
        for part in parts
        if "functionCall" in part
    )
    role = "assistant" if item.get("role") == "model" else "user"
    text = _text(parts)
    return results + ([Message(role, text, calls)] if text or calls or not results else [])


def _converse_message(item: Mapping[str, Any]) -> list[Message]:
    parts = item.get("content") or []
    results = [
        Message("tool", _text(part["toolResult"].get("content")), tool_call_id=part["toolResult"].get("toolUseId"))
        for part in parts
        if "toolResult" in part
    ]
    calls = tuple(
        ToolCall(
            part["toolUse"].get("name", ""),
            json.dumps(part["toolUse"].get("input")),
            part["toolUse"].get("toolUseId", ""),
        )
        for part in parts
        if "toolUse" in part
    )
    text = _text(parts)
    return results + ([Message(str(item.get("role", "")), text, calls)] if text or calls or not results else [])


def _check_tool_pairs(messages: Sequence[Message]) -> None:
    """The real service refuses a conversation whose tool calls are not answered, so a broken program shows here."""
    open_ids: dict[str, None] = {}
    for position, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in open_ids:
                raise RequestError(
                    f"messages[{position}] answers tool call {message.tool_call_id!r}, which the assistant message "
                    f"before it did not ask for; open calls: {list(open_ids) or 'none'}"
                )
            del open_ids[message.tool_call_id]
            continue
        if open_ids:
            break
        open_ids = {call.id: None for call in message.tool_calls}
    if open_ids:
        raise RequestError(
            f"an assistant message with 'tool_calls' must be followed by a tool message for each; "
            f"unanswered: {', '.join(open_ids)}"
        )
