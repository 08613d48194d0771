"""An agent beside a chat middleware of the program."""

from typing import Any

from agent_framework import Agent, ChatContext, ChatMiddleware
from agent_framework_openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


class Progress(ChatMiddleware):
    calls = 0

    async def process(self, context: ChatContext, call_next: Any) -> None:
        await call_next()
        self.calls += 1


PROGRESS = Progress()


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="assistant", middleware=[PROGRESS])


async def run(agent: Any) -> str:
    PROGRESS.calls = 0
    answer = await agent.run(REQUEST)
    return f"{answer.text} (heard of {PROGRESS.calls} call)"
