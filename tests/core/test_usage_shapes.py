"""Every provider's report of tokens comes out in one shape: input with cache, output with reasoning."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.schema import Usage
from ai_dev_squad.usage_shapes import usage_from


def usage(input_tokens: int, output_tokens: int, **more: int) -> Usage:
    """A usage that a provider reported."""
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="provider", **more)


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
    ],
)
def test_shapes(reported: Any, expected: Usage) -> None:
    """Each provider's report means what its documentation says."""
    assert usage_from(reported) == expected


@pytest.mark.parametrize(
    "reported", [None, {}, {"total_tokens": 0}, {"prompt_tokens": 0, "completion_tokens": 0}, "tokens", 5, [1]]
)
def test_no_report(reported: Any) -> None:
    """Nothing, or nothing but zeros, is a missing report and never 0 tokens."""
    assert usage_from(reported) is None


_NAMES = st.sampled_from(
    [
        *("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
        *("prompt_token_count", "candidatesTokenCount", "inputTokens", "cacheReadInputTokens"),
        *("cache_read_input_tokens", "prompt_tokens_details", "output_tokens_details"),
    ]
)
_VALUES = st.one_of(
    st.none(), st.integers(-5, 10**9), st.booleans(), st.floats(0, 1e6), st.text(max_size=3), st.just({})
)


@given(st.dictionaries(_NAMES, _VALUES))
def test_any_report(reported: dict[str, Any]) -> None:
    """Whatever a report holds, counts come out as whole numbers that aren't negative, or nothing does."""
    found = usage_from(reported)

    if found is not None:
        counts = [getattr(found, name) for name in found.__struct_fields__ if name != "source"]
        assert all(count is None or (type(count) is int and count >= 0) for count in counts)
