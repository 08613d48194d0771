"""The providers of the table: what is asked of each, and what its wire says in words of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import (
    ModelRequest,
    Script,
    Tokens,
    reply,
    respond,
    role,
    system_contains,
    tokens,
)

__all__ = ["PROVIDERS", "REQUEST", "SYSTEM", "Provider", "scenario_of"]

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"
ANSWER = "Paris is the capital of France."

Rewrite = Callable[[dict[str, Any]], Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class Provider:
    """A row of the table."""

    name: str
    title: str
    wire: str
    """Which interface is spoken, for a reader."""
    model: str
    usage: Tokens
    """What the answer is billed."""
    priced_as: str
    """The provider in the price table."""
    service_tier: str | None = None
    cost_usd: float | None = None
    """What the provider itself says that it costs, where it does."""
    rewrite: Rewrite | None = None
    """What OpenAI's format becomes here."""


def _with_usage(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Rewrite:
    def rewrite(sent: dict[str, Any]) -> Sequence[dict[str, Any]]:
        return [{**sent, "usage": change(sent["usage"])} if sent.get("usage") else sent]

    return rewrite


def _thoughts_aside(usage: dict[str, Any]) -> dict[str, Any]:
    """Google's compatible interface: thoughts are in the total alone."""
    thoughts = usage["completion_tokens_details"]["reasoning_tokens"]
    kept = {key: usage[key] for key in ("prompt_tokens", "total_tokens", "prompt_tokens_details")}
    return {**kept, "completion_tokens": usage["completion_tokens"] - thoughts}


def _cache_hits(usage: dict[str, Any]) -> dict[str, Any]:
    """DeepSeek: hits and misses of its cache, and no details of the prompt."""
    hits = usage["prompt_tokens_details"]["cached_tokens"]
    kept = {key: usage[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
    misses = usage["prompt_tokens"] - hits
    return {**kept, "prompt_cache_hit_tokens": hits, "prompt_cache_miss_tokens": misses}


def _unasked(sent: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Mistral: the chunk that ends a stream has the usage, whether it was asked for or not."""
    ends = sent["object"] == "chat.completion.chunk" and any(choice["finish_reason"] for choice in sent["choices"])
    counts = {"prompt_tokens": _MISTRAL.input_tokens, "completion_tokens": _MISTRAL.output_tokens}
    return [{**sent, "usage": {**counts, "total_tokens": _MISTRAL.total_tokens}} if ends else sent]


def _openrouter(sent: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """OpenRouter: who answered, why they stopped in their own word, and what it costs."""
    choices = [{**choice, "native_finish_reason": choice["finish_reason"]} for choice in sent["choices"]]
    usage = {**sent["usage"], "cost": _OPENROUTER_USD} if sent.get("usage") else None
    return [{**sent, "provider": "OpenAI", "choices": choices, **({} if usage is None else {"usage": usage})}]


_MISTRAL = tokens(1200, 96)
_OPENROUTER_USD = 0.0063

_ROWS = (
    Provider("openai", "OpenAI", "chat completions, flex tier", "gpt-5-mini", tokens(1200, 160, cached=1024, reasoning=64),
             "openai", service_tier="flex"),
    Provider("openai_responses", "OpenAI responses", "responses", "gpt-5-mini", tokens(1200, 160, cached=1024, reasoning=64),
             "openai"),
    Provider("anthropic", "Anthropic", "messages", "claude-sonnet-4-5", tokens(9512, 40, cached=9000, cache_write=500),
             "anthropic"),
    Provider("gemini", "Google Gemini", "generateContent", "gemini-2.5-flash", tokens(1200, 396, cached=800, reasoning=300),
             "gcp.gemini", rewrite=_with_usage(_thoughts_aside)),
    Provider("bedrock", "Amazon Bedrock", "Converse", "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
             tokens(4130, 25, cached=4000, cache_write=100), "aws.bedrock"),
    Provider("ollama", "Ollama", "api/chat", "llama3.1", tokens(26, 9), "ollama"),
    Provider("openrouter", "OpenRouter", "chat completions with its own cost", "openai/gpt-4o-mini", tokens(1200, 96),
             "openrouter", cost_usd=_OPENROUTER_USD,
             rewrite=_openrouter),
    Provider("deepseek", "DeepSeek", "chat completions with cache hits", "deepseek-chat", tokens(1200, 96, cached=800),
             "deepseek", rewrite=_with_usage(_cache_hits)),
    Provider("litellm", "Mistral through LiteLLM", "chat completions", "mistral-large-latest", _MISTRAL, "mistral_ai",
             rewrite=_unasked),
)  # fmt: skip

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _ROWS}
"""By name, in the order of the table."""


def scenario_of(provider: Provider, *, streamed: bool) -> Scenario:
    """What a cell plays: one question, and one answer that is billed as no framework could guess."""

    def said(request: ModelRequest) -> Any:
        compatible = request.endpoint == "chat.completions"
        return reply(
            ANSWER,
            usage=provider.usage,
            service_tier=provider.service_tier,
            rewrite=provider.rewrite if compatible else None,
            first_token=0.02,
        )

    return Scenario(
        name=provider.name,
        title=provider.title,
        purpose=f"One question to {provider.title} ({provider.wire}).",
        script=lambda: Script([role("assistant", system_contains("you are the assistant"), respond(said))]),
        expected=Expected(answer=ANSWER, agents=("assistant",), streamed=streamed),
        timeout_s=180.0,
    )
