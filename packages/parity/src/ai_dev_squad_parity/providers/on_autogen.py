"""The clients of autogen-ext, in an assistant agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.messages import ModelClientStreamingChunkEvent
from autogen_core.models import ModelInfo

from ai_dev_squad_parity.lab.scenario import Cannot
from ai_dev_squad_parity.providers.clients import Client
from ai_dev_squad_parity.providers.spec import REQUEST, SYSTEM

__all__ = ["CLIENTS", "build", "run", "stream"]

_INFO = ModelInfo(vision=False, function_calling=True, json_output=True, structured_output=True, family="unknown")
_WHOLE = Cannot(
    "autogen-ext asks OpenAI's responses by OpenAIAgent, which takes each answer as a whole",
    "https://github.com/microsoft/autogen/pull/6418",
)


def build(client: Any, streamed: bool) -> Any:
    """An agent with this client, which may be an agent already."""
    if isinstance(client, BaseChatAgent):
        return client
    return AssistantAgent("assistant", client, system_message=SYSTEM, model_client_stream=streamed)


async def run(agent: Any) -> str:
    """Ask it."""
    return str((await agent.run(task=REQUEST)).messages[-1].content)


async def stream(agent: Any) -> str:
    """Ask it, and read its answer as it comes."""
    items = agent.run_stream(task=REQUEST)
    return "".join([item.content async for item in items if isinstance(item, ModelClientStreamingChunkEvent)])


def _compatible(path: str = "/v1", **options: Any) -> Any:
    def make(url: str, model: str, streamed: bool) -> Any:
        from autogen_ext.models.openai import OpenAIChatCompletionClient

        return OpenAIChatCompletionClient(
            model=model, base_url=f"{url}{path}", api_key="scripted", model_info=_INFO, **options
        )

    return make


def _responses(url: str, model: str, streamed: bool) -> Any:
    from autogen_ext.agents.openai import OpenAIAgent
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=f"{url}/v1")
    return OpenAIAgent("assistant", "Answers.", client=client, model=model, instructions=SYSTEM)


def _anthropic(url: str, model: str, streamed: bool) -> Any:
    from autogen_ext.models.anthropic import AnthropicChatCompletionClient

    return AnthropicChatCompletionClient(model=model, base_url=url, api_key="scripted", model_info=_INFO)


def _ollama(url: str, model: str, streamed: bool) -> Any:
    from autogen_ext.models.ollama import OllamaChatCompletionClient

    return OllamaChatCompletionClient(model=model, host=url, model_info=_INFO)


CLIENTS: Mapping[str, Client | Cannot] = {
    "openai": Client(_compatible(service_tier="flex"), ("autogen-ext", "openai")),
    # No model client speaks this interface, and one agent does.
    "openai_responses": Client(_responses, ("autogen-ext", "openai"), unstreamed=_WHOLE),
    "anthropic": Client(_anthropic, ("autogen-ext", "anthropic")),
    # Its documentation asks Gemini by the interface that is compatible with OpenAI's.
    "gemini": Client(_compatible("/v1beta/openai"), ("autogen-ext", "openai")),
    "bedrock": Cannot(
        "autogen-ext has no client of Amazon Bedrock's Converse; its maintainers name Semantic Kernel's, which is another framework",
        "https://github.com/microsoft/autogen/issues/3211",
    ),
    "ollama": Client(_ollama, ("autogen-ext", "ollama")),
    "openrouter": Client(_compatible(), ("autogen-ext", "openai")),
    "deepseek": Client(_compatible(), ("autogen-ext", "openai")),
    "litellm": Cannot(
        "autogen-ext has no client of LiteLLM; its documentation asks LiteLLM's server, as it asks OpenAI",
        "https://microsoft.github.io/autogen/stable/user-guide/core-user-guide/cookbook/local-llms-ollama-litellm.html",
    ),
}
"""By provider."""
