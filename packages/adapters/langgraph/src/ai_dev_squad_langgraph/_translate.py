"""From LangChain and LangGraph objects to the core's schema: pure functions, testable without running a graph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from langgraph.errors import GraphBubbleUp, GraphDrained, NodeCancelledError, ParentCommand

from ai_dev_squad import attributes as keys
from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.schema import Status, Usage
from ai_dev_squad.tracing.errors import classify, register_control_flow

# These steer and are no failures. Spans that the user opens in nodes see them pass, too, and must agree.
register_control_flow(GraphBubbleUp, "interrupted")  # GraphInterrupt, and what may be added to its kind
register_control_flow(ParentCommand, "handoff")
register_control_flow(GraphDrained, "closed_early")
register_control_flow(NodeCancelledError, "cancelled")

__all__ = [
    "conversation_id",
    "graph_attributes",
    "handoff_target",
    "is_agent",
    "messages_content",
    "model_attributes",
    "model_request",
    "outcome",
    "own_metadata",
    "response_attributes",
    "response_content",
    "response_text",
    "service_tier_of",
    "task_attributes",
    "task_namespace",
    "usage_of",
]

# LangChain's `ls_provider` to `gen_ai.provider.name`; other names pass through.
_PROVIDERS = {
    "amazon_bedrock": "aws.bedrock",
    "amazon_bedrock_converse": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "azure": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "google_vertexai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "google_genai": "gcp.gen_ai",
    "google_generativeai": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "moonshot": "moonshot_ai",
}

_REQUEST_KEYS = {
    "temperature": keys.REQUEST_TEMPERATURE,
    "top_p": keys.REQUEST_TOP_P,
    "top_k": keys.REQUEST_TOP_K,
    "max_tokens": keys.REQUEST_MAX_TOKENS,
    "max_completion_tokens": keys.REQUEST_MAX_TOKENS,
    "max_output_tokens": keys.REQUEST_MAX_TOKENS,
    "seed": keys.REQUEST_SEED,
    "frequency_penalty": keys.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": keys.REQUEST_PRESENCE_PENALTY,
    "reasoning_effort": keys.REQUEST_REASONING_LEVEL,
}

_OWN_IDS = ("lc_run-", "run-")  # LangChain's own, where the provider's is not known

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


def outcome(error: BaseException) -> Status:
    """How an operation ended that LangGraph ended with this exception. Only a real failure is an error."""
    return classify(error)


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


def own_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's own plain metadata. It may hold live objects as well; only plain values are safe to keep."""
    return {
        key: value
        for key, value in metadata.items()
        if isinstance(value, (str, int, float, bool)) and not key.startswith(_INTERNAL_METADATA)
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
        "langgraph.task_id": namespace.rsplit(":", 1)[-1],
        "langgraph.triggers": [str(trigger) for trigger in metadata.get("langgraph_triggers") or ()],
    }


# --- model calls ------------------------------------------------------------------------------------------------------


def model_request(metadata: Mapping[str, Any], params: Mapping[str, Any], prompts: Sequence[Any]) -> ModelRequest:
    """What is known of a model call before it's made."""
    model = params.get("model") or params.get("model_name") or metadata.get("ls_model_name") or "unknown"
    limit = next((params[key] for key in _REQUEST_KEYS if "max_" in key and params.get(key)), None)
    return ModelRequest(
        model=str(model),
        provider=_provider(metadata, params),
        prompt=lambda: [(_role(message), _text(message)) for message in _flattened(prompts)],
        max_output_tokens=limit if isinstance(limit, int) else metadata.get("ls_max_tokens"),
        prompt_hash=_prompt_hash(prompts),
    )


def _provider(metadata: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    if params.get("_type") == "azure-openai-chat":  # LangChain calls both of Azure's services "azure"
        return "azure.ai.openai"
    provider = str(metadata.get("ls_provider") or params.get("_type") or "unknown").lower()
    return _PROVIDERS.get(provider, provider)


def _prompt_hash(prompts: Sequence[Any]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for message in _flattened(prompts):
        digest.update(f"{getattr(message, 'type', 'text')}\x1f{_text(message)}\x1e".encode("utf-8", "replace"))
    return digest.hexdigest()


def model_attributes(
    metadata: Mapping[str, Any], params: Mapping[str, Any], conversation: str | None
) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    attributes: dict[str, Any] = {
        attribute: params[key] for key, attribute in _REQUEST_KEYS.items() if params.get(key) is not None
    }
    if metadata.get("ls_temperature") is not None:
        attributes.setdefault(keys.REQUEST_TEMPERATURE, metadata["ls_temperature"])
    if metadata.get("ls_max_tokens") is not None:
        attributes.setdefault(keys.REQUEST_MAX_TOKENS, metadata["ls_max_tokens"])
    stop = params.get("stop") or metadata.get("ls_stop")
    if stop:
        attributes[keys.REQUEST_STOP_SEQUENCES] = [stop] if isinstance(stop, str) else [str(item) for item in stop]
    choices = params.get("n")
    if isinstance(choices, int) and choices != 1:
        attributes[keys.REQUEST_CHOICE_COUNT] = choices
    if "response_format" in params:
        attributes[keys.OUTPUT_TYPE] = "json"
    if conversation is not None:
        attributes[keys.CONVERSATION_ID] = conversation
    address = params.get("base_url") or params.get("openai_api_base")
    if isinstance(address, str) and (host := urlsplit(address)).hostname:
        attributes[keys.SERVER_ADDRESS] = host.hostname
        attributes[keys.SERVER_PORT] = host.port or (443 if host.scheme == "https" else 80)
    return attributes


def response_attributes(response: Any) -> dict[str, Any]:
    """Response attributes of a finished model call."""
    message = _message(response)
    answer = getattr(message, "response_metadata", None) or {}
    attributes: dict[str, Any] = {}
    if model := answer.get("model_name") or answer.get("model"):
        attributes[keys.RESPONSE_MODEL] = str(model)
    identity = str(answer.get("id") or getattr(message, "id", None) or "")
    if identity and not identity.startswith(_OWN_IDS):
        attributes[keys.RESPONSE_ID] = identity
    if reasons := [reason for item in _choices(response) if (reason := _finish_reason(item))]:
        attributes[keys.RESPONSE_FINISH_REASONS] = reasons
    return attributes


def usage_of(response: Any) -> tuple[Usage | None, bool]:
    """The provider's own token counts, and whether the answer came from LangChain's cache (then nothing is billed).

    Only the first choice is read: with ``n`` above 1 every choice repeats the total. Never raises: what isn't a count
    is unknown.
    """
    reported = _mapping(getattr(_message(response), "usage_metadata", None))
    if reported.get("total_cost") == 0:
        return Usage(input_tokens=0, output_tokens=0, source="provider"), True
    if reported:
        counts = _count(reported.get("input_tokens")), _count(reported.get("output_tokens"))
        details = _mapping(reported.get("input_token_details")), _mapping(reported.get("output_token_details"))
    else:
        totals = _mapping(_mapping(getattr(response, "llm_output", None)).get("token_usage"))
        counts = _count(totals.get("prompt_tokens")), _count(totals.get("completion_tokens"))
        details = {}, {}
    if not any(counts):
        return None, False
    return _usage(*counts, *details), False


def _usage(
    input_tokens: int | None, output_tokens: int | None, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> Usage:
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=_detail(inputs, "cache_read"),
        # Anthropic's are told apart by how long they are kept, and then the total says 0.
        cache_write_input_tokens=_detail(
            inputs, "cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"
        ),
        reasoning_output_tokens=_detail(outputs, "reasoning"),
        audio_input_tokens=_detail(inputs, "audio"),
        audio_output_tokens=_detail(outputs, "audio"),
        source="provider",
    )


# LangChain puts the service tier in front of the details of calls that are billed by another tariff.
_TIERS = ("", "flex_", "priority_")


def _detail(details: Mapping[str, Any], *names: str) -> int | None:
    """The sum of the counts under these names, or ``None`` if none is known."""
    counts = [_count(details.get(tier + name)) for name in names for tier in _TIERS]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def service_tier_of(response: Any) -> str | None:
    """The tariff that the provider says it used."""
    tier = _mapping(getattr(_message(response), "response_metadata", None)).get("service_tier")
    return tier if isinstance(tier, str) else None


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
    return None if reason is None else str(reason)


# --- content: read only when captured, or to estimate missing usage ---------------------------------------------------

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}


def _role(message: Any) -> str:
    kind = getattr(message, "type", "human")
    return _ROLES.get(kind, kind)


def _flattened(prompts: Sequence[Any]) -> list[Any]:
    return [item for prompt in prompts for item in (prompt if isinstance(prompt, list) else [prompt])]


def _text(message: Any) -> str:
    content = message if isinstance(message, str) else getattr(message, "content", message)
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part if isinstance(part, str) else str(part.get("text", ""))
            for part in content
            if isinstance(part, (str, dict))
        )
    return str(content)


def messages_content(prompts: Sequence[Any]) -> list[dict[str, Any]]:
    """Messages in the shape of ``gen_ai.input.messages``: role and parts."""
    return [_as_message(item) for item in _flattened(prompts)]


def response_content(response: Any) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``, one message per choice."""
    result = []
    for choice in _choices(response):
        message = _as_message(getattr(choice, "message", None) or getattr(choice, "text", ""), role="assistant")
        if reason := _finish_reason(choice):
            message["finish_reason"] = reason
        result.append(message)
    return result


def response_text(response: Any) -> str:
    """The text of the answer, tool calls included, for an estimate of its tokens."""
    parts = []
    for choice in _choices(response):
        message = getattr(choice, "message", None)
        parts.append(_text(message) if message is not None else str(getattr(choice, "text", "")))
        parts.extend(f"{call.get('name')}{call.get('args')}" for call in getattr(message, "tool_calls", None) or ())
    return "".join(parts)


def _as_message(message: Any, role: str | None = None) -> dict[str, Any]:
    kind = getattr(message, "type", "human")
    if kind == "tool":
        identity = getattr(message, "tool_call_id", None)
        return {"role": "tool", "parts": [{"type": "tool_call_response", "id": identity, "response": _text(message)}]}
    content = message if isinstance(message, str) else getattr(message, "content", message)
    pieces = content if isinstance(content, list) else [content]
    parts = [part for piece in pieces if (part := _as_part(piece)) is not None]
    parts.extend(
        {"type": "tool_call", "id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}
        for call in getattr(message, "tool_calls", None) or ()
    )
    return {"role": role or _role(message), "parts": parts}


def _as_part(piece: Any) -> dict[str, Any] | None:
    """One piece of a message's content; tool calls are listed apart."""
    if not isinstance(piece, Mapping):
        return {"type": "text", "content": str(piece)} if piece else None
    kind = piece.get("type", "text")
    if kind in {"text", "output_text", "input_text"}:
        return {"type": "text", "content": piece.get("text", "")}
    if kind in {"reasoning", "thinking"}:
        return {"type": "reasoning", "content": piece.get("reasoning") or piece.get("thinking") or piece.get("summary")}
    if kind == "image_url":
        image = piece.get("image_url")
        return {"type": "uri", "modality": "image", "uri": image.get("url") if isinstance(image, Mapping) else image}
    if kind in {"tool_use", "tool_call", "function_call"}:
        return None
    return dict(piece)
