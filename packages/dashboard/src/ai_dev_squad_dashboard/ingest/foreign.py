"""Spans of other instrumentations, told in the names of OpenTelemetry's GenAI conventions.

What is data is data: the tables below say which attribute means what. Only content that is spread over many attributes
needs code, and stands in ``foreign_content``. Names are those that these releases write: OpenInference (semantic conventions
0.1.42), OpenLLMetry 0.62, Langfuse 3, Logfire 5 and Pydantic AI, Vercel's AI SDK 5, AutoGen 0.7, CrewAI 1.15, and the
older names of the conventions themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ai_dev_squad import attributes as keys

from .foreign_content import (
    Entries,
    langfuse_usage,
    openinference_content,
    openllmetry_content,
    vercel_content,
)
from .otlp_shapes import Attributes, Span

__all__ = ["COST", "OPERATIONS", "canonical", "framework_of", "operation_of", "provider_of"]

COST = "gen_ai.usage.cost.amount"
"""The cost that a sender states, in USD unless ``gen_ai.usage.cost.currency`` says otherwise."""

_NAMES = {
    # The conventions' own older names, and close variants of the present ones.
    "gen_ai.system": keys.PROVIDER_NAME,
    "gen_ai.usage.prompt_tokens": keys.USAGE_INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": keys.USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.cache_creation.input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.cache_creation_input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.cache_write_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.cache_read_input_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.cache_read_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.details.cache_read_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.details.cache_write_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.details.reasoning_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "gen_ai.usage.reasoning_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "gen_ai.prompt": keys.INPUT_MESSAGES,
    "gen_ai.completion": keys.OUTPUT_MESSAGES,
    "gen_ai.input_messages": keys.INPUT_MESSAGES,
    "gen_ai.output_messages": keys.OUTPUT_MESSAGES,
    "gen_ai.server.time_to_first_token": keys.RESPONSE_TIME_TO_FIRST_CHUNK,
    # Costs that come with a span.
    "gen_ai.usage.cost": COST,
    "gen_ai.usage.total_cost": COST,
    "llm.cost.total": COST,
    "operation.cost": COST,
    # OpenInference.
    "llm.provider": keys.PROVIDER_NAME,
    "llm.system": keys.PROVIDER_NAME,
    "llm.request.model_name": keys.REQUEST_MODEL,
    "llm.response.model_name": keys.RESPONSE_MODEL,
    "llm.model_name": keys.REQUEST_MODEL,
    "embedding.model_name": keys.REQUEST_MODEL,
    "llm.token_count.prompt": keys.USAGE_INPUT_TOKENS,
    "llm.token_count.completion": keys.USAGE_OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "llm.token_count.prompt_details.cache_input": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "llm.token_count.prompt_details.cache_write": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "llm.token_count.prompt_details.audio": keys.USAGE_AUDIO_INPUT_TOKENS,
    "llm.token_count.completion_details.audio": keys.USAGE_AUDIO_OUTPUT_TOKENS,
    "llm.token_count.completion_details.reasoning": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "tool.name": keys.TOOL_NAME,
    "tool.description": keys.TOOL_DESCRIPTION,
    "tool.id": keys.TOOL_CALL_ID,
    "tool.agent_role": keys.GEN_AI_AGENT_NAME,
    "agent.name": keys.GEN_AI_AGENT_NAME,
    "session.id": keys.CONVERSATION_ID,
    # OpenLLMetry.
    "traceloop.association.properties.session_id": keys.CONVERSATION_ID,
    "traceloop.association.properties.thread_id": keys.CONVERSATION_ID,
    "traceloop.workflow.name": keys.WORKFLOW_NAME,
    "crewai.crew.name": keys.WORKFLOW_NAME,
    "crewai.task.agent": keys.GEN_AI_AGENT_NAME,
    # CrewAI's own tracer.
    "crewai.agent.role": keys.GEN_AI_AGENT_NAME,
    # Langfuse.
    "langfuse.session.id": keys.CONVERSATION_ID,
    "langfuse.observation.model.name": keys.REQUEST_MODEL,
    "langfuse.observation.completion_start_time": "langfuse.completion_start_time",
    "langfuse.observation.input": keys.INPUT_MESSAGES,
    "langfuse.observation.output": keys.OUTPUT_MESSAGES,
    # Vercel's AI SDK.
    "ai.model.id": keys.REQUEST_MODEL,
    "ai.model.provider": keys.PROVIDER_NAME,
    "ai.response.model": keys.RESPONSE_MODEL,
    "ai.response.id": keys.RESPONSE_ID,
    "ai.usage.inputTokens": keys.USAGE_INPUT_TOKENS,
    "ai.usage.promptTokens": keys.USAGE_INPUT_TOKENS,
    "ai.usage.tokens": keys.USAGE_INPUT_TOKENS,
    "ai.usage.outputTokens": keys.USAGE_OUTPUT_TOKENS,
    "ai.usage.completionTokens": keys.USAGE_OUTPUT_TOKENS,
    "ai.usage.cachedInputTokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "ai.usage.reasoningTokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "ai.toolCall.name": keys.TOOL_NAME,
    "ai.toolCall.id": keys.TOOL_CALL_ID,
    "ai.telemetry.functionId": keys.GEN_AI_AGENT_NAME,
}
"""Foreign attribute → canonical one. Where several mean the same the first wins, and a canonical one beats them all."""

OPERATIONS = {
    "invoke_workflow": "invoke_workflow",
    "invoke_agent": "invoke_agent",
    "task": "task",
    "execute_task": "task",
    "execute_method": "task",
    "execute_tool": "execute_tool",
    "chat": "chat",
    "text_completion": "text_completion",
    "completion": "text_completion",
    "generate_content": "generate_content",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "retrieval": "retrieval",
    "rerank": "retrieval",
    "plan": "plan",
    "guardrail": "guardrail",
}
"""``gen_ai.operation.name`` → ours. All others, such as ``create_agent``, are ``other``."""

_KINDS = {
    "traceloop.span.kind": {
        "workflow": "invoke_workflow",
        "agent": "invoke_agent",
        "task": "task",
        "tool": "execute_tool",
    },
    "gen_ai.operation.name": OPERATIONS,
    "openinference.span.kind": {
        "LLM": "chat",
        "AGENT": "invoke_agent",
        "CHAIN": "task",
        "TOOL": "execute_tool",
        "RETRIEVER": "retrieval",
        "RERANKER": "retrieval",
        "EMBEDDING": "embeddings",
        "GUARDRAIL": "guardrail",
    },
    "llm.request.type": {
        "chat": "chat",
        "completion": "text_completion",
        "embedding": "embeddings",
        "rerank": "retrieval",
    },
    "langfuse.observation.type": {
        "generation": "chat",
        "agent": "invoke_agent",
        "chain": "task",
        "tool": "execute_tool",
        "retriever": "retrieval",
        "embedding": "embeddings",
        "guardrail": "guardrail",
    },
    "ai.operationId": {
        "ai.generateText": "invoke_agent",
        "ai.streamText": "invoke_agent",
        "ai.generateObject": "invoke_agent",
        "ai.streamObject": "invoke_agent",
        "ai.generateText.doGenerate": "chat",
        "ai.streamText.doStream": "chat",
        "ai.generateObject.doGenerate": "chat",
        "ai.streamObject.doStream": "chat",
        "ai.embed.doEmbed": "embeddings",
        "ai.embedMany.doEmbed": "embeddings",
        "ai.toolCall": "execute_tool",
    },
}
"""Which attribute says what kind of span it is, and what its values mean. The first that is there decides."""

_LISTS = (
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.tools.",
    "retrieval.documents.",
    "gen_ai.prompt.",
    "gen_ai.completion.",
)
"""How the names of attributes begin over which a list is spread."""

_CONTENT = (
    *_LISTS,
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.input_messages",
    "gen_ai.output_messages",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "input.value",
    "output.value",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "ai.prompt",
    "ai.response.text",
    "ai.response.toolCalls",
    "ai.response.object",
    "ai.toolCall.args",
    "ai.toolCall.result",
)
"""How the names of attributes begin that are shown as content."""

_RANKS = {name: rank for rank, name in enumerate(_NAMES)}
_MOST_ITEMS = 1024
"""Items of a flattened list that become content; further ones stay attributes."""
_DEEPEST = 12
_ROLES_KEPT = 8192

_FOREIGN = (
    frozenset(_NAMES)
    | (_KINDS.keys() - {"gen_ai.operation.name"})
    | {f"gen_ai.{side}.0.{part}" for side in ("prompt", "completion") for part in ("role", "content")}
)
"""A span with none of these is told in canonical names already."""

_FRAMEWORKS = {
    "langgraph": "langgraph",
    "crewai": "crewai",
    "autogen": "autogen",
    "langchain": "langchain",
    "llama_index": "llama-index",
    "llamaindex": "llama-index",
    "openai_agents": "openai-agents",
    "openai-agents": "openai-agents",
    "pydantic-ai": "pydantic-ai",
    "pydantic_ai": "pydantic-ai",
    "smolagents": "smolagents",
    "google_adk": "google-adk",
    "gcp.vertex.agent": "google-adk",
    "semantic_kernel": "semantic-kernel",
    "haystack": "haystack",
    "agno": "agno",
    "dspy": "dspy",
    "strands": "strands",
    "claude_agent_sdk": "claude-agent-sdk",
}
"""What stands in the name of an instrumentation → the framework it observes."""

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "google": "gcp.gen_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "xai": "x_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
}
"""A provider's other names → the conventions' name. Vercel's ``openai.chat`` and ``anthropic.messages`` lose what follows."""

_NO_PROVIDERS = frozenset({"autogen", "crewai", "langchain", "langgraph", "llamaindex"})
_API_SUFFIXES = (".chat", ".responses", ".messages", ".completion", ".embedding", ".generative-ai")


def canonical(span: Span) -> tuple[Attributes, Attributes]:
    """The span's attributes with the canonical ones beside them, and those that are shown as attributes: the others are
    content. Both are the span's very own dictionary when it is told in canonical names already.
    """
    given = span.attributes
    if _FOREIGN.isdisjoint(given):
        return given, given
    found, shown = dict(given), {}
    chosen: dict[str, int] = {}
    flat: dict[str, Entries] = {}
    for name, value in given.items():
        role = _roles.get(name)
        if role is None:
            role = _role(name)
        if role.shown:
            shown[name] = value
        if role.meaning is not None and role.meaning not in given:
            rank = chosen.get(role.meaning)
            if rank is None or role.rank < rank:
                found[role.meaning], chosen[role.meaning] = value, role.rank
        elif role.list is not None:
            flat.setdefault(role.list, []).append((role.path, value))
    if "openinference.span.kind" in given:
        openinference_content(given, found, flat)
    elif "langfuse.observation.type" in given or "langfuse.observation.usage_details" in given:
        langfuse_usage(given, found)
    elif "ai.operationId" in given:
        vercel_content(given, found)
    else:
        openllmetry_content(given, found, flat)
    return found, shown


class _Role(NamedTuple):
    """What an attribute of this name is for."""

    shown: bool
    """Whether it is shown as an attribute; what becomes content is not."""
    meaning: str | None = None
    rank: int = 0
    list: str | None = None
    """The flattened list that it is a part of."""
    path: tuple[int | str, ...] = ()


_roles: dict[str, _Role] = {}


def _role(name: str) -> _Role:
    """The name's role, kept: the same names come again and again."""
    meaning = _NAMES.get(name)
    role = _Role(
        shown=not name.startswith(_CONTENT),
        meaning=meaning,
        rank=0 if meaning is None else _RANKS[name],
    )
    prefix = next((prefix for prefix in _LISTS if name.startswith(prefix)), None)
    if prefix is not None:
        steps = name[len(prefix) :].split(".")
        path = tuple(int(step) if step.isascii() and step.isdigit() and len(step) < 5 else step for step in steps)
        if (
            type(path[0]) is int
            and len(path) <= _DEEPEST
            and all(type(step) is str or int(step) < _MOST_ITEMS for step in path)
        ):
            role = role._replace(list=prefix, path=path)
        else:
            role = role._replace(shown=True)
    if len(_roles) >= _ROLES_KEPT:
        _roles.clear()
    _roles[name] = role
    return role


def operation_of(span: Span, values: Attributes) -> str:
    """What the span is: one of ``OPERATIONS``' values, or ``other``."""
    given = span.attributes
    for name, meanings in _KINDS.items():
        kind = given.get(name)
        if kind is None:
            continue
        operation = meanings.get(kind, "other") if isinstance(kind, str) else "other"
        if operation == "task" and (("crew_key" in given) or (not span.parent_span_id and kind == "CHAIN")):
            return "invoke_workflow"
        if operation == "invoke_agent" and span.name == "crewai.workflow":
            return "invoke_workflow"
        return operation
    # Older instrumentations name the model and count tokens, and say no more.
    if keys.REQUEST_MODEL in values and (keys.USAGE_INPUT_TOKENS in values or "gen_ai.system" in values):
        return "chat"
    return "other"


def provider_of(value: Any) -> str | None:
    """A provider by the conventions' name; ``None`` for a framework, which is none."""
    if not isinstance(value, str) or not value:
        return None
    name = value.lower()
    if name.endswith(_API_SUFFIXES):
        name = name[: name.rindex(".")]
    return None if name in _NO_PROVIDERS else _PROVIDERS.get(name, name)[:256]


def framework_of(scope: str, given: Attributes) -> str | None:
    """The framework that the instrumentation ``scope`` observes, as far as its name or the span says so."""
    found = _framework_in(scope)
    if found == "langchain":
        metadata = given.get("metadata")
        if (
            given.get(keys.PROVIDER_NAME) == "langgraph"
            or "traceloop.association.properties.langgraph_step" in given
            or (isinstance(metadata, str) and "langgraph" in metadata)
        ):
            return "langgraph"
    if found is None:
        system = given.get("gen_ai.system")
        return system if isinstance(system, str) and system in _NO_PROVIDERS else None
    return found


@lru_cache(maxsize=1024)
def _framework_in(scope: str) -> str | None:
    lowered = scope.lower()
    return next((name for part, name in _FRAMEWORKS.items() if part in lowered), None)
