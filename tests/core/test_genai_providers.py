"""A provider has one row: whatever others call it, the conventions' name and the price key come out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.costs.prices.catalog import catalog
from ai_dev_squad.genai.providers import (
    convention_name,
    is_known,
    maker_of_model,
    price_key,
    provider_behind,
    provider_of_host,
    seller,
)


@pytest.mark.parametrize(
    "name, framework, convention, price",
    [
        # LangChain's `ls_provider`
        ("amazon_bedrock_converse", "langchain", "aws.bedrock", "aws"),
        ("azure", "langchain", "azure.ai.inference", "azure"),
        ("azure_openai", "langchain", "azure.ai.openai", "azure"),
        ("google_genai", "langchain", "gcp.gen_ai", "google"),
        ("google_vertexai", "langchain", "gcp.vertex_ai", "google"),
        ("mistral", "langchain", "mistral_ai", "mistral"),
        # Vercel's and Pydantic AI's
        ("amazon-bedrock", None, "aws.bedrock", "aws"),
        ("google-gla", None, "gcp.gemini", "google"),
        ("google-vertex", None, "gcp.vertex_ai", "google"),
        # CrewAI's and LiteLLM's
        ("azure", "crewai", "azure.ai.openai", "azure"),
        ("google", "crewai", "gcp.gemini", "google"),
        ("gemini", "crewai", "gcp.gemini", "google"),
        ("vertex_ai", "crewai", "gcp.vertex_ai", "google"),
        ("claude", "crewai", "anthropic", "anthropic"),
        ("watsonx", "crewai", "ibm.watsonx.ai", "ibm.watsonx.ai"),
        ("together_ai", "crewai", "together", "together"),
        ("ollama_chat", "crewai", "ollama", "ollama"),
        # AutoGen's clients
        ("azureopenai", "autogen", "azure.ai.openai", "azure"),
        ("azureai", "autogen", "azure.ai.inference", "azure"),
        ("anthropicbedrock", "autogen", "aws.bedrock", "aws"),
        ("llamacpp", "autogen", "llama_cpp", "llama_cpp"),
        # Other instrumentations'
        ("google", None, "gcp.gen_ai", "google"),
        ("google.generative-ai", None, "gcp.gemini", "google"),
        ("az.ai.openai", None, "azure.ai.openai", "azure"),
        ("xai", None, "x_ai", "x-ai"),
        ("moonshot", None, "moonshot_ai", "moonshotai"),
        # Nobody's
        (" My-Gateway ", None, "my-gateway", "my-gateway"),
        ("", None, "", ""),
    ],
)
def test_names(name: str, framework: str | None, convention: str, price: str) -> None:
    """The conventions' name and the price key of what somebody calls a provider; unknown names pass through."""
    assert convention_name(name, framework=framework) == convention
    assert price_key(name) == price
    assert price_key(convention) == price_key(convention_name(convention))


@given(st.text(max_size=12))
def test_any_name(name: str) -> None:
    """Naming twice changes nothing."""
    once = convention_name(name)
    assert convention_name(once) == once
    assert price_key(price_key(name)) == price_key(name)


@pytest.mark.parametrize(
    "host, provider",
    [
        ("api.openai.com", "openai"),
        ("API.OpenAI.com.", "openai"),
        ("api.anthropic.com", "anthropic"),
        ("my-house.openai.azure.com", "azure.ai.openai"),
        ("phi.services.ai.azure.com", "azure.ai.inference"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("europe-west4-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("bedrock-runtime.example.com", None),
        ("api.x.ai", "x_ai"),
        ("openrouter.ai", "openrouter"),
        ("api.minimax.io", "minimax"),
        ("open.bigmodel.cn", "zhipuai"),
        ("dbc-1.cloud.databricks.com", "databricks"),
        ("ws-1.ap-southeast-1.maas.aliyuncs.com", "dashscope"),
        ("notopenrouter.ai", None),
        ("api.openai.com.evil.example", None),
        ("127.0.0.1", None),
        ("", None),
        ("bedrock-agent-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("gateway.azure-api.net", "azure.ai.openai"),
        ("ark.cn-beijing.volces.com", "volcengine"),
        ("api.replicate.com", "replicate"),
    ],
)
def test_hosts(host: str, provider: str | None) -> None:
    """The provider behind a host, by its whole name or how it ends."""
    assert provider_of_host(host) == provider


def test_whoever_has_prices_has_a_row() -> None:
    """A list that gains a provider asks for its hosts: without them its models cost what somebody else takes for them, or nothing."""
    by_name = {"huggingface_": "its router's models say who serves them"}
    no_row = {
        "elevenlabs": "its calls are sound over a socket",
        "modal": "its hosts are its users' own servers",
        "openai-decisions": "OpenAI's, at OpenAI's address",
    }
    rows = {price_key(name) for name in catalog().providers if is_known(name)}
    without = {name for name in catalog().providers if name not in rows and not name.startswith(tuple(by_name))}
    assert without == {*no_row}


@pytest.mark.parametrize(
    "house, model, sold",
    [
        ("huggingface", "openai/gpt-oss-120b:groq", ("huggingface_groq", "openai/gpt-oss-120b")),
        ("huggingface", "openai/gpt-oss-120b", ("huggingface", "openai/gpt-oss-120b")),
        ("ollama", "llama3.1:8b", ("ollama", "llama3.1:8b")),
    ],
)
def test_who_sells_a_model(house: str, model: str, sold: tuple[str, str]) -> None:
    """A router's model may say whom it is bought from."""
    assert seller(house, model) == sold


@pytest.mark.parametrize(
    "provider, host, behind",
    [
        ("openai", "api.x.ai", "x_ai"),
        ("openai", "api.openai.com", "openai"),
        ("openai", "localhost", "openai"),
        ("openai", None, "openai"),
        ("litellm", "api.groq.com", "groq"),
        ("anthropic", "api.x.ai", "anthropic"),
    ],
)
def test_who_is_asked_in_openais_language(provider: str, host: str | None, behind: str) -> None:
    """The host tells, if it is known; a client of one provider alone needs no telling."""
    assert provider_behind(provider, host) == behind


def test_the_maker_of_a_model() -> None:
    """The beginning of a model's name tells whose it is."""
    assert [maker_of_model(name) for name in ("gemini-2.5-pro", "claude-opus-4-5", "gpt-4o")] == [
        "gcp.gemini",
        "anthropic",
        None,
    ]
    assert is_known("Groq")
    assert not is_known("meta-llama")


_WORDS = r"\"(?:prompt_tokens|completion_tokens|input_tokens|cached_tokens|temperature|top_p|max_completion_tokens|aws\.bedrock|gcp\.gemini|x_ai)\""


@pytest.mark.parametrize("name", ["langgraph", "crewai", "autogen"])
def test_no_adapter_has_a_table_of_its_own(name: str) -> None:
    """Providers, request keys and the names of token counts stand in core; an adapter names the few fields that it fills
    in for its framework, and tells no table of them.
    """
    root = Path(__file__).parents[2] / "packages" / "adapters" / name / "src"
    tables = {}
    for path in root.rglob("*.py"):
        for table in re.findall(
            r"^_[A-Z_]+(?:: [^=]+)? = (?:frozenset\()?[({\[].*?^[)}\]]",
            path.read_text("utf-8"),
            re.DOTALL | re.MULTILINE,
        ):
            if re.search(_WORDS, table) or "keys.REQUEST_" in table:
                tables[path.name] = table
    assert tables == {}
