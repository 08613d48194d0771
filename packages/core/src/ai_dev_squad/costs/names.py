"""What frameworks and gateways call a model, and what its price is filed under."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["OPEN_ENDPOINTS", "provider_key", "spellings"]

_PROVIDERS = {
    # OpenTelemetry `gen_ai.provider.name`, LangChain `ls_provider`, LiteLLM prefixes: each where it differs from ours.
    "amazon": "aws",
    "amazon_bedrock": "aws",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "anthropic_bedrock": "aws",
    "sagemaker": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure-openai": "azure",
    "azure_text": "azure",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "google-ai": "google",
    "google_ai_studio": "google",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "vertexai": "google",
    "anthropic_vertex": "google",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "codestral": "mistral",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "grok": "x-ai",
    "together_ai": "together",
    "togetherai": "together",
    "fireworks_ai": "fireworks",
    "fireworks-ai": "fireworks",
    "cohere_chat": "cohere",
    "deepseek_ai": "deepseek",
    "moonshot": "moonshotai",
    "perplexity_ai": "perplexity",
    "github_copilot": "github-copilot",
    "text-completion-openai": "openai",
    "openai_responses": "openai",
    "azure_ad": "azure",
    "voyage": "voyageai",
    "z_ai": "zai",
    "ollama_chat": "ollama",
    "chatollama": "ollama",
}

OPEN_ENDPOINTS = frozenset(
    {"openai", "litellm", "openai_like", "custom_openai", "openai-compatible", "unknown", "custom"}
)
"""Providers whose name only says which protocol is spoken: the model tells who answers."""

_DATES = re.compile(r"[-@](?:20\d{2}-?[01]\d-?[0-3]\d)$")
_BEDROCK_REGION = re.compile(r"^(?:us|eu|apac|au|jp|ca|us-gov|global)\.")
_COMPACT_DATE = re.compile(r"-(20\d{2})([01]\d)([0-3]\d)(?=$|[-:])")


def provider_key(name: str) -> str:
    """The lower-case name a provider goes by here, such as ``aws`` for ``bedrock_converse``."""
    lowered = name.strip().lower()
    return _PROVIDERS.get(lowered, lowered)


def spellings(model: str) -> Iterator[str]:
    """Names under which a model may be filed, the most literal first. All are lower case.

    ``models/gemini-2.5-pro`` → without the path; a date is tried in both ways of writing it and then left off, and so
    are ``-latest``, a Bedrock region and a Bedrock version.
    """
    seen: set[str] = set()
    for name in _spell(model.strip().lower()):
        if name and name not in seen:
            seen.add(name)
            yield name


def _spell(name: str) -> Iterator[str]:
    yield name
    if "/models/" in name or name.startswith(("models/", "arn:")):
        name = name.rpartition("/")[2]
        yield name
    yield name.replace("@", "-")
    yield _COMPACT_DATE.sub(r"-\1-\2-\3", name)
    bare = re.sub(r"-v\d+(?::\d+)?(?::\w+)?$", "", name)
    yield bare
    without_region = _BEDROCK_REGION.sub("", bare)
    yield without_region
    undated = _DATES.sub("", without_region)
    yield undated
    yield undated.removesuffix("-latest")
    yield undated.removesuffix(":latest")
