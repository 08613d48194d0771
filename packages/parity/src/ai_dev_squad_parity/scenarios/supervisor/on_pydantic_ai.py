"""An agent whose tool asks another agent."""

from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import BOTANIST, REQUEST, SUPERVISOR


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    expert = Agent(llm, name="botanist", instructions=BOTANIST)
    supervisor = Agent(llm, name="supervisor", instructions=SUPERVISOR)

    @supervisor.tool
    async def botanist(ctx: RunContext[None], task: str) -> str:
        """Knows plants."""
        return (await expert.run(task, usage=ctx.usage)).output

    return supervisor


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output
