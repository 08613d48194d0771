"""From LangChain and LangGraph objects to the core's schema: pure functions, testable without running a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp, GraphDrained, NodeCancelledError, ParentCommand
from langgraph.types import Command

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai import messages as shapes
from ai_dev_squad.genai import providers, requests
from ai_dev_squad.genai.errors import register_control_flow
from ai_dev_squad.genai.usage import combined, cost_from, tier_from, usage_from
from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.schema import Usage

# These steer and are no failures. Spans that the user opens in nodes see them pass, too, and must agree.
register_control_flow(GraphBubbleUp, "interrupted")  # GraphInterrupt, and what may be added to its kind
register_control_flow(ParentCommand, "handoff")
register_control_flow(GraphDrained, "closed_early")
register_control_flow(NodeCancelledError, "cancelled")

__all__ = [
    "answer",
    "compared",
    "conversation_id",
    "cost_of",
    "graph_attributes",
    "handoff_target",
    "is_agent",
    "messages_content",
    "model_attributes",
    "model_request",
    "own_metadata",
    "response_attributes",
    "response_content",
    "response_text",
    "service_tier_of",
    "task_attributes",
    "task_namespace",
    "unknown_tools",
    "usage_of",
]

_SHORTEST = 4  # of what LangChain doubles: "stop"
_OWN_IDS = ("lc_run-", "run-")  # LangChain's own, where the provider's is not known

_PLAIN = (str, int, float, bool)
_INTERNAL_METADATA = (
    "langgraph_",
    "ls_",
    "lc_",
    "__",
    "checkpoint_",
    "graph_id",
    "assistant_id",
    "thread_id",
    "run_id",
)


# --- graphs and tasks -------------------------------------------------------------------------------------------------


def handoff_target(command: ParentCommand) -> dict[str, Any]:
    """Where control goes."""
    target = getattr(command.args[0], "goto", None)
    if isinstance(target, str):
        return {"to": target}
    return {"to": [getattr(item, "node", str(item)) for item in target or ()]}


def conversation_id(metadata: Mapping[str, Any]) -> str | None:
    """The conversation that a run belongs to: ``thread_id``, else ``session_id``, else ``conversation_id``."""
    for key in ("thread_id", "session_id", "conversation_id"):
        value = metadata.get(key)
        if value is not None:
            return str(value)
    return None


def is_agent(name: str, metadata: Mapping[str, Any]) -> bool:
    """Whether this graph was made by ``langchain.agents.create_agent``. Metadata is inherited, the name is not."""
    return metadata.get("lc_agent_name") == name


def graph_attributes(run_id: Any, conversation: str | None) -> dict[str, Any]:
    """Attributes of a graph run."""
    attributes: dict[str, Any] = {"langgraph.run_id": str(run_id)}
    if conversation is not None:
        attributes[keys.CONVERSATION_ID] = conversation
    return attributes


def own_metadata(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """The caller's own plain metadata. It may hold live objects as well, also as keys; only plain ones are safe to keep."""
    return {
        str(key): value
        for key, value in metadata.items()
        if isinstance(value, _PLAIN) and isinstance(key, _PLAIN) and not str(key).startswith(_INTERNAL_METADATA)
    }


def task_namespace(name: str | None, metadata: Mapping[str, Any], enclosing: str | None) -> str | None:
    """The checkpoint namespace of a node's run, or ``None`` if this run is no node.

    A node's run carries the node's name and a namespace other than that of the enclosing node; routers, nested
    runnables and nested graphs share one of the two.
    """
    namespace: str | None = metadata.get("langgraph_checkpoint_ns")
    if namespace and namespace != enclosing and metadata.get("langgraph_node") == name:
        return namespace
    return None


def task_attributes(namespace: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of one run of a node."""
    return {
        "langgraph.step": metadata.get("langgraph_step"),
        "langgraph.checkpoint_ns": namespace,
        "langgraph.task_id": namespace.rpartition(":")[2],
        "langgraph.triggers": list(metadata.get("langgraph_triggers") or ()),
    }


# --- model calls ------------------------------------------------------------------------------------------------------


def unknown_tools(outputs: Any) -> Sequence[Any]:
    """The messages by which a ``ToolNode`` answers calls of tools that it doesn't have: it runs nothing for them.

    A node that passes on a conversation has such messages in it, too, between those of others, and did not write them.
    """
    messages = next(iter(outputs.values()), None) if type(outputs) is dict and len(outputs) == 1 else outputs
    if type(messages) is not list or not messages or any(type(message) is not ToolMessage for message in messages):
        return ()
    return [message for message in messages if message.status == "error" and _is_unknown(message)]


def _is_unknown(message: ToolMessage) -> bool:
    return str(message.content).startswith(f"Error: {message.name} is not a valid tool")


def model_request(metadata: Mapping[str, Any], params: Mapping[str, Any], prompts: Sequence[Any]) -> ModelRequest:
    """What is known of a model call before it's made."""
    model = params.get("model") or params.get("model_name") or metadata.get("ls_model_name") or "unknown"
    asked, tools = _flattened(prompts), params.get("tools")
    return requests.model_request(
        str(model),
        _provider(metadata, params),
        _settings(metadata, params),
        asked,
        tools,
        params.get("response_format"),
        prompt=lambda: shapes.countable(asked, tools),
    )


def _provider(metadata: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    if params.get("_type") == "azure-openai-chat":  # LangChain calls both of Azure's services "azure"
        return "azure.ai.openai"
    name = str(metadata.get("ls_provider") or params.get("_type") or "unknown")
    provider = providers.convention_name(name, framework="langchain")
    return providers.provider_behind(provider, _server(params).get(keys.SERVER_ADDRESS))


def _server(params: Mapping[str, Any]) -> dict[str, Any]:
    return requests.server_attributes(params.get("base_url") or params.get("openai_api_base"))


def _settings(metadata: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a call; LangChain notes some of the model's where the call's own are not told."""
    noted = {"temperature": "ls_temperature", "max_tokens": "ls_max_tokens", "stop": "ls_stop"}
    own = {name: value for name, value in params.items() if value is not None}
    return {**{name: metadata.get(key) for name, key in noted.items()}, **own}


def model_attributes(
    metadata: Mapping[str, Any], params: Mapping[str, Any], conversation: str | None
) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    attributes = requests.request_attributes(_settings(metadata, params), stream=False)
    if conversation is not None:
        attributes[keys.CONVERSATION_ID] = conversation
    attributes.update(_server(params))
    return attributes


def response_attributes(response: Any) -> dict[str, Any]:
    """Response attributes of a finished model call."""
    message = _message(response)
    answer = getattr(message, "response_metadata", None) or {}
    attributes: dict[str, Any] = {}
    if model := answer.get("model_name") or answer.get("model"):
        attributes[keys.RESPONSE_MODEL] = _once(str(model))
    identity = str(answer.get("id") or getattr(message, "id", None) or "")
    if identity and not identity.startswith(_OWN_IDS):
        attributes[keys.RESPONSE_ID] = identity
    if reasons := [reason for item in _choices(response) if (reason := _finish_reason(item))]:
        attributes[keys.RESPONSE_FINISH_REASONS] = reasons
    return attributes


def usage_of(response: Any, *, provider: str | None = None, model: str | None = None) -> tuple[Usage | None, bool]:
    """The provider's own token counts, and whether the answer came from LangChain's cache (then nothing is billed).

    Only the first choice is read: with ``n`` above 1 every choice repeats the total. LangChain's own summary has no place
    for some of what a server reports; where the server's words are at hand, they are read as well. Never raises.
    """
    message = _message(response)
    summary = _mapping(getattr(message, "usage_metadata", None))
    if summary.get("total_cost") == 0:
        return Usage(input_tokens=0, output_tokens=0, source="provider"), True
    told = usage_from(summary, provider=provider, model=model)
    raw = usage_from(_raw(response), provider=provider, model=model)
    return combined(told, raw), False


def _raw(response: Any) -> Any:
    """The server's own report, which only whole answers have."""
    answer = _mapping(getattr(_message(response), "response_metadata", None))
    found = answer.get("token_usage") or answer.get("usage")
    return found or _mapping(getattr(response, "llm_output", None)).get("token_usage")


def cost_of(response: Any) -> float | None:
    """What the provider says that the call cost, in USD."""
    return cost_from(_mapping(getattr(_message(response), "response_metadata", None)))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def service_tier_of(response: Any) -> str | None:
    """The tariff that the provider says it used."""
    return tier_from(_mapping(getattr(_message(response), "response_metadata", None)))


def _choices(response: Any) -> Sequence[Any]:
    generations = getattr(response, "generations", None)
    first = generations[0] if isinstance(generations, (list, tuple)) and generations else ()
    return first if isinstance(first, (list, tuple)) else ()


def _message(response: Any) -> Any:
    choices = _choices(response)
    return getattr(choices[0], "message", None) if choices else None


def _finish_reason(choice: Any) -> str | None:
    metadata = getattr(getattr(choice, "message", None), "response_metadata", None) or {}
    info = getattr(choice, "generation_info", None) or {}
    reason = metadata.get("finish_reason") or metadata.get("stop_reason") or info.get("finish_reason")
    return None if reason is None else _once(str(reason))


def _once(text: str) -> str:
    """LangChain adds up texts of chunks: a name that comes with every one of them stands there many times over."""
    return next(
        (text[:size] for size in range(_SHORTEST, len(text) // 2 + 1) if text == text[:size] * (len(text) // size)),
        text,
    )


# --- content: read only when captured, or to estimate missing usage ---------------------------------------------------


def _flattened(prompts: Sequence[Any]) -> list[Any]:
    return [item for prompt in prompts for item in (prompt if isinstance(prompt, list) else [prompt])]


def messages_content(prompts: Sequence[Any]) -> list[dict[str, Any]]:
    """Messages in the shape of ``gen_ai.input.messages``: role and parts."""
    return shapes.input_messages(_flattened(prompts))


def response_content(response: Any) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``, one message per choice."""
    result = []
    for choice in _choices(response):
        message = shapes.message(getattr(choice, "message", None) or getattr(choice, "text", ""), "assistant")
        if reason := _finish_reason(choice):
            message["finish_reason"] = reason
        result.append(message)
    return result


def answer(response: Any) -> list[Any]:
    """What an answer is compared by: texts, and tool calls without their ids."""
    found: list[Any] = []
    for choice in _choices(response):
        said = getattr(choice, "message", None)
        if said is None:
            found.append(getattr(choice, "text", None))
            continue
        found.append(said.content)
        found.extend((call["name"], call["args"]) for call in getattr(said, "tool_calls", None) or ())
    return found


def compared(result: Any) -> Any:
    """What a tool's result is compared by: where a command leads, and what it says, without the ids of its messages."""
    if not isinstance(result, Command):
        return result
    update = result.update if isinstance(result.update, Mapping) else {}
    said = [getattr(item, "content", None) for item in update.get("messages") or ()]
    kept = {key: value for key, value in update.items() if key != "messages"}
    return [result.goto, said, kept]


def response_text(response: Any) -> str:
    """The text of the answer, tool calls included, for an estimate of its tokens."""
    said = [getattr(choice, "message", None) or getattr(choice, "text", "") for choice in _choices(response)]
    return shapes.countable_text(said)
