"""Tokens that other instrumentations tell in a form of their own: not an attribute for each count."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeGuard

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.foreign_content import Attributes, put, read_json
from ai_dev_squad.genai.usage import usage_from
from ai_dev_squad.schema import Usage

__all__ = ["langfuse_usage", "langsmith_usage", "vercel_usage"]

_DETAILS = frozenset(f"{side}_tokens_details" for side in ("prompt", "completion", "input", "output"))
_INPUTS, _OUTPUTS = ("input", "cache_", "prompt"), ("output", "completion")
_INSIDE_OTHERS = ("input_priority", "output_priority")
"""Of a dearer tier, counted once more among the others."""
_FLEX = ("input_", "input_flex_", "input_priority_")
_READ = ("cache_read_input_tokens", "input_cached_tokens", *(f"{side}cache_read" for side in _FLEX))
_WRITTEN_1H = ("input_ephemeral_1h_input_tokens",)
_WRITTEN = (
    *("cache_creation_input_tokens", "input_ephemeral_5m_input_tokens", *_WRITTEN_1H),
    *(f"{side}cache_creation" for side in _FLEX),
)
_THOUGHT = ("output_reasoning_tokens", "output_reasoning", "output_flex_reasoning", "output_priority_reasoning")

_BESIDE = ("anthropic", "amazon-bedrock", "bedrock", "vertex.anthropic")
"""Whose cache stands beside the input in releases of Vercel's AI SDK before 6."""
_COUNT = re.compile(r"""['"](\w+)['"]:\s*(\d{1,12})(?![\d.])""")


def langfuse_usage(given: Attributes, found: Attributes) -> None:
    """Its JSON maps: ``usage_details``, where every kind of input counts apart or which is OpenAI's own report, and
    ``cost_details``.
    """
    usage = read_json(given.get("langfuse.observation.usage_details"))
    if type(usage) is dict:
        _tell(found, usage_from(usage) if not _DETAILS.isdisjoint(usage) else _apart(usage))
    cost = read_json(given.get("langfuse.observation.cost_details"))
    if type(cost) is dict:
        put(found, "gen_ai.usage.cost.amount", cost.get("total"))


def _apart(usage: dict[Any, Any]) -> Usage:
    counts = {name: int(value) for name, value in usage.items() if type(name) is str and _is_count(value)}
    apart = {name: count for name, count in counts.items() if not name.startswith(_INSIDE_OTHERS)}
    return Usage(
        input_tokens=_sum(count for name, count in apart.items() if name.startswith(_INPUTS)),
        output_tokens=_sum(count for name, count in apart.items() if name.startswith(_OUTPUTS)),
        cache_read_input_tokens=_sum(counts[name] for name in _READ if name in counts),
        cache_write_input_tokens=_sum(counts[name] for name in _WRITTEN if name in counts),
        cache_write_1h_input_tokens=_sum(counts[name] for name in _WRITTEN_1H if name in counts),
        reasoning_output_tokens=_sum(counts[name] for name in _THOUGHT if name in counts),
        source="provider",
    )


def langsmith_usage(given: Attributes, found: Attributes) -> None:
    """The details of LangChain's count, which LangSmith writes as Python does."""
    sides = {side: _counts(given.get(f"gen_ai.usage.{side}_token_details")) for side in ("input", "output")}
    if any(sides.values()):
        asked, said = found.get(keys.USAGE_INPUT_TOKENS), found.get(keys.USAGE_OUTPUT_TOKENS)
        counted = {"input_tokens": asked, "output_tokens": said}
        _tell(found, usage_from({**counted, **{f"{side}_token_details": counts for side, counts in sides.items()}}))


def _counts(text: Any) -> dict[str, int]:
    return {name: int(count) for name, count in _COUNT.findall(text[:4096])} if isinstance(text, str) else {}


def vercel_usage(given: Attributes, found: Attributes) -> None:
    """What Anthropic and Bedrock count beside the input; from release 6 on the SDK has added it up."""
    provider = str(given.get("ai.model.provider", "")).lower()
    if not provider.startswith(_BESIDE) and ".anthropic" not in provider:
        return
    if any(name.startswith("ai.usage.inputTokenDetails.") for name in given):
        return
    told = read_json(given.get("ai.response.providerMetadata"))
    told = told if type(told) is dict else {}
    written = _inside(told, "anthropic", "cacheCreationInputTokens")
    if written is None:
        written = _inside(_part(told, "bedrock"), "usage", "cacheWriteInputTokens")
    put(found, keys.USAGE_CACHE_WRITE_INPUT_TOKENS, written)
    whole = found.get(keys.USAGE_INPUT_TOKENS)
    if _is_count(whole):
        beside = (found.get(key) for key in (keys.USAGE_CACHE_READ_INPUT_TOKENS, keys.USAGE_CACHE_WRITE_INPUT_TOKENS))
        found[keys.USAGE_INPUT_TOKENS] = whole + sum(part for part in beside if _is_count(part))


def _part(told: dict[str, Any], name: str) -> dict[str, Any]:
    part = told.get(name)
    return part if type(part) is dict else {}


def _inside(told: dict[str, Any], part: str, name: str) -> Any:
    return _part(told, part).get(name)


def _tell(found: Attributes, usage: Usage | None) -> None:
    if usage is None:
        return
    put(found, keys.USAGE_INPUT_TOKENS, usage.input_tokens)
    put(found, keys.USAGE_OUTPUT_TOKENS, usage.output_tokens)
    put(found, keys.USAGE_CACHE_READ_INPUT_TOKENS, usage.cache_read_input_tokens)
    put(found, keys.USAGE_CACHE_WRITE_INPUT_TOKENS, usage.cache_write_input_tokens)
    put(found, keys.USAGE_CACHE_WRITE_1H_INPUT_TOKENS, usage.cache_write_1h_input_tokens)
    put(found, keys.USAGE_REASONING_OUTPUT_TOKENS, usage.reasoning_output_tokens)


def _is_count(value: Any) -> TypeGuard[int | float]:
    return (type(value) is int or (type(value) is float and value.is_integer())) and value >= 0


def _sum(counts: Iterable[int]) -> int | None:
    listed = list(counts)
    return sum(listed) if listed else None
