"""The models of the OpenAI Agents SDK, in an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents import Agent, Model, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner

from ai_dev_squad_parity.lab.scenario import Cannot
from ai_dev_squad_parity.providers.clients import Client
from ai_dev_squad_parity.providers.spec import REQUEST, SYSTEM

__all__ = ["CLIENTS", "build", "run", "stream"]


def build(client: Model, streamed: bool) -> Any:
    """An agent with this model."""
    flex = isinstance(client, OpenAIChatCompletionsModel) and "gpt-5" in str(client.model)
    settings = ModelSettings(extra_args={"service_tier": "flex"}) if flex else ModelSettings()
    return Agent(name="assistant", instructions=SYSTEM, model=client, model_settings=settings)


async def run(agent: Any) -> str:
    """Ask it."""
    return str((await Runner.run(agent, REQUEST)).final_output)


async def stream(agent: Any) -> str:
    """Ask it, and read its answer as it comes."""
    events = Runner.run_streamed(agent, REQUEST).stream_events()
    raw = [event.data async for event in events if event.type == "raw_response_event"]
    return "".join([data.delta for data in raw if data.type == "response.output_text.delta"])


def _compatible(path: str = "/v1") -> Any:
    def make(url: str, model: str, streamed: bool) -> Any:
        from openai import AsyncOpenAI

        return OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=f"{url}{path}", api_key="scripted"))

    return make


def _responses(url: str, model: str, streamed: bool) -> Any:
    from openai import AsyncOpenAI

    return OpenAIResponsesModel(model, AsyncOpenAI(base_url=f"{url}/v1", api_key="scripted"))


def _litellm(prefix: str, path: str = "") -> Any:
    """What the SDK's documentation asks other providers by."""

    def make(url: str, model: str, streamed: bool) -> Any:
        from agents.extensions.models.litellm_model import LitellmModel

        return LitellmModel(f"{prefix}/{model}", base_url=f"{url}{path}", api_key="scripted")

    return make


_BY_LITELLM = ("openai-agents", "litellm")

CLIENTS: Mapping[str, Client | Cannot] = {
    "openai": Client(_compatible(), ("openai-agents", "openai")),
    "openai_responses": Client(_responses, ("openai-agents", "openai")),
    "anthropic": Client(_litellm("anthropic"), _BY_LITELLM),
    # Google's interface that is compatible with OpenAI's.
    "gemini": Client(_compatible("/v1beta/openai"), ("openai-agents", "openai")),
    "bedrock": Client(_litellm("bedrock/converse"), (*_BY_LITELLM, "boto3")),
    "ollama": Client(_litellm("ollama_chat"), _BY_LITELLM),
    "openrouter": Client(_compatible(), ("openai-agents", "openai")),
    "deepseek": Client(_compatible(), ("openai-agents", "openai")),
    "litellm": Client(_litellm("mistral", "/v1"), _BY_LITELLM),
}
"""By provider."""
