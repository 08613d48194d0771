"""The models of pydantic-ai, in an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_ai import Agent

from ai_dev_squad_parity.lab.scenario import Cannot
from ai_dev_squad_parity.providers.clients import Client
from ai_dev_squad_parity.providers.spec import REQUEST, SYSTEM

__all__ = ["CLIENTS", "build", "run", "stream"]


def build(client: Any, streamed: bool) -> Any:
    """An agent with this model."""
    return Agent(client, name="assistant", instructions=SYSTEM)


async def run(agent: Any) -> str:
    """Ask it."""
    return str((await agent.run(REQUEST)).output)


async def stream(agent: Any) -> str:
    """Ask it, and read its answer as it comes."""
    async with agent.run_stream(REQUEST) as result:
        return "".join([piece async for piece in result.stream_text(delta=True)])


def _openai(url: str, model: str, streamed: bool) -> Any:
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{url}/v1", api_key="scripted")
    return OpenAIChatModel(model, provider=provider, settings=OpenAIChatModelSettings(openai_service_tier="flex"))


def _responses(url: str, model: str, streamed: bool) -> Any:
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIResponsesModel(model, provider=OpenAIProvider(base_url=f"{url}/v1", api_key="scripted"))


def _anthropic(url: str, model: str, streamed: bool) -> Any:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(base_url=url, api_key="scripted")
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


def _gemini(url: str, model: str, streamed: bool) -> Any:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return GoogleModel(model, provider=GoogleProvider(base_url=url, api_key="scripted"))


def _bedrock(url: str, model: str, streamed: bool) -> Any:
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    keys = {"aws_access_key_id": "scripted", "aws_secret_access_key": "scripted"}
    return BedrockConverseModel(model, provider=BedrockProvider(base_url=url, region_name="us-east-1", **keys))


def _ollama(url: str, model: str, streamed: bool) -> Any:
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.providers.ollama import OllamaProvider

    return OllamaModel(model, provider=OllamaProvider(base_url=f"{url}/v1"))


def _openrouter(url: str, model: str, streamed: bool) -> Any:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openrouter import OpenRouterModel
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="scripted")
    return OpenRouterModel(model, provider=OpenRouterProvider(openai_client=client))


def _deepseek(url: str, model: str, streamed: bool) -> Any:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.deepseek import DeepSeekProvider

    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="scripted")
    return OpenAIChatModel(model, provider=DeepSeekProvider(openai_client=client))


CLIENTS: Mapping[str, Client | Cannot] = {
    "openai": Client(_openai, ("pydantic-ai-slim", "openai")),
    "openai_responses": Client(_responses, ("pydantic-ai-slim", "openai")),
    "anthropic": Client(_anthropic, ("pydantic-ai-slim", "anthropic")),
    "gemini": Client(_gemini, ("pydantic-ai-slim", "google-genai")),
    "bedrock": Client(_bedrock, ("pydantic-ai-slim", "boto3")),
    "ollama": Client(_ollama, ("pydantic-ai-slim", "openai")),
    "openrouter": Client(_openrouter, ("pydantic-ai-slim", "openai")),
    "deepseek": Client(_deepseek, ("pydantic-ai-slim", "openai")),
    "litellm": Cannot(
        "Pydantic AI asks LiteLLM's server, as it asks OpenAI, by a provider of its own",
        "https://ai.pydantic.dev/models/openai/#litellm",
    ),
}
"""By provider."""
