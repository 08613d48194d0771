"""Token counts as providers and client libraries report them, in the shape of our own schema.

The shapes differ in what "input" and "output" hold. The schema follows the OpenTelemetry GenAI conventions: input
includes what was read from and written to a cache, output includes reasoning. Pure functions, for every adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ai_dev_squad.schema import Usage

__all__ = ["usage_from"]

# Names that mean the same, most specific first.
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_CACHE_READ = ("cache_read_input_tokens", "cached_prompt_tokens", "cached_tokens")
_CACHE_WRITE = ("cache_creation_input_tokens", "cache_creation_tokens", "cache_write_tokens")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_BEDROCK_CACHE_READ = ("cacheReadInputTokens", "cacheReadInputTokenCount")
_BEDROCK_CACHE_WRITE = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")


def usage_from(reported: Any) -> Usage | None:
    """The usage in a provider's own report: a mapping or an object. ``None`` when it counts nothing.

    Understands OpenAI (Chat Completions and Responses), Azure, Anthropic, Gemini (also as REST returns it), Bedrock
    Converse, LiteLLM and CrewAI's flattened forms of them.
    """
    if reported is None:
        return None
    report = _Report(reported)
    if report.has("prompt_token_count", "candidates_token_count"):
        usage = _gemini(report)
    elif report.has("promptTokenCount", "candidatesTokenCount"):
        usage = _gemini_rest(report)
    elif report.has("inputTokens", "outputTokens"):
        usage = _bedrock(report)
    else:
        usage = _openai_or_anthropic(report)
    # A report of nothing but zeros is how client libraries say that the provider sent none.
    return usage if usage.input_tokens or usage.output_tokens else None


class _Report:
    """One access to mappings and objects; what is no count is absent."""

    __slots__ = ("value",)

    def __init__(self, source: Any) -> None:
        # The usual case first: an abstract base class answers `isinstance` slowly.
        if type(source) is dict or isinstance(source, Mapping):
            self.value: Callable[[str], Any] = source.get
        else:
            self.value = lambda name: getattr(source, name, None)

    def has(self, *names: str) -> bool:
        for name in names:  # noqa: SIM110 - a generator costs as much as all the rest
            if self.value(name) is not None:
                return True
        return False

    def count(self, *names: str) -> int | None:
        """The first of these that counts something; 0 if one is there but none counts."""
        found: int | None = None
        for name in names:
            value = self.value(name)
            if value is None or not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
                continue
            if value:
                return int(value)
            found = 0
        return found

    def inside(self, *names: str) -> _Report:
        for name in names:
            value = self.value(name)
            if value is not None:
                return _Report(value)
        return _NOTHING


_NOTHING = _Report({})


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _either(count: int | None, other: int | None) -> int | None:
    """The one that counts something; 0 if one of them says so."""
    return count or (count if other is None else other)


def _openai_or_anthropic(report: _Report) -> Usage:
    inputs, outputs = report.inside(*_INPUT_DETAILS), report.inside(*_OUTPUT_DETAILS)
    read = _either(report.count(*_CACHE_READ), inputs.count("cached_tokens"))
    written = _either(report.count(*_CACHE_WRITE), inputs.count(*_CACHE_WRITE))
    input_tokens = report.count(*_INPUT)
    if not report.has("prompt_tokens") and report.has("cache_read_input_tokens", "cache_creation_input_tokens"):
        # Anthropic's own report: its `input_tokens` are those that had nothing to do with the cache.
        input_tokens = _sum(input_tokens, read, written)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=report.count(*_OUTPUT),
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        reasoning_output_tokens=_either(report.count("reasoning_tokens"), outputs.count("reasoning_tokens")),
        audio_input_tokens=inputs.count("audio_tokens"),
        audio_output_tokens=outputs.count("audio_tokens"),
        source="provider",
    )


def _gemini(report: _Report) -> Usage:
    return _gemini_usage(
        report.count("prompt_token_count"),
        report.count("tool_use_prompt_token_count"),
        report.count("candidates_token_count"),
        report.count("thoughts_token_count", "reasoning_tokens"),
        report.count("cached_content_token_count", "cached_prompt_tokens"),
    )


def _gemini_rest(report: _Report) -> Usage:
    return _gemini_usage(
        report.count("promptTokenCount"),
        report.count("toolUsePromptTokenCount"),
        report.count("candidatesTokenCount"),
        report.count("thoughtsTokenCount"),
        report.count("cachedContentTokenCount"),
    )


def _gemini_usage(
    prompt: int | None, tool_use: int | None, candidates: int | None, thoughts: int | None, cached: int | None
) -> Usage:
    # Gemini counts thoughts, and prompts of its built-in tools, beside the rest; what is cached is part of the prompt.
    return Usage(
        input_tokens=_sum(prompt, tool_use),
        output_tokens=_sum(candidates, thoughts),
        cache_read_input_tokens=cached,
        reasoning_output_tokens=thoughts,
        source="provider",
    )


def _bedrock(report: _Report) -> Usage:
    # Like Anthropic, Bedrock counts what was read from and written to the cache beside the input.
    read, written = report.count(*_BEDROCK_CACHE_READ), report.count(*_BEDROCK_CACHE_WRITE)
    return Usage(
        input_tokens=_sum(report.count("inputTokens"), read, written),
        output_tokens=report.count("outputTokens"),
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        source="provider",
    )
