"""A workflow of two executors: one starts a call, the other waits for it."""

import asyncio
from typing import Any, Never

from agent_framework import Executor, Message, WorkflowBuilder, WorkflowContext, handler
from agent_framework_openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


class Begin(Executor):
    def __init__(self, client: Any, calls: list[Any]) -> None:
        super().__init__(id="begin")
        self.client, self.calls = client, calls

    @handler
    async def begin(self, question: str, context: WorkflowContext[str]) -> None:
        asked = [Message("system", [SYSTEM]), Message("user", [question])]

        async def ask() -> str:
            return (await self.client.get_response(asked)).text

        self.calls.append(asyncio.create_task(ask()))
        await asyncio.sleep(0)
        await context.send_message("begun")


class Collect(Executor):
    def __init__(self, calls: list[Any]) -> None:
        super().__init__(id="collect")
        self.calls = calls

    @handler
    async def collect(self, begun: str, context: WorkflowContext[Never, str]) -> None:
        await context.yield_output(await self.calls.pop())


def build(base_url: str, model: str) -> Any:
    calls: list[Any] = []
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    begin, collect = Begin(client, calls), Collect(calls)
    return WorkflowBuilder(start_executor=begin).add_edge(begin, collect).build()


async def run(workflow: Any) -> str:
    return (await workflow.run(REQUEST)).get_outputs()[-1]
