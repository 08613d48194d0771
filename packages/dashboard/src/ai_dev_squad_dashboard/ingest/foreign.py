"""Spans of other instrumentations, told in the names of OpenTelemetry's GenAI conventions.

What is data is data: the tables below say which attribute means what. Only content that is spread over many attributes
needs code, and stands in ``foreign_content``. Names are those that these releases write: OpenInference (semantic conventions
0.1.42), OpenLLMetry 0.62, Langfuse 3, Logfire 5 and Pydantic AI, Vercel's AI SDK 5, AutoGen 0.7, CrewAI 1.15, and the
older names of the conventions themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ai_dev_squad import attributes as keys

from .foreign_content import (
    CONTENT_PREFIXES,
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


def canonical(span: Span) -> Attributes:
    """The span's attributes with the canonical ones beside them; the very same dictionary when there is nothing to add."""
    given = span.attributes
    if _FOREIGN.isdisjoint(given):
        return given
    found = dict(given)
    if "openinference.span.kind" in given:
        openinference_content(given, found)
    elif "langfuse.observation.usage_details" in given or "langfuse.observation.cost_details" in given:
        langfuse_usage(given, found)
    elif "ai.operationId" in given:
        vercel_content(given, found)
    openllmetry_content(given, found)
    for name, meaning in _NAMES.items():
        if name in given and meaning not in found:
            found[meaning] = given[name]
    return found


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


def is_content(name: str) -> bool:
    """Whether an attribute holds content that is shown as such and not as an attribute again."""
    return name.startswith(CONTENT_PREFIXES)
