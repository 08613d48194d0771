"""An executor that has four agents work in threads, with one tool for all of them."""

import asyncio
from typing import Any, Never

from agent_framework import Agent, Executor, WorkflowBuilder, WorkflowContext, handler, tool
from agent_framework_openai import OpenAIChatCompletionClient
from spec import SYSTEM, WORDS, look_up


class Desk(Executor):
    def __init__(self, clerks: list[Agent]) -> None:
        super().__init__(id="desk")
        self.clerks = clerks

    @handler
    async def ask_around(self, request: str, context: WorkflowContext[Never, str]) -> None:
        def ask(clerk: Agent, word: str) -> str:
            async def answer() -> str:
                return (await clerk.run(f"What is a {word}?")).text

            return asyncio.run(answer())

        asked = zip(self.clerks, WORDS, strict=True)
        answers = await asyncio.gather(*(asyncio.to_thread(ask, clerk, word) for clerk, word in asked))
        await context.yield_output(", ".join(answers))


def build(base_url: str, model: str) -> Any:
    shared = tool(look_up)

    def clerk() -> Agent:
        client = OpenAIChatCompletionClient(model=model, base_url=base_url)
        return Agent(client, SYSTEM, name="clerk", tools=[shared])

    return WorkflowBuilder(start_executor=Desk([clerk() for _ in WORDS])).build()


async def run(workflow: Any) -> str:
    return (await workflow.run("Ask around.")).get_outputs()[-1]
