"""Agent Framework's chat clients, in an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_framework import Agent

from ai_dev_squad_parity.lab.scenario import Cannot
from ai_dev_squad_parity.providers.clients import Client
from ai_dev_squad_parity.providers.spec import REQUEST, SYSTEM

__all__ = ["CLIENTS", "build", "run", "stream"]


def build(client: Any, streamed: bool) -> Any:
    """An agent with this client, which may be an agent already."""
    return client if isinstance(client, Agent) else Agent(client, SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    """Ask it."""
    return str((await agent.run(REQUEST)).text)


async def stream(agent: Any) -> str:
    """Ask it, and read its answer as it comes."""
    return "".join([update.text async for update in agent.run(REQUEST, stream=True)])


def _compatible(**options: Any) -> Any:
    def make(url: str, model: str, streamed: bool) -> Any:
        from agent_framework_openai import OpenAIChatCompletionClient

        client = OpenAIChatCompletionClient(model=model, base_url=f"{url}/v1", api_key="scripted")
        return Agent(client, SYSTEM, name="assistant", default_options=options)

    return make


def _responses(url: str, model: str, streamed: bool) -> Any:
    from agent_framework_openai import OpenAIChatClient

    return OpenAIChatClient(model=model, base_url=f"{url}/v1", api_key="scripted")


def _anthropic(url: str, model: str, streamed: bool) -> Any:
    from agent_framework_anthropic import AnthropicClient

    return AnthropicClient(model=model, base_url=url, api_key="scripted")


def _gemini(url: str, model: str, streamed: bool) -> Any:
    from agent_framework_gemini import GeminiChatClient
    from google import genai
    from google.genai.types import HttpOptions

    return GeminiChatClient(
        model=model, client=genai.Client(api_key="scripted", http_options=HttpOptions(base_url=url))
    )


def _bedrock(url: str, model: str, streamed: bool) -> Any:
    import boto3
    from agent_framework_bedrock import BedrockChatClient

    session = boto3.Session(aws_access_key_id="scripted", aws_secret_access_key="scripted", region_name="us-east-1")  # noqa: S106 - opens nothing
    return BedrockChatClient(model=model, client=session.client("bedrock-runtime", endpoint_url=url))


def _ollama(url: str, model: str, streamed: bool) -> Any:
    from agent_framework_ollama import OllamaChatClient

    return OllamaChatClient(model=model, host=url)


CLIENTS: Mapping[str, Client | Cannot] = {
    "openai": Client(_compatible(service_tier="flex"), ("agent-framework-openai", "openai")),
    "openai_responses": Client(_responses, ("agent-framework-openai", "openai")),
    "anthropic": Client(_anthropic, ("agent-framework-anthropic", "anthropic")),
    "gemini": Client(_gemini, ("agent-framework-gemini", "google-genai")),
    "bedrock": Client(_bedrock, ("agent-framework-bedrock", "boto3")),
    "ollama": Client(_ollama, ("agent-framework-ollama", "ollama")),
    "openrouter": Client(_compatible(), ("agent-framework-openai", "openai")),
    "deepseek": Client(_compatible(), ("agent-framework-openai", "openai")),
    "litellm": Cannot(
        "Agent Framework has no client of LiteLLM; its providers are listed, and others are asked as OpenAI is",
        "https://learn.microsoft.com/en-us/agent-framework/agents/providers/",
    ),
}
"""By provider."""
