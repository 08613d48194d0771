"""What a provider reports, as plain data: whatever object it came in, wherever in an answer it stood.

A report is found in a usage object, in a whole answer, or in one event of a stream; reports of one answer that come in
pieces are put together. What the names mean is said in ``usage``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["FILE_SEARCHES", "HOLDERS", "PICTURES", "WEB_SEARCHES", "found", "inside", "merged", "plain"]

WEB_SEARCHES, FILE_SEARCHES = "web_searches", "file_searches"
"""How many of them an answer tells of, where its report of usage does not: whoever reads the answer counts them."""
PICTURES = "pictures"
"""The report of a model that drew pictures for an answer, with its name: it stands in the answer, beside the report of usage."""

COUNTS = frozenset(
    {
        # OpenAI and those that speak its language, Anthropic, LangChain, CrewAI
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "cached_tokens",
        "num_cached_tokens",
        "cached_prompt_tokens",
        "cache_creation_tokens",
        "cache_write_tokens",
        "prompt_cache_hit_tokens",
        "reasoning_tokens",
        "prompt_tokens_details",
        "prompt_token_details",
        "input_tokens_details",
        "input_token_details",
        "completion_tokens_details",
        "output_tokens_details",
        "output_token_details",
        # Mistral's sound, which has no tokens
        "prompt_audio_seconds",
        # Perplexity's deep research
        *("citation_tokens", "num_search_queries"),
        # Mistral's conversations
        *("connector_tokens", "connectors"),
        # Gemini, over REST and in Google's SDK
        *("promptTokenCount", "prompt_token_count"),
        *("candidatesTokenCount", "candidates_token_count"),
        *("responseTokenCount", "response_token_count"),
        *("thoughtsTokenCount", "thoughts_token_count"),
        *("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
        *("cachedContentTokenCount", "cached_content_token_count"),
        *("totalTokenCount", "total_token_count"),
        *("promptTokensDetails", "prompt_tokens_details"),
        *("candidatesTokensDetails", "candidates_tokens_details"),
        *("responseTokensDetails", "response_tokens_details"),
        *("cacheTokensDetails", "cache_tokens_details"),
        *("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"),
        # Gemini's interactions
        *("total_input_tokens", "total_output_tokens", "total_thought_tokens", "total_cached_tokens"),
        *(
            "total_tool_use_tokens",
            "input_tokens_by_modality",
            "output_tokens_by_modality",
            "tool_use_tokens_by_modality",
            "cached_tokens_by_modality",
        ),
        "grounding_tool_count",
        # Amazon Bedrock: Converse, the metrics of an invocation, Titan, Llama
        *("inputTokens", "outputTokens", "totalTokens", "cacheDetails"),
        *("cacheReadInputTokens", "cacheReadInputTokenCount", "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
        *("inputTokenCount", "outputTokenCount", "inputTextTokenCount", "totalOutputTextTokenCount", "results"),
        "generation_token_count",
        # IBM watsonx.ai
        *("input_token_count", "generated_token_count"),
        # Replicate
        "output_token_count",
        # Hugging Face's TGI; llama.cpp; Groq's compound systems
        *("input_length", "generated_tokens"),
        *("tokens_evaluated", "tokens_predicted"),
        "usage_breakdown",
        # Ollama; Cohere
        *("prompt_eval_count", "eval_count", "billed_units", "tokens"),
        # Anthropic's rounds of one answer
        "iterations",
        # Searches of the provider's own: Anthropic's report, and what was counted in an answer
        *("server_tool_use", WEB_SEARCHES, FILE_SEARCHES, PICTURES),
        # Money
        *("cost", "cost_details", "estimated_cost", "is_byok", "cost_in_usd_ticks"),
    }
)
"""Names that a report of usage is made of. What has none of them holds the report further inside."""

_DETAILS = frozenset(
    {
        *(
            "cached_tokens",
            "cached_tokens_details",
            "cache_write_tokens",
            "cache_creation_tokens",
            "cache_creation_token_details",
        ),
        *("reasoning_tokens", "thinking_tokens", "audio_tokens", "image_tokens"),
        *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "web_search_requests"),
        *("modality", "tokenCount", "token_count", "ttl", "total_cost", "upstream_inference_cost"),
    }
)

_INSIDE = (
    *("usage", "usageMetadata", "usage_metadata", "token_usage", "x_groq", "amazon-bedrock-invocationMetrics"),
    *("message", "response", "delta", "meta"),
)
"""Where answers and events of a stream hold a report: Anthropic's ``message_start`` in ``message``, OpenAI's
``response.completed`` in ``response``, Cohere's ``message-end`` in ``delta``, Groq's last chunk in ``x_groq``."""
HOLDERS = frozenset({*_INSIDE, "metadata"})
"""Names under which a report, or a tier, may stand further inside."""
_DEEPEST = 3
_AMBIGUOUS = frozenset(
    {
        "tokens",
        "results",
        "connectors",
        "cost",
        "cost_details",
        "estimated_cost",
        "is_byok",
        WEB_SEARCHES,
        FILE_SEARCHES,
    }
)
"""Names that answers use for other things as well, or that frameworks move out of the report."""


def plain(source: Any) -> Mapping[str, Any]:
    """The fields of a mapping or an object. Empty for what has none."""
    if type(source) is dict:
        return source
    if source is None or isinstance(source, (str, bytes, int, float, list, tuple)):
        return {}
    if isinstance(source, Mapping):
        return source
    fields = getattr(source, "__dict__", None)
    if isinstance(fields, Mapping) and any(not name.startswith("_") for name in fields):
        more = getattr(source, "__pydantic_extra__", None)  # what a client's model has no field for
        return {**fields, **more} if isinstance(more, dict) and more else fields
    # Objects with slots, and those that compute what they have.
    values = ((name, getattr(source, name, None)) for name in COUNTS | _DETAILS)
    return {name: value for name, value in values if value is not None}


def found(source: Any, depth: int = 0) -> dict[str, Any]:
    """The report in a usage object, an answer or an event of a stream. Empty when it holds none."""
    fields = plain(source)
    report = {name: fields[name] for name in COUNTS.intersection(fields) if fields[name] is not None}
    if depth < _DEEPEST and not report.keys() - _AMBIGUOUS:
        for part in inside(fields):
            report = merged(report, found(part, depth + 1))
    return report


def inside(fields: Mapping[str, Any]) -> list[Any]:
    """The parts of an answer or an event that may hold its report."""
    if HOLDERS.isdisjoint(fields):  # the settings of a request, most of all
        return []
    parts = [fields[name] for name in _INSIDE if fields.get(name) is not None]
    # Answers repeat the metadata that the program sent along; Bedrock's event of that name has the usage in it.
    metadata = plain(fields.get("metadata"))
    return [*parts, metadata] if "usage" in metadata else parts


def merged(report: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """A report with what a later one adds: a later number replaces, a later 0 or ``None`` takes nothing back."""
    whole = dict(report)
    for name, value in later.items():
        before = whole.get(name)
        if before is None:
            whole[name] = value
        elif isinstance(value, (int, float, str, list, tuple)):
            whole[name] = value or before
        elif value is not None:
            whole[name] = merged(plain(before), plain(value))
    return whole
