"""Content that other instrumentations spread over many attributes, put together into messages of the GenAI conventions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec

from ai_dev_squad import attributes as keys
from ai_dev_squad.json_depth import is_too_deep

__all__ = [
    "Attributes",
    "Entries",
    "adk_content",
    "called",
    "listed",
    "message_of",
    "mlflow_content",
    "openinference_content",
    "openllmetry_content",
    "put",
    "read_json",
    "unflatten",
    "vercel_content",
]

_RESPONSE_ID = re.compile(r'"(?:id|response_id)":\s*"((?:chatcmpl|cmpl|resp|msg|gen)[-_][\w-]{4,80})"')

Attributes = dict[str, Any]
"""Attributes of a span, by name."""

Entries = list[tuple[tuple[int | str, ...], Any]]
"""Attributes of one flattened list: the rest of the name in steps, and the value."""


class _Items(dict[int | str, Any]):
    """The items of a list by index, as long as it is not whole."""


def unflatten(entries: Entries) -> list[Any]:
    """``[((0, "role"), "user"), ((0, "content"), "hi")]`` → ``[{"role": "user", "content": "hi"}]``. Gaps close; of two names
    that contradict each other the first counts.
    """
    tree = _Items()
    for path, value in entries:
        at: Any = tree
        for step, next_step in pairwise(path):
            wanted = _Items if type(next_step) is int else dict
            below = at.get(step)
            if below is None:
                below = at[step] = wanted()
            if type(below) is not wanted:
                break
            at = below
        else:
            at.setdefault(path[-1], value)
    built: list[Any] = _built(tree)
    return built


def _built(value: Any) -> Any:
    if type(value) is _Items:
        return [_built(value[index]) for index in sorted(value)]
    if type(value) is dict:
        return {step: _built(item) for step, item in value.items()}
    return value


# --- OpenInference ------------------------------------------------------------------------------------------------------


def openinference_content(given: Attributes, found: Attributes, flat: Mapping[str, Entries]) -> None:
    """Messages, tools, documents, or else input and output as they stand."""
    kind = given.get("openinference.span.kind")
    source, target = given.get("input.value"), given.get("output.value")
    if kind == "TOOL":
        put(found, keys.TOOL_CALL_ARGUMENTS, source)
        put(found, keys.TOOL_CALL_RESULT, target)
        return
    if kind in ("RETRIEVER", "RERANKER"):
        put(found, keys.RETRIEVAL_QUERY_TEXT, source)
        documents = [_inner(item, "document") for item in _items(flat, "retrieval.documents.")]
        put(found, keys.RETRIEVAL_DOCUMENTS, documents or target)
        return
    asked = said = None
    if kind == "LLM":
        asked = [_openinference_message(item) for item in _items(flat, "llm.input_messages.")]
        said = [_openinference_message(item) for item in _items(flat, "llm.output_messages.")]
        tools = [_inner(item, "tool").get("json_schema") for item in _items(flat, "llm.tools.")]
        if tools:
            put(found, keys.TOOL_DEFINITIONS, [read_json(tool) for tool in tools])
        if isinstance(target, str) and keys.RESPONSE_ID not in found:
            match = _RESPONSE_ID.search(target)
            if match:
                found[keys.RESPONSE_ID] = match[1]
    elif kind == "AGENT":
        # Instrumentations of CrewAI and LangGraph name the agent as a node of a graph.
        put(found, keys.GEN_AI_AGENT_NAME, given.get("agent.name") or given.get("graph.node.id"))
    put(found, keys.INPUT_MESSAGES, asked or source)
    put(found, keys.OUTPUT_MESSAGES, said or target)


def _openinference_message(item: Any) -> dict[str, Any]:
    message = _inner(item, "message")
    parts: list[Any] = []
    call_id = message.get("tool_call_id")
    content = message.get("content")
    if call_id is not None:
        parts.append({"type": "tool_call_response", "id": call_id, "response": content})
    elif content not in (None, ""):
        parts.append({"type": "text", "content": content})
    for piece in listed(message.get("contents")) if "contents" in message else ():
        part = _inner(piece, "message_content")
        if "text" in part:
            parts.append({"type": str(part.get("type", "text")), "content": part["text"]})
        elif part:
            parts.append({"type": "generic", **{name: item for name, item in part.items() if name != "type"}})
    for piece in listed(message.get("tool_calls")) if "tool_calls" in message else ():
        call = _inner(piece, "tool_call")
        function = _inner(call, "function")
        parts.append(called(call.get("id"), function.get("name"), function.get("arguments")))
    told = message_of(message.get("role"), parts)
    put(told, "name", message.get("name"))
    return told


# --- OpenLLMetry, and the conventions as they once were -----------------------------------------------------------------


def openllmetry_content(given: Attributes, found: Attributes, flat: Mapping[str, Entries]) -> None:
    """``gen_ai.prompt.{i}.*`` and ``gen_ai.completion.{i}.*``, else ``traceloop.entity.input`` and ``output``."""
    if "gen_ai.prompt." in flat:
        put(found, keys.INPUT_MESSAGES, [_older_message(item) for item in _items(flat, "gen_ai.prompt.")])
    if "gen_ai.completion." in flat:
        put(found, keys.OUTPUT_MESSAGES, [_older_message(item) for item in _items(flat, "gen_ai.completion.")])
    is_tool = given.get("traceloop.span.kind") == "tool"
    put(found, keys.TOOL_CALL_ARGUMENTS if is_tool else keys.INPUT_MESSAGES, given.get("traceloop.entity.input"))
    put(found, keys.TOOL_CALL_RESULT if is_tool else keys.OUTPUT_MESSAGES, given.get("traceloop.entity.output"))
    entity = given.get("traceloop.entity.name")
    if entity is not None:
        named = {"tool": keys.TOOL_NAME, "agent": keys.GEN_AI_AGENT_NAME, "task": keys.TASK_NAME}
        name = named.get(str(given.get("traceloop.span.kind")))
        if name is not None:
            put(found, name, entity)


def _older_message(item: Any) -> dict[str, Any]:
    message = item if type(item) is dict else {}
    parts: list[Any] = []
    content = message.get("content")
    if content not in (None, ""):
        parts.append({"type": "text", "content": content})
    parts += [
        called(call.get("id"), call.get("name"), call.get("arguments"))
        for call in listed(message.get("tool_calls"))
        if type(call) is dict
    ]
    told = message_of(message.get("role"), parts)
    put(told, "finish_reason", message.get("finish_reason"))
    return told


# --- MLflow, Google's ADK and Vercel ------------------------------------------------------------------------------------


def mlflow_content(given: Attributes, found: Attributes) -> None:
    """MLflow's JSON: what a chat model used and who it was, and what a tool was given."""
    # Of the OpenAI Agents SDK it told the same under shorter names: https://github.com/mlflow/mlflow/issues/24059
    usage = read_json(given.get("mlflow.chat.tokenUsage") or given.get("usage"))
    if type(usage) is dict:
        put(found, keys.USAGE_INPUT_TOKENS, usage.get("input_tokens", usage.get("prompt_tokens")))
        put(found, keys.USAGE_OUTPUT_TOKENS, usage.get("output_tokens", usage.get("completion_tokens")))
        put(found, keys.USAGE_CACHE_READ_INPUT_TOKENS, usage.get("cache_read_input_tokens"))
        put(found, keys.USAGE_CACHE_WRITE_INPUT_TOKENS, usage.get("cache_creation_input_tokens"))
    asked = read_json(given.get("mlflow.spanInputs"))
    named = asked.get("model") if type(asked) is dict else None
    put(found, keys.REQUEST_MODEL, read_json(given.get("mlflow.llm.model")) or named or read_json(given.get("model")))
    put(found, keys.PROVIDER_NAME, read_json(given.get("mlflow.llm.provider")))
    put(found, keys.CONVERSATION_ID, read_json(given.get("mlflow.trace.session")))
    if read_json(given.get("mlflow.spanType")) == "TOOL":
        put(found, keys.TOOL_CALL_ARGUMENTS, given.get("mlflow.spanInputs"))
        put(found, keys.TOOL_CALL_RESULT, given.get("mlflow.spanOutputs"))


def adk_content(given: Attributes, found: Attributes) -> None:
    """Request and answer of Google's ADK, each a JSON text that is empty where content is off."""
    request, answer = (read_json(given.get(f"gcp.vertex.agent.llm_{part}")) for part in ("request", "response"))
    if type(request) is dict:
        put(found, keys.INPUT_MESSAGES, listed(request.get("contents")) or None)
        settings = request.get("config")
        put(found, keys.SYSTEM_INSTRUCTIONS, settings.get("system_instruction") if type(settings) is dict else None)
    if type(answer) is dict and type(answer.get("content")) is dict:
        put(found, keys.OUTPUT_MESSAGES, [answer["content"]])


def vercel_content(given: Attributes, found: Attributes) -> None:
    """Prompt, answer, tool arguments and results of Vercel's AI SDK."""
    put(found, keys.TOOL_CALL_ARGUMENTS, given.get("ai.toolCall.args"))
    put(found, keys.TOOL_CALL_RESULT, given.get("ai.toolCall.result"))
    put(found, keys.INPUT_MESSAGES, given.get("ai.prompt.messages") or given.get("ai.prompt"))
    parts: list[Any] = []
    if given.get("ai.response.text"):
        parts.append({"type": "text", "content": given["ai.response.text"]})
    for call in listed(read_json(given.get("ai.response.toolCalls"))):
        if type(call) is dict:
            arguments = call.get("input", call.get("args"))
            parts.append(called(call.get("toolCallId"), call.get("toolName"), arguments))
    if parts:
        put(found, keys.OUTPUT_MESSAGES, [message_of("assistant", parts)])
    put(found, keys.OUTPUT_MESSAGES, given.get("ai.response.object"))


# --- small pieces -------------------------------------------------------------------------------------------------------


def put(found: Attributes, name: str, value: Any) -> None:
    """Say it under this name, where there is something to say and nothing is said there yet."""
    if value is not None and name not in found:
        found[name] = value


def _items(flat: Mapping[str, Entries], prefix: str) -> list[Any]:
    entries = flat.get(prefix)
    return unflatten(entries) if entries else []


def _inner(item: Any, name: str) -> dict[str, Any]:
    value = item.get(name) if type(item) is dict else None
    return value if type(value) is dict else {}


def listed(value: Any) -> list[Any]:
    """A list as it is, anything else as none."""
    return value if type(value) is list else []


def read_json(value: Any) -> Any:
    """What a JSON text says; any other value as it is."""
    if type(value) is str:
        try:
            return value if is_too_deep(value.encode()) else msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return value
    return value


def called(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """The part of a message by which a model calls a tool."""
    call: dict[str, Any] = {"type": "tool_call"}
    put(call, "id", call_id)
    put(call, "name", name)
    put(call, "arguments", read_json(arguments))
    return call


def message_of(role: Any, parts: list[Any]) -> dict[str, Any]:
    """A message of the conventions."""
    return {"role": role if isinstance(role, str) else "user", "parts": parts}
