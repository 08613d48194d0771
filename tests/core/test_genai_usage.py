"""Every provider's report of tokens and money comes out in one shape: input with cache, output with reasoning."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from ai_dev_squad.genai.usage import UsageTally, cost_from, tier_from, usage_from
from ai_dev_squad.schema import Usage


def usage(input_tokens: int | None, output_tokens: int | None, **more: int) -> Usage:
    """A usage that a provider reported."""
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="provider", **more)


def as_object(value: Any) -> Any:
    """A report as the objects of a client library."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(inner) for name, inner in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "reported, expected",
    [
        pytest.param(
            {
                "prompt_tokens": 200,
                "completion_tokens": 30,
                "total_tokens": 230,
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 2},
            },
            usage(
                200,
                30,
                cache_read_input_tokens=64,
                reasoning_output_tokens=8,
                audio_input_tokens=3,
                audio_output_tokens=2,
            ),
            id="openai chat completions",
        ),
        pytest.param(
            {
                "input_tokens": 200,
                "output_tokens": 30,
                "input_tokens_details": {"cached_tokens": 64},
                "output_tokens_details": {"reasoning_tokens": 8},
            },
            usage(200, 30, cache_read_input_tokens=64, reasoning_output_tokens=8),
            id="openai responses",
        ),
        pytest.param(
            SimpleNamespace(
                prompt_tokens=200, completion_tokens=30, prompt_tokens_details=SimpleNamespace(cached_tokens=64)
            ),
            usage(200, 30, cache_read_input_tokens=64),
            id="an object",
        ),
        pytest.param(
            {
                "prompt_tokens": 24,
                "completion_tokens": 4_200,
                "cached_prompt_tokens": 0,
                "reasoning_tokens": 4_160,
            },
            usage(24, 4_200, cache_read_input_tokens=0, reasoning_output_tokens=4_160),
            id="azure, flattened by crewai",
        ),
        pytest.param(
            {
                "input_tokens": 10,
                "output_tokens": 30,
                "cache_read_input_tokens": 3_714,
                "cache_creation_input_tokens": 50,
            },
            usage(3_774, 30, cache_read_input_tokens=3_714, cache_write_input_tokens=50),
            id="anthropic",
        ),
        pytest.param(  # vercel/ai#14382: the same number in three places
            {
                "prompt_tokens": 200,
                "completion_tokens": 30,
                "total_tokens": 230,
                "num_cached_tokens": 64,
                "prompt_token_details": {"cached_tokens": 64},
                "prompt_tokens_details": {"cached_tokens": 64},
            },
            usage(200, 30, cache_read_input_tokens=64),
            id="mistral",
        ),
        pytest.param(
            {"prompt_tokens": 200, "completion_tokens": 30, "prompt_token_details": {"cached_tokens": 64}},
            usage(200, 30, cache_read_input_tokens=64),
            id="mistral, in one place",
        ),
        pytest.param(  # sound has no tokens of its own there, and the total has more than the two
            {"prompt_audio_seconds": 203, "prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3_264},
            usage(4, 635, audio_input_seconds=203),
            id="mistral, sound",
        ),
        pytest.param(  # litellm#11938, open-webui-cost-tracker#6
            {
                "prompt_tokens": 108,
                "completion_tokens": 3_256,
                "total_tokens": 3_364,
                "citation_tokens": 7_299,
                "num_search_queries": 74,
                "reasoning_tokens": 73_248,
            },
            usage(7_407, 76_504, reasoning_output_tokens=73_248, web_searches=74),
            id="perplexity, sources and thoughts beside the rest",
        ),
        pytest.param(  # litellm#39618
            {"prompt_tokens": "200", "completion_tokens": "30"}, usage(200, 30), id="counts that are written as text"
        ),
        pytest.param(
            {
                "prompt_tokens": 188,
                "completion_tokens": 55,
                "total_tokens": 7_355,
                "connector_tokens": 7_112,
                "connectors": {"web_search": 1},
            },
            usage(7_300, 55, web_searches=1),
            id="mistral's conversations, connectors beside the rest",
        ),
        pytest.param(
            {"prompt_tokens": 7_300, "completion_tokens": 55, "total_tokens": 7_355, "connector_tokens": 7_112},
            usage(7_300, 55),
            id="connectors that the prompt holds already, as the total says",
        ),
        pytest.param({"input_token_count": 7, "output_token_count": 9}, usage(7, 9), id="replicate"),
        pytest.param(
            {"input_tokens": 200, "output_tokens": 30, "server_tool_use": {"web_search_requests": 2}},
            usage(200, 30, web_searches=2),
            id="anthropic, with searches",
        ),
        pytest.param(  # pydantic-ai#5065, litellm#27060
            {
                "input_tokens": 23_000,
                "output_tokens": 1_000,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 0,
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": 180,
                        "output_tokens": 3_500,
                        "cache_read_input_tokens": 170_000,
                        "cache_creation_input_tokens": 10_000,
                        "cache_creation": {"ephemeral_5m_input_tokens": 4_000, "ephemeral_1h_input_tokens": 6_000},
                    },
                    {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
                ],
            },
            usage(
                203_180,
                4_500,
                cache_read_input_tokens=170_000,
                cache_write_input_tokens=10_000,
                cache_write_1h_input_tokens=6_000,
            ),
            id="anthropic, with a compaction that is billed beside the rest",
        ),
        pytest.param(
            {
                "prompt_tokens": 203_000,
                "completion_tokens": 4_500,
                "iterations": [{"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500}],
            },
            usage(203_000, 4_500),
            id="anthropic, summed by litellm already",
        ),
        pytest.param(
            {"input_tokens": 200, "output_tokens": 30, "web_searches": 1, "file_searches": 2},
            usage(200, 30, web_searches=1, file_searches=2),
            id="what was counted in an answer",
        ),
        pytest.param(
            {
                "input_tokens": 3_774,
                "output_tokens": 30,
                "total_tokens": 3_804,
                "cached_prompt_tokens": 3_714,
                "cache_creation_tokens": 50,
            },
            usage(3_774, 30, cache_read_input_tokens=3_714, cache_write_input_tokens=50),
            id="anthropic, summed by crewai already",
        ),
        pytest.param(  # as in https://ai.google.dev/gemini-api/docs/interactions
            {
                "total_input_tokens": 7,
                "input_tokens_by_modality": [{"modality": "text", "tokens": 4}, {"modality": "image", "tokens": 3}],
                "total_cached_tokens": 2,
                "total_output_tokens": 20,
                "output_tokens_by_modality": [{"modality": "audio", "tokens": 20}],
                "total_thought_tokens": 22,
                "total_tool_use_tokens": 5,
                "total_tokens": 54,
                "grounding_tool_count": [{"type": "google_search", "count": 2}, {"type": "google_maps", "count": 1}],
            },
            usage(
                12,
                42,
                cache_read_input_tokens=2,
                reasoning_output_tokens=22,
                audio_output_tokens=20,
                image_input_tokens=3,
                web_searches=2,
            ),
            id="gemini's interactions",
        ),
        pytest.param(
            {"total_input_tokens": 7, "total_output_tokens": 42, "total_thought_tokens": 22, "total_tokens": 49},
            usage(7, 42, reasoning_output_tokens=22),
            id="gemini's interactions, with thoughts in the output",
        ),
        pytest.param(
            {
                "prompt_token_count": 100,
                "candidates_token_count": 20,
                "thoughts_token_count": 563,
                "cached_content_token_count": 40,
                "tool_use_prompt_token_count": 7,
                "total_token_count": 690,
            },
            usage(107, 583, cache_read_input_tokens=40, reasoning_output_tokens=563),
            id="gemini",
        ),
        pytest.param(
            {
                "prompt_token_count": 100,
                "candidates_token_count": 20,
                "completion_tokens": 583,
                "total_tokens": 683,
                "cached_prompt_tokens": 40,
                "reasoning_tokens": 563,
            },
            usage(100, 583, cache_read_input_tokens=40, reasoning_output_tokens=563),
            id="gemini, flattened by crewai",
        ),
        pytest.param(
            {"promptTokenCount": 100, "totalTokenCount": 100}, usage(100, 0), id="gemini, a prompt that it refuses"
        ),
        pytest.param({"promptTokenCount": 100}, usage(100, None), id="gemini, no word of the output"),
        pytest.param(
            {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 5, "totalTokenCount": 125},
            usage(100, 25, reasoning_output_tokens=5),
            id="gemini over REST",
        ),
        pytest.param(
            {
                "inputTokens": 10,
                "outputTokens": 30,
                "totalTokens": 150,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 10,
            },
            usage(120, 30, cache_read_input_tokens=100, cache_write_input_tokens=10),
            id="bedrock",
        ),
        pytest.param(
            {
                "prompt_tokens": 3_774,
                "completion_tokens": 30,
                "cache_read_input_tokens": 3_714,
                "cache_creation_input_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 3_714},
            },
            usage(3_774, 30, cache_read_input_tokens=3_714, cache_write_input_tokens=50),
            id="litellm, whose prompt tokens hold the cache already",
        ),
        pytest.param(
            {
                "prompt_tokens": 10_120,
                "completion_tokens": 1_499,
                "total_tokens": 14_428,
                "completion_tokens_details": {"reasoning_tokens": 2_809},
            },
            usage(10_120, 4_308, reasoning_output_tokens=2_809),
            id="xai, reasoning beside the completion, as the total says",
        ),
        pytest.param(
            {
                "prompt_tokens": 10_120,
                "completion_tokens": 1_499,
                "completion_tokens_details": {"reasoning_tokens": 2_809},
            },
            usage(10_120, 4_308, reasoning_output_tokens=2_809),
            id="reasoning that cannot be a part of the completion",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 190,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            usage(100, 50, reasoning_output_tokens=30),
            id="a total that counts something else is no reasoning",
        ),
        pytest.param(
            {
                "input_tokens": 10_120,
                "output_tokens": 1_499,
                "total_tokens": 14_428,
                "input_token_details": {},
                "output_token_details": {"reasoning": 2_809},
            },
            usage(10_120, 4_308, reasoning_output_tokens=2_809),
            id="xai through langchain's openai client",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "output_tokens": 50,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 10_000,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10_000},
            },
            usage(
                10_100,
                50,
                cache_read_input_tokens=0,
                cache_write_input_tokens=10_000,
                cache_write_1h_input_tokens=10_000,
            ),
            id="anthropic, cached for an hour",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "output_tokens": 50,
                "cache_creation_input_tokens": 12_000,
                "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 10_000},
                "output_tokens_details": {"thinking_tokens": 20},
            },
            usage(
                12_100,
                50,
                cache_write_input_tokens=12_000,
                cache_write_1h_input_tokens=10_000,
                reasoning_output_tokens=20,
            ),
            id="anthropic, both lifetimes in one answer",
        ),
        pytest.param(
            {
                "input_tokens": 12_100,
                "output_tokens": 50,
                "total_tokens": 12_150,
                "input_token_details": {
                    "cache_read": 0,
                    "cache_creation": 0,
                    "ephemeral_5m_input_tokens": 2_000,
                    "ephemeral_1h_input_tokens": 10_000,
                },
            },
            usage(
                12_100,
                50,
                cache_read_input_tokens=0,
                cache_write_input_tokens=12_000,
                cache_write_1h_input_tokens=10_000,
            ),
            id="anthropic through langchain",
        ),
        pytest.param(
            {
                "input_tokens": 200,
                "output_tokens": 30,
                "total_tokens": 230,
                "input_token_details": {"flex_cache_read": 64, "flex": 136, "audio": 3},
                "output_token_details": {"flex_reasoning": 8, "flex": 22, "audio": 2},
            },
            usage(
                200,
                30,
                cache_read_input_tokens=64,
                reasoning_output_tokens=8,
                audio_input_tokens=3,
                audio_output_tokens=2,
            ),
            id="another tariff through langchain",
        ),
        pytest.param(
            {
                "prompt_tokens": 10_100,
                "completion_tokens": 50,
                "total_tokens": 10_150,
                "cache_creation_input_tokens": 10_000,
                "cache_read_input_tokens": 0,
                "prompt_tokens_details": {
                    "cached_tokens": 0,
                    "cache_creation_tokens": 10_000,
                    "cache_creation_token_details": {"ephemeral_1h_input_tokens": 4_000},
                },
            },
            usage(
                10_100,
                50,
                cache_read_input_tokens=0,
                cache_write_input_tokens=10_000,
                cache_write_1h_input_tokens=4_000,
            ),
            id="litellm's proxy in front of anthropic",
        ),
        pytest.param(
            {"prompt_tokens": 1_000, "completion_tokens": 20, "prompt_cache_hit_tokens": 800},
            usage(1_000, 20, cache_read_input_tokens=800),
            id="deepseek",
        ),
        pytest.param(
            {"prompt_tokens": 1_000, "completion_tokens": 20, "cached_tokens": 800},
            usage(1_000, 20, cache_read_input_tokens=800),
            id="moonshot",
        ),
        pytest.param(
            {
                "prompt_tokens": 300,
                "completion_tokens": 20,
                "prompt_tokens_details": {"image_tokens": 258, "text_tokens": 42},
                "completion_tokens_details": {"image_tokens": 15},
            },
            usage(300, 20, image_input_tokens=258, image_output_tokens=15),
            id="pictures",
        ),
        pytest.param({"prompt_tokens": 823, "total_tokens": 823}, usage(823, None), id="embeddings, which say nothing"),
        pytest.param(
            {
                "promptTokenCount": 1_000,
                "candidatesTokenCount": 500,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 100},
                    {"modality": "AUDIO", "tokenCount": 600},
                    {"modality": "IMAGE", "tokenCount": 300},
                ],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 400}],
            },
            usage(1_000, 500, audio_input_tokens=600, audio_output_tokens=400, image_input_tokens=300),
            id="gemini over REST, by modality",
        ),
        pytest.param(  # langfuse-python#1451, litellm#18768
            {
                "promptTokenCount": 10_000,
                "candidatesTokenCount": 10,
                "cachedContentTokenCount": 5_000,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 4_000},
                    {"modality": "AUDIO", "tokenCount": 6_000},
                ],
                "cacheTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 4_900},
                    {"modality": "TEXT", "tokenCount": 100},
                ],
            },
            usage(
                10_000,
                10,
                cache_read_input_tokens=5_000,
                cache_read_audio_input_tokens=4_900,
                audio_input_tokens=6_000,
            ),
            id="gemini's cache, by modality",
        ),
        pytest.param(  # langwatch/tasks#641
            {
                "prompt_tokens": 1_000,
                "completion_tokens": 10,
                "prompt_tokens_details": {
                    "audio_tokens": 800,
                    "cached_tokens": 600,
                    "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 500},
                },
            },
            usage(1_000, 10, cache_read_input_tokens=600, cache_read_audio_input_tokens=500, audio_input_tokens=800),
            id="openai's cache, by modality",
        ),
        pytest.param(
            SimpleNamespace(
                prompt_token_count=1_000,
                candidates_token_count=None,
                thoughts_token_count=70,
                prompt_tokens_details=[SimpleNamespace(modality=SimpleNamespace(value="AUDIO"), token_count=600)],
            ),
            usage(1_000, 70, reasoning_output_tokens=70, audio_input_tokens=600),
            id="gemini in google's client, thoughts alone",
        ),
        pytest.param(
            {
                "inputTokens": 100,
                "outputTokens": 50,
                "cacheWriteInputTokens": 12_000,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 10_000}, {"ttl": "5m", "inputTokens": 2_000}],
            },
            usage(12_100, 50, cache_write_input_tokens=12_000, cache_write_1h_input_tokens=10_000),
            id="bedrock, both lifetimes",
        ),
        pytest.param(
            {"inputTextTokenCount": 5, "results": [{"tokenCount": 55}, {"tokenCount": 5}]},
            usage(5, 60),
            id="titan on bedrock",
        ),
        pytest.param({"inputTextTokenCount": 5}, usage(5, None), id="titan's embeddings"),
        pytest.param(
            {
                "type": "message_stop",
                "amazon-bedrock-invocationMetrics": {
                    "inputTokenCount": 24,
                    "outputTokenCount": 44,
                    "cacheReadInputTokenCount": 10,
                    "invocationLatency": 900,
                },
            },
            usage(34, 44, cache_read_input_tokens=10),
            id="bedrock's metrics of an invocation",
        ),
        pytest.param({"prompt_token_count": 30, "generation_token_count": 12}, usage(30, 12), id="llama on bedrock"),
        pytest.param(
            {"model": "llama3.2", "message": {"role": "assistant"}, "prompt_eval_count": 26, "eval_count": 298},
            usage(26, 298),
            id="ollama",
        ),
        pytest.param({"model": "all-minilm", "prompt_eval_count": 8}, usage(8, None), id="ollama's embeddings"),
        pytest.param(
            {
                "billed_units": {"input_tokens": 17.0, "output_tokens": 12.0},
                "tokens": {"input_tokens": 211.0, "output_tokens": 12.0},
                "cached_tokens": 192.0,
            },
            usage(17, 12, cache_read_input_tokens=17),
            id="cohere, what is billed",
        ),
        pytest.param(
            {"id": "x", "meta": {"billed_units": {"input_tokens": 3, "image_tokens": 512}}},
            usage(515, None, image_input_tokens=512),
            id="cohere's embeddings of texts and pictures",
        ),
        pytest.param({"meta": {"tokens": {"input_tokens": 9, "output_tokens": 4}}}, usage(9, 4), id="cohere, unbilled"),
        pytest.param(
            {"id": "c", "choices": [], "x_groq": {"id": "r", "usage": {"prompt_tokens": 18, "completion_tokens": 2}}},
            usage(18, 2),
            id="groq's last chunk",
        ),
        pytest.param(
            {"type": "response.completed", "response": {"usage": {"input_tokens": 5, "output_tokens": 6}}},
            usage(5, 6),
            id="the last event of openai's responses",
        ),
        pytest.param(
            {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 6}, "metrics": {"latencyMs": 7}}},
            usage(5, 6),
            id="the last event of bedrock's converse",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 4, "cached_prompt_tokens": 100},
            usage(110, 4, cache_read_input_tokens=100),
            id="crewai's totals of a bedrock model, which leave out the cache",
        ),
        pytest.param(
            {"prompt_tokens": 0, "completion_tokens": 12}, usage(None, 12), id="no model is asked with nothing"
        ),
        pytest.param(
            {"usage": {"prompt_tokens": 7, "completion_tokens": 1}, "metadata": {"usage": 5, "input_tokens": 9}},
            usage(7, 1),
            id="the program's own metadata is no report",
        ),
    ],
)
def test_shapes(reported: Any, expected: Usage) -> None:
    """Each provider's report means what its documentation says, as a mapping and as an object."""
    assert usage_from(reported) == expected
    assert usage_from(as_object(reported)) == expected
    assert usage_from({"usage": reported}) == expected


@pytest.mark.parametrize(
    "reported",
    [
        *(None, {}, "tokens", 5, [1], object()),
        {"total_tokens": 0},
        {"total_tokens": 12},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": math.nan, "completion_tokens": math.inf},
        {"prompt_tokens": 1 << 60, "completion_tokens": True},
        {"prompt_tokens": -5, "completion_tokens": "twelve"},
        {"prompt_tokens": "1" * 16, "completion_tokens": "-12"},
        {"meta": {"billed_units": {"search_units": 1}}},
        {"usage": {"type": "duration", "seconds": 12}},
    ],
    ids=repr,
)
def test_no_report(reported: Any) -> None:
    """Nothing, nothing but zeros, or what is no count, is a missing report and never 0 tokens."""
    assert usage_from(reported) is None


@pytest.mark.parametrize(
    "provider, model, output",
    [
        ("gcp.gemini", "a-tuned-model", 2_050),
        ("openai", "gemini-2.5-flash", 2_050),
        (None, "google/gemini-2.5-flash", 2_050),
        (None, "models/gemini-2.5-flash", 2_050),
        ("openai", "gpt-4o", 50),
        (None, None, 50),
    ],
)
def test_geminis_compatible_endpoint_counts_thoughts_in_the_total(
    provider: str | None, model: str | None, output: int
) -> None:
    """What its total says beyond prompt and completion is output; from anybody else it's nothing we know."""
    found = usage_from(
        {"prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 3_050}, provider=provider, model=model
    )
    thoughts = {"reasoning_output_tokens": 2_000} if output == 2_050 else {}
    assert found == usage(1_000, output, **thoughts)


def test_the_objects_of_openais_client() -> None:
    """What its models have a field for is read, and what a server sent beyond that."""
    chat = {
        "prompt_tokens": 10_300,
        "completion_tokens": 40,
        "total_tokens": 10_340,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 3},
        "cache_creation_input_tokens": 10_000,
        "cost": 0.0063,
    }
    responses = {
        "input_tokens": 200,
        "output_tokens": 40,
        "total_tokens": 240,
        "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 5},
        "output_tokens_details": {"reasoning_tokens": 8},
    }
    assert usage_from(CompletionUsage.model_validate(chat)) == usage(
        10_300, 40, cache_read_input_tokens=64, cache_write_input_tokens=10_000, audio_input_tokens=3
    )
    assert cost_from(CompletionUsage.model_validate(chat)) == 0.0063
    assert usage_from(ResponseUsage.model_validate(responses)) == usage(
        200, 40, cache_read_input_tokens=64, cache_write_input_tokens=5, reasoning_output_tokens=8
    )


class _Slots:
    __slots__ = ("completion_tokens", "prompt_tokens", "prompt_tokens_details")

    def __init__(self) -> None:
        self.prompt_tokens, self.completion_tokens = 9, 4
        self.prompt_tokens_details = {"cached_tokens": 3}


class _Hostile:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("not for you")


def test_objects_of_any_make() -> None:
    """An object with slots is read like one with a dictionary; one that raises reports nothing."""
    assert usage_from(_Slots()) == usage(9, 4, cache_read_input_tokens=3)
    assert usage_from(_Hostile()) is None
    assert (cost_from(_Hostile()), tier_from(_Hostile())) == (None, None)


# --- reports in pieces ------------------------------------------------------------------------------------------------


def tallied(*reports: Any, **options: str) -> UsageTally:
    """What these reports of one answer say together."""
    tally = UsageTally(**options)
    for report in reports:
        tally.add(report)
    return tally


def test_anthropics_stream_is_told_at_both_ends() -> None:
    """The first event knows input and cache, the last the output; a 0 in the last takes nothing back."""
    start = {
        "input_tokens": 12,
        "cache_read_input_tokens": 9_000,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
        "output_tokens": 1,
        "service_tier": "standard",
    }
    tally = tallied(
        {"type": "message_start", "message": {"id": "msg_1", "usage": start}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 40, "input_tokens": 0, "cache_read_input_tokens": None},
        },
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 12, "outputTokenCount": 40}},
    )
    assert tally.usage() == usage(
        9_512,
        40,
        cache_read_input_tokens=9_000,
        cache_write_input_tokens=500,
        cache_write_1h_input_tokens=300,
    )
    assert (tally.cost(), tally.tier()) == (None, "standard")


def test_cumulative_chunks_count_once() -> None:
    """Servers such as vLLM report in every chunk what there is so far: the last report is the answer's."""
    chunks = [{"usage": {"prompt_tokens": 1_000, "completion_tokens": count}} for count in range(1, 11)]
    assert tallied(*chunks).usage() == usage(1_000, 10)


def test_a_stream_without_reports_has_no_usage() -> None:
    """Chunks that report nothing are told from those that do."""
    tally = UsageTally()
    assert [tally.add(chunk) for chunk in ({"choices": [], "usage": None}, None, _Hostile())] == [False] * 3
    assert (tally.usage(), tally.cost(), tally.tier()) == (None, None, None)
    assert tally.add({"usage": {"prompt_tokens": 5, "completion_tokens": 1}})


def test_geminis_stream_is_read_with_its_last_event() -> None:
    """Each event repeats the prompt and has the thoughts and candidates so far."""
    tally = tallied(
        {"usageMetadata": {"promptTokenCount": 10, "thoughtsTokenCount": 5, "totalTokenCount": 15}},
        {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 7}},
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "trafficType": "ON_DEMAND_FLEX"}},
    )
    assert tally.usage() == usage(9, 11, reasoning_output_tokens=7)
    assert tally.tier() == "flex"


def test_a_tally_knows_whom_it_reads() -> None:
    """Provider and model decide in a stream what they decide in a whole answer."""
    report = {"usage": {"prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 3_050}}
    assert tallied(report, model="gemini-2.5-flash").usage() == usage(1_000, 2_050, reasoning_output_tokens=2_000)


# --- money and tariff -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reported, usd",
    [
        pytest.param({"usage": {"prompt_tokens": 9, "cost": 0.0063}}, 0.0063, id="openrouter"),
        pytest.param({"cost": 0}, 0.0, id="openrouter, a free model"),
        pytest.param(
            {"usage": {"cost": 0.95, "is_byok": True, "cost_details": {"upstream_inference_cost": 19}}},
            19.95,
            id="openrouter, with a key of the user's own",
        ),
        pytest.param(
            {"cost": 0, "cost_details": {"upstream_inference_cost": 0.5}},
            0.5,
            id="openrouter, the provider's bill alone",
        ),
        pytest.param(
            {"cost": 0.2, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.2}},
            0.2,
            id="openrouter, whose cost holds the provider's",
        ),
        pytest.param({"cost": {"input_tokens_cost": 0.001, "total_cost": 0.006}}, 0.006, id="perplexity"),
        pytest.param({"usage": {"cost_in_usd_ticks": 37_756_000}}, 0.0037756, id="xai"),
        pytest.param({"usage": {"prompt_tokens": 9, "estimated_cost": 0.00034}}, 0.00034, id="deepinfra"),
        pytest.param({"cost": 0.0063, "token_usage": {"prompt_tokens": 9}}, 0.0063, id="openrouter through langchain"),
        pytest.param({"prompt_tokens": 9}, None, id="none"),
        pytest.param({"cost": "0.1"}, None, id="no number"),
        pytest.param({"cost": True}, None, id="no amount"),
        pytest.param({"cost": -1}, None, id="negative"),
        pytest.param({"cost": math.nan}, None, id="not a number"),
        pytest.param({"cost": math.inf}, None, id="infinite"),
        pytest.param({"total_cost": 0}, None, id="langchain's mark of a cached answer"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_the_providers_own_cost(reported: Any, usd: float | None) -> None:
    """What a provider says that a call cost is taken over in USD; what is no amount is not."""
    assert cost_from(reported) == usd
    assert tallied(reported, {"cost": 0} if usd else {}).cost() == usd


@pytest.mark.parametrize(
    "reported, tier",
    [
        pytest.param({"id": "x", "service_tier": "flex", "usage": {}}, "flex", id="openai"),
        pytest.param({"type": "response.completed", "response": {"service_tier": "priority"}}, "priority", id="stream"),
        pytest.param({"usage": {"service_tier": "batch", "output_tokens": 1}}, "batch", id="anthropic"),
        pytest.param({"usage": {"speed": "fast", "service_tier": "standard", "output_tokens": 1}}, "fast", id="fast"),
        pytest.param({"usage": {}, "serviceTier": {"type": "flex"}}, "flex", id="bedrock"),
        pytest.param({"metadata": {"usage": {}, "serviceTier": {"type": "flex"}}}, "flex", id="bedrock, streamed"),
        pytest.param({"usageMetadata": {"trafficType": "ON_DEMAND_PRIORITY"}}, "priority", id="vertex"),
        pytest.param({"usage_metadata": SimpleNamespace(traffic_type="ON_DEMAND")}, "default", id="google's client"),
        pytest.param({"service_tier": "on_demand"}, "default", id="groq"),
        pytest.param({"metadata": {"service_tier": "gold", "speed": "fast"}}, None, id="the program's own metadata"),
        pytest.param({"service_tier": None}, None, id="none"),
        pytest.param({"service_tier": 5}, None, id="no name"),
        pytest.param("flex", None, id="no answer"),
    ],
)
def test_the_service_tier(reported: Any, tier: str | None) -> None:
    """The tariff that an answer names, whichever field it is in."""
    assert tier_from(reported) == tier


# --- whatever comes ---------------------------------------------------------------------------------------------------

_NAMES = st.sampled_from(
    [
        *("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
        *("prompt_token_count", "candidatesTokenCount", "thoughtsTokenCount", "promptTokensDetails"),
        *("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails"),
        *("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", "total_tokens"),
        *("prompt_tokens_details", "output_tokens_details", "input_token_details", "output_token_details"),
        *("audio_tokens", "image_tokens", "audio", "reasoning", "cache_read", "ephemeral_1h_input_tokens"),
        *("billed_units", "tokens", "image_tokens", "prompt_eval_count", "eval_count", "inputTextTokenCount"),
        *("inputTokenCount", "outputTokenCount", "cost", "usage", "message", "service_tier", "modality", "tokenCount"),
    ]
)
_COUNTS = st.one_of(
    st.none(),
    st.integers(-5, 10**9),
    st.booleans(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["AUDIO", "IMAGE", 1 << 70, object()]),
)
_REPORTS = st.recursive(
    _COUNTS, lambda inner: st.one_of(st.dictionaries(_NAMES, inner), st.lists(inner, max_size=3)), max_leaves=8
)


def parts(found: Usage) -> Iterator[tuple[int, int | None]]:
    """Each part of a usage with its whole, as far as both are known."""
    for whole, names in (
        (found.input_tokens, ("cache_read_input_tokens", "audio_input_tokens", "image_input_tokens")),
        (found.input_tokens, ("cache_write_input_tokens", "cache_write_1h_input_tokens")),
        (found.output_tokens, ("reasoning_output_tokens", "audio_output_tokens", "image_output_tokens")),
        (found.cache_read_input_tokens, ("cache_read_audio_input_tokens",)),
        (found.cache_write_input_tokens, ("cache_write_1h_input_tokens",)),
    ):
        if whole is not None:
            yield from ((getattr(found, name) or 0, whole) for name in names)


def check(found: Usage | None) -> None:
    """Counts are whole numbers that aren't negative, and no part exceeds its whole."""
    if found is None:
        return
    counts = [getattr(found, name) for name in found.__struct_fields__ if name != "source"]
    assert all(count is None or (type(count) is int and count >= 0) for count in counts)
    assert all(part <= whole for part, whole in parts(found))
    if found.input_tokens is not None:
        cached = (found.cache_read_input_tokens or 0) + (found.cache_write_input_tokens or 0)
        assert cached <= found.input_tokens
    assert found.input_tokens or found.output_tokens


@given(st.dictionaries(_NAMES, _REPORTS), st.sampled_from([None, "gcp.gemini"]))
def test_any_report(reported: dict[str, Any], provider: str | None) -> None:
    """Whatever a report holds, true counts come out or nothing does; and nothing is raised."""
    check(usage_from(reported, provider=provider))
    assert tier_from(reported) is None or isinstance(tier_from(reported), str)
    cost = cost_from(reported)
    assert cost is None or 0 <= cost < 2e9


@given(st.lists(st.dictionaries(_NAMES, _REPORTS, max_size=6), max_size=3))
def test_any_reports_in_any_order(reports: list[Any]) -> None:
    """Pieces of any kind can be put together, and repeating one changes nothing."""
    tally = tallied(*reports)
    check(tally.usage())
    before = tally.usage(), tally.cost(), tally.tier()
    for report in reports[-1:]:
        tally.add(report)
    assert (tally.usage(), tally.cost(), tally.tier()) == before


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)), min_size=1, max_size=8))
def test_the_last_number_counts(counts: list[tuple[int, int]]) -> None:
    """Of cumulative reports the last number that is one counts, for each name by itself."""
    reports = [{"prompt_tokens": asked, "completion_tokens": said} for asked, said in counts]
    said = next((said for _, said in reversed(counts) if said), 0)
    assert tallied(*reports).usage() == usage(counts[-1][0], said)


_PART = st.integers(0, 12) | st.sampled_from([None, 7, 60, "7", -1])
_OF_INPUT = st.sampled_from(["cached_tokens", "audio_tokens", "cached_tokens", "audio_tokens", "image_tokens"])
_OF_OUTPUT = st.sampled_from(["reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "thinking_tokens"])


@given(
    words=st.sampled_from([("prompt", "completion"), ("input", "output")]),
    asked=st.integers(0, 50),
    said=st.integers(0, 50),
    total=st.sampled_from([0, 0, None, 3]),
    details=st.tuples(*(st.none() | st.dictionaries(names, _PART, max_size=2) for names in (_OF_INPUT, _OF_OUTPUT))),
)
def test_a_common_report_is_read_as_any_other(
    words: tuple[str, str], asked: int, said: int, total: int | None, details: tuple[Any, Any]
) -> None:
    """What nearly every provider reports has a way of its own; a name that counts nothing leads off it, and changes nothing."""
    names = [*(f"{word}_tokens" for word in words), "total_tokens", *(f"{word}_tokens_details" for word in words)]
    summed = None if total is None else asked + said + total
    whole = dict(zip(names, (asked, said, summed, *details), strict=True))
    for report in (whole, {name: value for name, value in whole.items() if value is not None}):
        assert usage_from(report) == usage_from({**report, "is_byok": False})
