"""An agent with the SDK's model for LiteLLM."""

from typing import Any

from agents import Agent, Runner, function_tool
from agents.extensions.models.litellm_model import LitellmModel
from spec import MODEL, REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Agent:
    chat = LitellmModel(MODEL, base_url=base_url, api_key="scripted")
    return Agent(name="clerk", instructions=SYSTEM, model=chat, tools=[function_tool(look_up)])


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST)
    return result.final_output
