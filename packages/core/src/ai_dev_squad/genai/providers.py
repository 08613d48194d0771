"""What a provider is called: one table, and the two names that come out of it.

``convention_name`` is the value of ``gen_ai.provider.name`` (OpenTelemetry's GenAI conventions list the known ones; others
are allowed), ``price_key`` the name that prices are filed under. Into the table go the names that LangChain, CrewAI with
LiteLLM, AutoGen's clients, other instrumentations and host names have for the same provider. A new provider is a row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "OPEN_ENDPOINTS",
    "convention_name",
    "is_known",
    "maker_of_model",
    "price_key",
    "provider_behind",
    "provider_of_host",
    "seller",
]


class _Provider(NamedTuple):
    convention: str
    price: str
    names: tuple[str, ...] = ()
    """What others call it."""
    hosts: tuple[str, ...] = ()
    """Its hosts, or how their names end; ``bedrock-runtime.*`` stands for a host per region."""


_PROVIDERS = (
    _Provider("openai", "openai", ("openai_responses", "text-completion-openai"), ("api.openai.com",)),
    _Provider("anthropic", "anthropic", ("claude",), ("api.anthropic.com",)),
    _Provider(
        "aws.bedrock",
        "aws",
        (
            *("amazon", "amazon_bedrock", "amazon_bedrock_converse", "anthropic_bedrock", "anthropicbedrock", "aws"),
            *("bedrock", "bedrock_converse", "amazon-bedrock"),
        ),
        ("bedrock-runtime.*", "bedrock-mantle.*", "bedrock-agent-runtime.*"),
    ),
    _Provider(
        "azure.ai.openai",
        "azure",
        ("az.ai.openai", "azure", "azure_ad", "azure_openai", "azure-openai", "azure_text", "azureopenai"),
        (".openai.azure.com", ".cognitiveservices.azure.com", ".azure-api.net"),
    ),
    _Provider(
        "azure.ai.inference",
        "azure",
        ("az.ai.inference", "azure_ai", "azureai"),
        (".models.ai.azure.com", ".services.ai.azure.com", ".inference.ai.azure.com"),
    ),
    _Provider(
        "gcp.gemini",
        "google",
        ("gemini", "google_generativeai", "google-ai", "google_ai_studio", "google.generative-ai", "google-gla"),
        ("generativelanguage.googleapis.com",),
    ),
    _Provider("gcp.gen_ai", "google", ("google", "google_genai")),
    _Provider(
        "gcp.vertex_ai",
        "google",
        (
            "anthropic_vertex",
            "google_vertexai",
            "google.vertex",
            "google-vertex",
            "vertex_ai",
            "vertex_ai_beta",
            "vertexai",
        ),
        ("aiplatform.googleapis.com", "-aiplatform.googleapis.com"),
    ),
    _Provider("cohere", "cohere", ("cohere_chat",), ("api.cohere.com", "api.cohere.ai")),
    _Provider("deepseek", "deepseek", ("deepseek_ai",), ("api.deepseek.com",)),
    _Provider("groq", "groq", (), ("api.groq.com",)),
    _Provider("ibm.watsonx.ai", "ibm.watsonx.ai", ("watsonx",), (".ml.cloud.ibm.com",)),
    _Provider(
        "mistral_ai", "mistral", ("codestral", "mistral", "mistralai"), ("api.mistral.ai", "codestral.mistral.ai")
    ),
    _Provider("moonshot_ai", "moonshotai", ("moonshot", "moonshotai"), ("api.moonshot.ai", "api.moonshot.cn")),
    _Provider("perplexity", "perplexity", ("perplexity_ai",), ("api.perplexity.ai",)),
    _Provider("x_ai", "x-ai", ("grok", "x-ai", "xai"), ("api.x.ai",)),
    # Those that the conventions do not list.
    _Provider("ollama", "ollama", ("chatollama", "ollama_chat")),
    _Provider("arcee", "arcee", (), ("api.arcee.ai",)),
    _Provider("avian", "avian", (), ("api.avian.io",)),
    _Provider("aws.sagemaker", "aws", ("sagemaker",), ("runtime.sagemaker.*",)),
    _Provider("baseten", "baseten", (), ("inference.baseten.co",)),
    _Provider("cerebras", "cerebras", (), ("api.cerebras.ai",)),
    _Provider("cloudflare", "cloudflare", ("workers-ai",), ("api.cloudflare.com",)),
    _Provider("cursor", "cursor", (), ("api.cursor.com",)),
    _Provider(
        "dashscope",
        "dashscope",
        (),
        ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com", ".maas.aliyuncs.com"),
    ),
    _Provider(
        "databricks",
        "databricks",
        ("chatdatabricks",),
        (".cloud.databricks.com", ".azuredatabricks.net", ".gcp.databricks.com"),
    ),
    _Provider("deepinfra", "deepinfra", (), ("api.deepinfra.com",)),
    _Provider("doubleword", "doubleword", (), ("api.doubleword.ai",)),
    _Provider("fireworks", "fireworks", ("fireworks_ai", "fireworks-ai"), ("api.fireworks.ai",)),
    _Provider("github-copilot", "github-copilot", ("github_copilot",), ("api.githubcopilot.com",)),
    _Provider("hosted_vllm", "hosted_vllm"),
    _Provider("huggingface", "huggingface", (), ("router.huggingface.co",)),
    _Provider("llama_cpp", "llama_cpp", ("llamacpp",)),
    _Provider("lm_studio", "lm_studio"),
    _Provider("meta", "meta", ("meta_llama",), ("api.meta.ai",)),
    _Provider("minimax", "minimax", (), ("api.minimax.io", "api.minimax.com", "api.minimaxi.io", "api.minimaxi.com")),
    _Provider("novita", "novita", ("novita_ai", "novita-ai"), ("api.novita.ai",)),
    _Provider("nvidia_nim", "nvidia_nim", (), ("integrate.api.nvidia.com",)),
    _Provider("openrouter", "openrouter", (), ("openrouter.ai",)),
    _Provider("ovhcloud", "ovhcloud", (), ("oai.endpoints.kepler.ai.cloud.ovh.net",)),
    _Provider("quicksilverpro", "quicksilverpro", (), ("api.quicksilverpro.io",)),
    _Provider("replicate", "replicate", (), ("api.replicate.com",)),
    _Provider("sambanova", "sambanova", (), ("api.sambanova.ai",)),
    _Provider("snowflake", "snowflake", (), (".snowflakecomputing.com",)),
    _Provider("together", "together", ("together_ai", "togetherai"), ("api.together.xyz", "api.together.ai")),
    _Provider("typesafe", "typesafe", (), ("api.typesafe.ai",)),
    _Provider("volcengine", "volcengine", ("doubao",), (".volces.com",)),
    _Provider("voyageai", "voyageai", ("voyage",), ("api.voyageai.com",)),
    _Provider("writer", "writer", (), ("api.writer.com",)),
    _Provider("zai", "zai", ("z_ai",), ("api.z.ai",)),
    _Provider("zhipuai", "zhipuai", ("zhipu",), ("open.bigmodel.cn",)),
)

OPEN_ENDPOINTS = frozenset(
    {"openai", "litellm", "openai_like", "custom_openai", "openai-compatible", "unknown", "custom"}
)
"""Price keys whose name only says which protocol is spoken: the model tells who answers."""

# Words that a framework uses in a sense of its own.
_SENSES = {
    "langchain": {"azure": "azure.ai.inference"},  # where it means OpenAI's models there, it says so elsewhere
    "crewai": {"google": "gcp.gemini"},
}

_MAKERS = {
    "gemini-": "gcp.gemini",
    "claude-": "anthropic",
}
"""How the names of models begin whose maker sells them through an endpoint that speaks OpenAI's language."""

_by_name = {name: provider for provider in _PROVIDERS for name in (provider.convention, *provider.names)}
_hosts = {host: provider for provider in _PROVIDERS for host in provider.hosts}


def convention_name(name: str, *, framework: str | None = None) -> str:
    """The conventions' name of a provider, whatever it is called: ``aws.bedrock`` for ``bedrock_converse``.

    ``framework`` says whose word it is: LangChain's ``azure`` is not everybody's. A name that stands in no table comes
    back in lower case.
    """
    lowered = name.strip().lower()
    sense = _SENSES.get(framework or "", {}).get(lowered)
    if sense is not None:
        return sense
    known = _by_name.get(lowered)
    return lowered if known is None else known.convention


def price_key(name: str) -> str:
    """The name that a provider's prices are filed under, such as ``aws`` for ``bedrock_converse``."""
    lowered = name.strip().lower()
    known = _by_name.get(lowered)
    return lowered if known is None else known.price


def is_known(name: str) -> bool:
    """Whether this names a provider here, as what stands before the slash of a model in LiteLLM's notation may."""
    return name.strip().lower() in _by_name


@lru_cache(maxsize=1024)
def provider_of_host(host: str) -> str | None:
    """The conventions' name of the provider behind a host name; ``None`` for a host that nobody here knows."""
    lowered = host.strip().lower().rstrip(".")
    known = _hosts.get(lowered)
    if known is not None:
        return known.convention
    for pattern, provider in _hosts.items():
        if pattern.endswith(".*"):
            if lowered.startswith(pattern[:-1]) and (
                lowered.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
            ):
                return provider.convention
        elif pattern.startswith((".", "-")) and lowered.endswith(pattern):
            return provider.convention
    return None


def provider_behind(provider: str, host: str | None) -> str:
    """The provider that a client of ``provider`` asks at ``host``, both in the conventions' words: many speak OpenAI's
    language, and then the host tells who answers, if it is one that we know.
    """
    return (provider_of_host(host) if host and provider in OPEN_ENDPOINTS else None) or provider


def seller(house: str, model: str) -> tuple[str, str]:
    """The price key of who is paid for a model of ``house``, a price key, and the model's name there.

    Hugging Face's router passes ``openai/gpt-oss-120b:groq`` on to Groq, at a price of its own:
    https://huggingface.co/docs/inference-providers/index#provider-selection
    """
    name, _, chosen = model.rpartition(":")
    return (f"huggingface_{chosen}", name) if house == "huggingface" and name else (house, model)


def maker_of_model(model: str) -> str | None:
    """Whom a model belongs to that is asked in OpenAI's language, by how its name begins; ``None`` for OpenAI's own."""
    return next((maker for beginning, maker in _MAKERS.items() if model.startswith(beginning)), None)
