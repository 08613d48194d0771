"""LangChain's clients, in an agent of one node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from langchain.agents import create_agent

from ai_dev_squad_parity.lab.scenario import Cannot
from ai_dev_squad_parity.providers.clients import Client
from ai_dev_squad_parity.providers.spec import REQUEST, SYSTEM

__all__ = ["CLIENTS", "build", "run", "stream"]


def build(model: Any, streamed: bool) -> Any:
    """An agent with this model."""
    return create_agent(model, system_prompt=SYSTEM, name="assistant")


def run(agent: Any) -> str:
    """Ask it."""
    return _text(agent.invoke({"messages": [("user", REQUEST)]})["messages"][-1])


def stream(agent: Any) -> str:
    """Ask it, and read its answer as it comes."""
    pieces = agent.stream({"messages": [("user", REQUEST)]}, stream_mode="messages")
    return "".join(_text(message) for message, _ in pieces)


def _text(message: Any) -> str:
    return str(message.text)


def _openai(url: str, model: str, streamed: bool) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=model, base_url=f"{url}/v1", service_tier="flex")


def _responses(url: str, model: str, streamed: bool) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=model, base_url=f"{url}/v1", use_responses_api=True)


def _anthropic(url: str, model: str, streamed: bool) -> Any:
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model_name=model, base_url=url, api_key="scripted")


def _gemini(url: str, model: str, streamed: bool) -> Any:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(model=model, base_url=url, google_api_key="scripted")


def _bedrock(url: str, model: str, streamed: bool) -> Any:
    from langchain_aws import ChatBedrockConverse

    os.environ.update(AWS_ACCESS_KEY_ID="scripted", AWS_SECRET_ACCESS_KEY="scripted")  # noqa: S106 - opens nothing
    return ChatBedrockConverse(model=model, endpoint_url=url, region_name="us-east-1", provider="anthropic")


def _ollama(url: str, model: str, streamed: bool) -> Any:
    from langchain_ollama import ChatOllama

    return ChatOllama(model=model, base_url=url)


def _openrouter(url: str, model: str, streamed: bool) -> Any:
    from langchain_openrouter import ChatOpenRouter

    return ChatOpenRouter(model=model, base_url=f"{url}/v1", api_key="scripted")


def _deepseek(url: str, model: str, streamed: bool) -> Any:
    from langchain_deepseek import ChatDeepSeek

    return ChatDeepSeek(model=model, api_base=f"{url}/v1", api_key="scripted")


def _litellm(url: str, model: str, streamed: bool) -> Any:
    from langchain_litellm import ChatLiteLLM

    return ChatLiteLLM(model=f"mistral/{model}", api_base=f"{url}/v1", api_key="scripted")


CLIENTS: Mapping[str, Client | Cannot] = {
    "openai": Client(_openai, ("langchain-openai",)),
    "openai_responses": Client(_responses, ("langchain-openai",)),
    "anthropic": Client(_anthropic, ("langchain-anthropic",)),
    "gemini": Client(_gemini, ("langchain-google-genai",)),
    "bedrock": Client(_bedrock, ("langchain-aws",)),
    "ollama": Client(_ollama, ("langchain-ollama",)),
    "openrouter": Client(_openrouter, ("langchain-openrouter",)),
    "deepseek": Client(_deepseek, ("langchain-deepseek",)),
    "litellm": Client(_litellm, ("langchain-litellm", "litellm")),
}
"""By provider."""
