"""How providers count tokens: what each name in a report means, and what "input" and "output" hold there.

Where the names are from:

- OpenAI, chat and responses: https://platform.openai.com/docs/api-reference/chat/object and ``…/responses/object``.
- xAI, reasoning beside the completion, and the cost in ticks: https://docs.x.ai/developers/cost-tracking
- Anthropic, the cache beside the input: https://docs.claude.com/en/docs/build-with-claude/prompt-caching
- Its searches: https://platform.claude.com/docs/en/about-claude/pricing#web-search-tool
- Gemini: https://ai.google.dev/api/generate-content#UsageMetadata
- Its interactions: https://ai.google.dev/api/interactions-api#Resource:Interaction
- Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html and
  ``…/API_runtime_CacheDetail.html``
- Ollama: https://docs.ollama.com/api/usage. Cohere: https://docs.cohere.com/reference/chat
- Mistral: https://docs.mistral.ai/api. Perplexity, sources beside the prompt: https://docs.perplexity.ai/getting-started/pricing
- IBM watsonx.ai: https://ibm.github.io/watsonx-ai-node-sdk/interfaces/0_1_x.WatsonXAI.TextGenResult-1.html
- DeepSeek: https://api-docs.deepseek.com/guides/kv_cache. OpenRouter:
  https://openrouter.ai/docs/use-cases/usage-accounting
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ai_dev_squad.genai.reports import FILE_SEARCHES, WEB_SEARCHES, plain
from ai_dev_squad.genai.rounds import as_served, elsewhere, in_between
from ai_dev_squad.schema import Usage

__all__ = ["beside", "counted"]

_MOST = 1 << 53

# Names that mean the same, most specific first.
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_PLAIN = {
    frozenset({*names, *total}): names
    for names in zip(_INPUT, _OUTPUT, strict=True)
    for total in ((), ("total_tokens",))
}
_CACHE_READ = (
    "cache_read_input_tokens",
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_prompt_tokens",  # CrewAI
    "cached_tokens",  # Moonshot
    "num_cached_tokens",  # Mistral
)
_CACHE_WRITE = ("cache_creation_input_tokens", "cache_creation_tokens", "cache_write_tokens")
_INPUT_DETAILS = ("prompt_tokens_details", "prompt_token_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
# LangChain puts the service tier in front of the details of calls that are billed by another tariff.
_TIERS = ("flex_", "priority_")


def _count(source: Mapping[str, Any], *names: str) -> int | None:
    """The first of these that counts something; 0 if one is there but none counts."""
    known: int | None = None
    for name in names:
        value = _whole(source.get(name))
        if value:
            return value
        if value is not None:
            known = 0
    return known


def _whole(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value < _MOST else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MOST:
        return None
    return int(value)


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _either(*counts: int | None) -> int | None:
    """The first that counts something; 0 if one of them says so."""
    known = None
    for count in counts:
        if count:
            return count
        known = count if known is None else known
    return known


def _larger(count: int | None, other: int | None) -> int | None:
    return max(count, other) if count is not None and other is not None else count if other is None else other


def _inside(source: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = source.get(name)
        if value is not None and (fields := plain(value)):
            return fields
    return {}


def _detail(details: Mapping[str, Any], name: str) -> int | None:
    """One of LangChain's details, whichever tariff it was billed by."""
    return _sum(_count(details, name), *(_count(details, tier + name) for tier in _TIERS))


def _no_detail(details: Mapping[str, Any], name: str) -> None:
    return None


# --- what the reports mean ----------------------------------------------------------------------------------------------


def counted(report: Mapping[str, Any], *, gemini: bool = False) -> Usage | None:
    """The usage in a report (see ``reports.found``); ``None`` when it counts nothing. ``gemini``: a model of Google's was asked."""
    usage = _two_numbers(report)
    if usage is not None:
        return usage
    for names, read in _DIALECTS:
        for name in names:
            if name in report:
                return _checked(gemini=gemini, **read(report))
    return None


def _two_numbers(report: Mapping[str, Any]) -> Usage | None:
    """The usage of a report that says nothing but what went in and what came out, and a total that agrees."""
    names = _PLAIN.get(frozenset(report)) if len(report) < 4 else None
    if names is None:
        return None
    asked, said = report[names[0]], report[names[1]]
    if type(asked) is not int or type(said) is not int or not (0 < asked < _MOST and 0 <= said < _MOST):
        return None
    if report.get("total_tokens", asked + said) != asked + said:
        return None
    return Usage(input_tokens=asked, output_tokens=said, source="provider")


def _checked(
    *,
    gemini: bool,
    asked: int | None,
    said: int | None,
    beside: int = 0,
    read: int | None = None,
    read_heard: int | None = None,
    written: int | None = None,
    hour: int | None = None,
    thought: int | None = None,
    heard: tuple[int | None, int | None] = (None, None),
    seen: tuple[int | None, int | None] = (None, None),
    searched: tuple[int | None, int | None] = (None, None),
) -> Usage | None:
    """The usage, each whole at least as large as its parts: those tokens were counted, wherever that was."""
    if not asked and not said:
        return None
    read, written = _larger(read, read_heard), _larger(written, hour)
    cached = (read or 0) + (written or 0)
    if asked and cached > asked:  # then they cannot be a part of it
        asked += cached
    if said is not None:
        if beside > 0 and (gemini or beside == thought):
            # xAI and Gemini count reasoning beside the completion; only the total says so.
            said, thought = said + beside, thought or beside
        if thought and thought > said:
            said += thought
        said = max(said, (heard[1] or 0) + (seen[1] or 0))
    asked = max(asked, (heard[0] or 0) + (seen[0] or 0)) if asked else None if said else asked
    return Usage(
        input_tokens=asked,
        output_tokens=said,
        cache_read_input_tokens=read,
        cache_read_audio_input_tokens=read_heard,
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=hour,
        reasoning_output_tokens=thought,
        audio_input_tokens=heard[0],
        audio_output_tokens=heard[1],
        image_input_tokens=seen[0],
        image_output_tokens=seen[1],
        web_searches=searched[0],
        file_searches=searched[1],
        source="provider",
    )


def _openai_or_anthropic(report: Mapping[str, Any]) -> dict[str, Any]:
    report = as_served(report)
    inputs, outputs = _inside(report, *_INPUT_DETAILS), _inside(report, *_OUTPUT_DETAILS)
    detail = _detail if "input_token_details" in report or "output_token_details" in report else _no_detail
    read = _either(_count(report, *_CACHE_READ), _count(inputs, "cached_tokens"), detail(inputs, "cache_read"))
    lifetimes = _inside(report, "cache_creation") or _inside(inputs, "cache_creation_token_details") or inputs
    hour = _count(lifetimes, "ephemeral_1h_input_tokens")
    # LangChain says 0 where the two lifetimes are told apart.
    written = _larger(
        _either(
            _count(report, *_CACHE_WRITE),
            _count(inputs, "cache_write_tokens", "cache_creation_tokens"),
            detail(inputs, "cache_creation"),
        ),
        _sum(hour, _count(lifetimes, "ephemeral_5m_input_tokens")),
    )
    asked, said = _sum(_count(report, *_INPUT), _count(report, "citation_tokens")), _count(report, *_OUTPUT)
    thought = _either(
        _count(report, "reasoning_tokens"),
        _count(outputs, "reasoning_tokens", "thinking_tokens"),
        detail(outputs, "reasoning"),
    )
    total = _count(report, "total_tokens")
    anthropic = "cache_read_input_tokens" in report or "cache_creation_input_tokens" in report
    if anthropic and "prompt_tokens" not in report and (total is None or total != _sum(asked, said)):
        # Anthropic's own report: its `input_tokens` are those that had nothing to do with the cache. It has no total;
        # whoever adds one may have added the cache as well.
        asked = _sum(asked, read, written)
    for more in map(_openai_or_anthropic, in_between(report)):
        asked, said, read = _sum(asked, more["asked"]), _sum(said, more["said"]), _sum(read, more["read"])
        written, hour = _sum(written, more["written"]), _sum(hour, more["hour"])
    if said is None and total and asked and total > asked:
        said = total - asked
    return {
        "asked": asked,
        "said": said,
        "beside": total - asked - said if total and asked and said is not None else 0,
        "read": read,
        "read_heard": _count(_inside(inputs, "cached_tokens_details"), "audio_tokens"),
        "written": written,
        "hour": hour,
        "thought": thought,
        "heard": (
            _either(_count(inputs, "audio_tokens"), detail(inputs, "audio")),
            _either(_count(outputs, "audio_tokens"), detail(outputs, "audio")),
        ),
        "seen": (
            _either(_count(inputs, "image_tokens"), detail(inputs, "image")),
            _either(_count(outputs, "image_tokens"), detail(outputs, "image")),
        ),
        "searched": (
            _either(
                _count(_inside(report, "server_tool_use"), "web_search_requests"),
                _count(report, WEB_SEARCHES, "num_search_queries"),
            ),
            _count(report, FILE_SEARCHES),
        ),
    }


def beside(report: Mapping[str, Any]) -> list[tuple[str, Usage]]:
    """Other models that were asked within an answer, and what each was billed: it is no part of what the rest counts."""
    counted = [(model, _checked(gemini=False, **_openai_or_anthropic(item))) for model, item in elsewhere(report)]
    return [(model, usage) for model, usage in counted if usage is not None]


def _gemini(report: Mapping[str, Any]) -> dict[str, Any]:
    # Gemini counts thoughts, and prompts of its built-in tools, beside the rest; what is cached is part of the prompt.
    thought = _count(report, "thoughtsTokenCount", "thoughts_token_count", "reasoning_tokens")
    said = _count(
        report,
        *("candidatesTokenCount", "candidates_token_count", "responseTokenCount", "response_token_count"),
        "generation_token_count",  # Llama on Bedrock
    )
    inputs = [
        *_listed(report, "promptTokensDetails", "prompt_tokens_details"),
        *_listed(report, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"),
    ]
    outputs = _listed(
        report,
        *("candidatesTokensDetails", "candidates_tokens_details", "responseTokensDetails", "response_tokens_details"),
    )
    asked = _sum(
        _count(report, "promptTokenCount", "prompt_token_count"),
        _count(report, "toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    )
    if (
        said is thought is None
        and asked is not None
        and asked == _count(report, "totalTokenCount", "total_token_count")
    ):
        said = 0  # a prompt that was refused
    return {
        "asked": asked,
        "said": _sum(said, thought),
        "read": _count(report, "cachedContentTokenCount", "cached_content_token_count", "cached_prompt_tokens"),
        "read_heard": _of_modality(_listed(report, "cacheTokensDetails", "cache_tokens_details"), "AUDIO"),
        "thought": thought,
        "heard": (_of_modality(inputs, "AUDIO"), _of_modality(outputs, "AUDIO")),
        "seen": (_of_modality(inputs, "IMAGE"), _of_modality(outputs, "IMAGE")),
        "searched": (_count(report, WEB_SEARCHES), None),
    }


def _listed(report: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    for name in names:
        value = report.get(name)
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
    return []


def _of_modality(details: list[Mapping[str, Any]], modality: str) -> int | None:
    found = [item for item in details if _is_called(item.get("modality"), modality)]
    return _sum(*(_count(item, "tokenCount", "token_count", "tokens") for item in found))


def _is_called(value: Any, name: str) -> bool:
    return str(getattr(value, "value", value)).upper() == name


def _interaction(report: Mapping[str, Any]) -> dict[str, Any]:
    # As in Gemini's other reports, thoughts and the prompts of built-in tools stand beside the rest, and the total has all.
    asked = _sum(_count(report, "total_input_tokens"), _count(report, "total_tool_use_tokens"))
    said, thought = _count(report, "total_output_tokens"), _count(report, "total_thought_tokens")
    total = _count(report, "total_tokens")
    inputs = [*_listed(report, "input_tokens_by_modality"), *_listed(report, "tool_use_tokens_by_modality")]
    outputs = _listed(report, "output_tokens_by_modality")
    tools = [item for item in _listed(report, "grounding_tool_count") if _is_called(item.get("type"), "GOOGLE_SEARCH")]
    return {
        "asked": asked,
        "said": said if total is not None and total == _sum(asked, said) else _sum(said, thought),
        "read": _count(report, "total_cached_tokens"),
        "read_heard": _of_modality(_listed(report, "cached_tokens_by_modality"), "AUDIO"),
        "thought": thought,
        "heard": (_of_modality(inputs, "AUDIO"), _of_modality(outputs, "AUDIO")),
        "seen": (_of_modality(inputs, "IMAGE"), _of_modality(outputs, "IMAGE")),
        "searched": (_sum(*(_count(item, "count") for item in tools)), None),
    }


def _converse(report: Mapping[str, Any]) -> dict[str, Any]:
    # Like Anthropic, Bedrock counts what was read from and written to the cache beside the input.
    read = _count(report, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _count(report, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    hour = _sum(*(_count(item, "inputTokens") for item in _listed(report, "cacheDetails") if item.get("ttl") == "1h"))
    return {
        "asked": _sum(_count(report, "inputTokens"), read, written),
        "said": _count(report, "outputTokens"),
        "read": read,
        "written": written,
        "hour": hour,
    }


def _cohere(report: Mapping[str, Any]) -> dict[str, Any]:
    # What is billed, not what the model saw: that has Cohere's own preamble in it. Images have a unit of their own.
    billed, counted = _inside(report, "billed_units"), _inside(report, "tokens")
    images = _count(billed, "image_tokens")
    asked = _either(_sum(_count(billed, "input_tokens"), images), _count(counted, "input_tokens"))
    read = _count(report, "cached_tokens")
    return {
        "asked": asked,
        "said": _either(_count(billed, "output_tokens"), _count(counted, "output_tokens")),
        "read": min(read, asked) if read and asked else read,
        "seen": (images, None),
    }


def _invocation(report: Mapping[str, Any]) -> dict[str, Any]:
    # What Bedrock adds to the last frame of a streamed answer of any model, and Titan's own words.
    read, written = _count(report, "cacheReadInputTokenCount"), _count(report, "cacheWriteInputTokenCount")
    texts = _sum(*(_count(item, "tokenCount") for item in _listed(report, "results")))
    return {
        "asked": _sum(_count(report, "inputTokenCount", "inputTextTokenCount"), read, written),
        "said": _either(_count(report, "outputTokenCount", "totalOutputTextTokenCount"), texts),
        "read": read,
        "written": written,
    }


def _two_counts(asked: str, said: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda report: {"asked": _count(report, asked), "said": _count(report, said)}


_OLLAMA, _WATSONX = ("prompt_eval_count", "eval_count"), ("input_token_count", "generated_token_count")
# The first that has one of these names reads the report. The metrics of an invocation come last: they stand beside a
# report of the model's own that says more.
_DIALECTS = (
    (
        (
            *("promptTokenCount", "candidatesTokenCount", "responseTokenCount", "thoughtsTokenCount"),
            *("prompt_token_count", "candidates_token_count", "response_token_count", "thoughts_token_count"),
        ),
        _gemini,
    ),
    (("inputTokens", "outputTokens"), _converse),
    (("total_input_tokens", "total_output_tokens"), _interaction),
    ((*_INPUT, *_OUTPUT), _openai_or_anthropic),
    (_OLLAMA, _two_counts(*_OLLAMA)),
    (_WATSONX, _two_counts(*_WATSONX)),
    (("billed_units", "tokens"), _cohere),
    (("inputTokenCount", "outputTokenCount", "inputTextTokenCount"), _invocation),
)
