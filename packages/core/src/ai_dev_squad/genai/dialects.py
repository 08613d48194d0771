"""How providers count tokens: what each name in a report means, and what "input" and "output" hold there.

Where the names are from:

- OpenAI, chat and responses: https://platform.openai.com/docs/api-reference/chat/object and ``…/responses/object``.
- xAI, reasoning beside the completion, and the cost in ticks: https://docs.x.ai/developers/cost-tracking
- Anthropic, the cache beside the input: https://docs.claude.com/en/docs/build-with-claude/prompt-caching
- OpenAI's pictures within a response: ``tool_usage`` of ``…/responses/object``.
- Anthropic's searches: https://platform.claude.com/docs/en/about-claude/pricing#web-search-tool
- Gemini: https://ai.google.dev/api/generate-content#UsageMetadata
- Its interactions: https://ai.google.dev/api/interactions-api#Resource:Interaction
- Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html and
  ``…/API_runtime_CacheDetail.html``
- Ollama: https://docs.ollama.com/api/usage. Cohere: https://docs.cohere.com/reference/chat
- Mistral, connectors beside the prompt: https://docs.mistral.ai/agents/connectors/websearch. Perplexity, sources beside the prompt: https://docs.perplexity.ai/getting-started/pricing
- IBM watsonx.ai: https://ibm.github.io/watsonx-ai-node-sdk/interfaces/0_1_x.WatsonXAI.TextGenResult-1.html
- DeepSeek: https://api-docs.deepseek.com/guides/kv_cache. OpenRouter:
  https://openrouter.ai/docs/use-cases/usage-accounting
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from ai_dev_squad.genai.counts import Counts, larger, reckoned
from ai_dev_squad.genai.reports import FILE_SEARCHES, PICTURES, WEB_SEARCHES, plain
from ai_dev_squad.genai.rounds import as_served, elsewhere, in_between
from ai_dev_squad.schema import Usage

__all__ = ["at_once", "beside", "counted"]

_MOST, _LONGEST = 1 << 53, 16

# Names that mean the same, most specific first.
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
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
# What nearly all that speak OpenAI's language tell of a call: what went in and what came out, in all, and what of it was what.
_WHOLES_AND_PARTS = {
    frozenset({*wholes, *total, *parts}): (*wholes, *details)
    for wholes, details in (
        (("prompt_tokens", "completion_tokens"), ("prompt_tokens_details", "completion_tokens_details")),
        (("input_tokens", "output_tokens"), ("input_tokens_details", "output_tokens_details")),
    )
    for total in ((), ("total_tokens",))
    for parts in ((), details[:1], details[1:], details)
}
_PARTS_OF_INPUT = frozenset({"cached_tokens", "audio_tokens"})
_PARTS_OF_OUTPUT = frozenset(
    {"reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"}
)
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
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < _LONGEST:
        return int(value)  # as some servers write it that speak OpenAI's language
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
    usage = at_once(report)
    if usage is not None:
        return usage
    for names, read in _DIALECTS:
        for name in names:
            if name in report:
                return reckoned(gemini=gemini, **read(report))
    return None


def at_once(report: Mapping[str, Any]) -> Usage | None:
    """The usage of a report that has OpenAI's names and no other, and adds up: in a fifth of the time that it takes to look
    for all that anybody reports. ``None`` for any other.
    """
    names = _WHOLES_AND_PARTS.get(frozenset(report)) if len(report) < 6 else None
    if names is None:
        return None
    asked, said = report[names[0]], report[names[1]]
    if type(asked) is not int or type(said) is not int or not (0 < asked < _MOST and 0 <= said < _MOST):
        return None
    if report.get("total_tokens", asked + said) != asked + said:
        return None
    inputs, outputs = report.get(names[2]), report.get(names[3])
    if inputs is outputs is None:
        return Usage(input_tokens=asked, output_tokens=said, source="provider")
    inputs, outputs = {} if inputs is None else inputs, {} if outputs is None else outputs
    if type(inputs) is not dict or type(outputs) is not dict:
        return None
    if not (_PARTS_OF_INPUT.issuperset(inputs) and _PARTS_OF_OUTPUT.issuperset(outputs)):
        return None
    read, heard = inputs.get("cached_tokens"), inputs.get("audio_tokens")
    thought, spoken = outputs.get("reasoning_tokens"), outputs.get("audio_tokens")
    for part, whole in ((read, asked), (heard, asked), (thought, said), (spoken, said)):
        if part is not None and (type(part) is not int or not 0 <= part <= whole):
            return None
    return Usage(
        input_tokens=asked,
        output_tokens=said,
        cache_read_input_tokens=read,
        reasoning_output_tokens=thought,
        audio_input_tokens=heard,
        audio_output_tokens=spoken,
        source="provider",
    )


def _openai_or_anthropic(report: Mapping[str, Any]) -> Counts:
    report = as_served(report)
    inputs, outputs = _inside(report, *_INPUT_DETAILS), _inside(report, *_OUTPUT_DETAILS)
    detail = _detail if "input_token_details" in report or "output_token_details" in report else _no_detail

    def modality(details: Mapping[str, Any], name: str) -> int | None:
        return _either(_count(details, f"{name}_tokens"), detail(details, name))

    read = _either(_count(report, *_CACHE_READ), _count(inputs, "cached_tokens"), detail(inputs, "cache_read"))
    lifetimes = _inside(report, "cache_creation") or _inside(inputs, "cache_creation_token_details") or inputs
    hour = _count(lifetimes, "ephemeral_1h_input_tokens")
    # LangChain says 0 where the two lifetimes are told apart.
    written = larger(
        _either(
            _count(report, *_CACHE_WRITE),
            _count(inputs, "cache_write_tokens", "cache_creation_tokens"),
            detail(inputs, "cache_creation"),
        ),
        _sum(hour, _count(lifetimes, "ephemeral_5m_input_tokens")),
    )
    asked, said = _sum(_count(report, *_INPUT), _count(report, "citation_tokens")), _count(report, *_OUTPUT)
    connected, total = _count(report, "connector_tokens"), _count(report, "total_tokens")
    if connected and total and total >= connected + (asked or 0) + (said or 0):
        asked = _sum(asked, connected)
    thought = _either(
        _count(report, "reasoning_tokens"),
        _count(outputs, "reasoning_tokens", "thinking_tokens"),
        detail(outputs, "reasoning"),
    )
    anthropic = "cache_read_input_tokens" in report or "cache_creation_input_tokens" in report
    if anthropic and "prompt_tokens" not in report and (total is None or total != _sum(asked, said)):
        # Anthropic's own report: its `input_tokens` are those that had nothing to do with the cache. It has no total;
        # whoever adds one may have added the cache as well.
        asked = _sum(asked, read, written)
    for more in map(_openai_or_anthropic, in_between(report)):
        asked, said = _sum(asked, more["input_tokens"]), _sum(said, more["output_tokens"])
        read, written = _sum(read, more.get("cache_read")), _sum(written, more.get("cache_write"))
        hour = _sum(hour, more.get("cache_write_1h"))
    if said is None and total and asked and total > asked:
        said = total - asked
    return {
        "input_tokens": asked,
        "output_tokens": said,
        "beside": total - asked - said if total and asked and said is not None else 0,
        "cache_read": read,
        "cache_read_audio": _count(_inside(inputs, "cached_tokens_details"), "audio_tokens"),
        "cache_write": written,
        "cache_write_1h": hour,
        "reasoning": thought,
        "audio": (modality(inputs, "audio"), modality(outputs, "audio")),
        "images": (modality(inputs, "image"), modality(outputs, "image")),
        "searches": (
            _either(
                _count(_inside(report, "server_tool_use"), "web_search_requests"),
                _count(_inside(report, "connectors"), "web_search", "web_search_premium"),
                _count(report, WEB_SEARCHES, "num_search_queries"),
            ),
            _count(report, FILE_SEARCHES),
        ),
        "audio_seconds": _count(report, "prompt_audio_seconds"),
    }


def beside(report: Mapping[str, Any]) -> list[tuple[str, Usage]]:
    """Other models that were asked within an answer, and what each was billed: it is no part of what the rest counts."""
    counted = [(model, reckoned(gemini=False, **_openai_or_anthropic(item))) for model, item in elsewhere(report)]
    drawn = plain(report.get(PICTURES))
    usage = reckoned(gemini=False, **_openai_or_anthropic(drawn)) if drawn else None
    if usage is not None and usage.image_output_tokens is None:
        usage = replace(usage, image_output_tokens=usage.output_tokens)  # there is nothing else
    counted.append((str(drawn.get("model")), usage))
    return [(model, usage) for model, usage in counted if usage is not None]


def _gemini(report: Mapping[str, Any]) -> Counts:
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
        "input_tokens": asked,
        "output_tokens": _sum(said, thought),
        "cache_read": _count(report, "cachedContentTokenCount", "cached_content_token_count", "cached_prompt_tokens"),
        "cache_read_audio": _of_modality(_listed(report, "cacheTokensDetails", "cache_tokens_details"), "AUDIO"),
        "reasoning": thought,
        "audio": (_of_modality(inputs, "AUDIO"), _of_modality(outputs, "AUDIO")),
        "images": (_of_modality(inputs, "IMAGE"), _of_modality(outputs, "IMAGE")),
        "searches": (_count(report, WEB_SEARCHES), None),
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


def _interaction(report: Mapping[str, Any]) -> Counts:
    # As in Gemini's other reports, thoughts and the prompts of built-in tools stand beside the rest, and the total has all.
    asked = _sum(_count(report, "total_input_tokens"), _count(report, "total_tool_use_tokens"))
    said, thought = _count(report, "total_output_tokens"), _count(report, "total_thought_tokens")
    total = _count(report, "total_tokens")
    inputs = [*_listed(report, "input_tokens_by_modality"), *_listed(report, "tool_use_tokens_by_modality")]
    outputs = _listed(report, "output_tokens_by_modality")
    tools = [item for item in _listed(report, "grounding_tool_count") if _is_called(item.get("type"), "GOOGLE_SEARCH")]
    return {
        "input_tokens": asked,
        "output_tokens": said if total is not None and total == _sum(asked, said) else _sum(said, thought),
        "cache_read": _count(report, "total_cached_tokens"),
        "cache_read_audio": _of_modality(_listed(report, "cached_tokens_by_modality"), "AUDIO"),
        "reasoning": thought,
        "audio": (_of_modality(inputs, "AUDIO"), _of_modality(outputs, "AUDIO")),
        "images": (_of_modality(inputs, "IMAGE"), _of_modality(outputs, "IMAGE")),
        "searches": (_sum(*(_count(item, "count") for item in tools)), None),
    }


def _converse(report: Mapping[str, Any]) -> Counts:
    # Like Anthropic, Bedrock counts what was read from and written to the cache beside the input.
    read = _count(report, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _count(report, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    hour = _sum(*(_count(item, "inputTokens") for item in _listed(report, "cacheDetails") if item.get("ttl") == "1h"))
    return {
        "input_tokens": _sum(_count(report, "inputTokens"), read, written),
        "output_tokens": _count(report, "outputTokens"),
        "cache_read": read,
        "cache_write": written,
        "cache_write_1h": hour,
    }


def _cohere(report: Mapping[str, Any]) -> Counts:
    # What is billed, not what the model saw: that has Cohere's own preamble in it. Images have a unit of their own.
    billed, counted = _inside(report, "billed_units"), _inside(report, "tokens")
    images = _count(billed, "image_tokens")
    asked = _either(_sum(_count(billed, "input_tokens"), images), _count(counted, "input_tokens"))
    read = _count(report, "cached_tokens")
    return {
        "input_tokens": asked,
        "output_tokens": _either(_count(billed, "output_tokens"), _count(counted, "output_tokens")),
        "cache_read": min(read, asked) if read and asked else read,
        "images": (images, None),
    }


def _invocation(report: Mapping[str, Any]) -> Counts:
    # What Bedrock adds to the last frame of a streamed answer of any model, and Titan's own words.
    read, written = _count(report, "cacheReadInputTokenCount"), _count(report, "cacheWriteInputTokenCount")
    texts = _sum(*(_count(item, "tokenCount") for item in _listed(report, "results")))
    return {
        "input_tokens": _sum(_count(report, "inputTokenCount", "inputTextTokenCount"), read, written),
        "output_tokens": _either(_count(report, "outputTokenCount", "totalOutputTextTokenCount"), texts),
        "cache_read": read,
        "cache_write": written,
    }


def _two_counts(asked: str, said: str) -> Callable[[Mapping[str, Any]], Counts]:
    return lambda report: {"input_tokens": _count(report, asked), "output_tokens": _count(report, said)}


_OLLAMA, _WATSONX = ("prompt_eval_count", "eval_count"), ("input_token_count", "generated_token_count")
_REPLICATE = ("input_token_count", "output_token_count")
_TGI, _LLAMA_CPP = ("input_length", "generated_tokens"), ("tokens_evaluated", "tokens_predicted")
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
    (_REPLICATE[1:], _two_counts(*_REPLICATE)),
    (_WATSONX, _two_counts(*_WATSONX)),
    (_TGI[1:], _two_counts(*_TGI)),
    (_LLAMA_CPP[1:], _two_counts(*_LLAMA_CPP)),
    (("billed_units", "tokens"), _cohere),
    (("inputTokenCount", "outputTokenCount", "inputTextTokenCount"), _invocation),
)
