"""An agent with a context provider that knows a fact."""

from typing import Any

from agent_framework import Agent, ContextProvider, Message
from agent_framework_openai import OpenAIChatCompletionClient
from spec import FACT, REQUEST, SYSTEM


class Known(ContextProvider):
    async def before_run(self, *, context: Any, **more: Any) -> None:
        context.extend_messages(self.source_id, [Message("user", [f"What you know: {FACT}"])])


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="assistant", context_providers=[Known("known")])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).text
