"""An agent with a capability of the program that hears of its requests."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import REQUEST, SYSTEM


class Progress(AbstractCapability[Any]):
    calls = 0

    async def after_model_request(self, ctx: Any, *, request_context: Any, response: Any) -> Any:
        self.calls += 1
        return response


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    return Agent(llm, name="assistant", instructions=SYSTEM)


async def run(agent: Any) -> str:
    progress = Progress()
    result = await agent.run(REQUEST, capabilities=[progress])
    return f"{result.output} (heard of {progress.calls} call)"
