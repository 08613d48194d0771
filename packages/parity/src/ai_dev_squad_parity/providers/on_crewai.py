"""CrewAI's own clients, and LiteLLM where it has none, in a crew of one agent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from crewai import LLM, Agent, Crew, Task

from ai_dev_squad_parity.lab.scenario import Cannot
from ai_dev_squad_parity.providers.clients import Client
from ai_dev_squad_parity.providers.spec import REQUEST, SYSTEM

__all__ = ["CLIENTS", "build", "run", "stream"]


def build(llm: Any, streamed: bool) -> Any:
    """A crew whose agent has this model."""
    assistant = Agent(role="assistant", goal="Answer the question.", backstory=SYSTEM, llm=llm)
    task = Task(description=REQUEST, expected_output="One sentence.", agent=assistant)
    return Crew(agents=[assistant], tasks=[task], stream=streamed)


def run(crew: Any) -> str:
    """Ask it."""
    return str(crew.kickoff().raw)


def stream(crew: Any) -> str:
    """Ask it, and read its answer as it comes."""
    return "".join(chunk.content for chunk in crew.kickoff())


def _openai(url: str, model: str, streamed: bool) -> Any:
    return LLM(f"openai/{model}", base_url=f"{url}/v1", additional_params={"service_tier": "flex"})


def _responses(url: str, model: str, streamed: bool) -> Any:
    return LLM(f"openai/{model}", base_url=f"{url}/v1", api="responses")


def _anthropic(url: str, model: str, streamed: bool) -> Any:
    return LLM(f"anthropic/{model}", base_url=url, api_key="scripted")


def _gemini(url: str, model: str, streamed: bool) -> Any:
    return LLM(f"gemini/{model}", api_key="scripted", client_params={"http_options": {"base_url": url}})


def _bedrock(url: str, model: str, streamed: bool) -> Any:
    keys = {"AWS_ACCESS_KEY_ID": "scripted", "AWS_SECRET_ACCESS_KEY": "scripted", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(keys, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=url)
    return LLM(f"bedrock/{model}")


def _compatible(prefix: str) -> Any:
    def make(url: str, model: str, streamed: bool) -> Any:
        return LLM(f"{prefix}/{model}", base_url=f"{url}/v1", api_key="scripted")

    return make


CLIENTS: Mapping[str, Client | Cannot] = {
    "openai": Client(_openai, ("crewai", "openai")),
    "openai_responses": Client(_responses, ("crewai", "openai")),
    "anthropic": Client(_anthropic, ("crewai", "anthropic")),
    "gemini": Client(_gemini, ("crewai", "google-genai")),
    "bedrock": Client(_bedrock, ("crewai", "boto3")),
    "ollama": Client(_compatible("ollama"), ("crewai", "openai")),
    "openrouter": Client(_compatible("openrouter"), ("crewai", "openai")),
    "deepseek": Client(_compatible("deepseek"), ("crewai", "openai")),
    "litellm": Client(_compatible("mistral"), ("crewai", "litellm")),
}
"""By provider."""
