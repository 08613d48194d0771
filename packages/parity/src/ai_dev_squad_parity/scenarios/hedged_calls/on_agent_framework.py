"""An executor that races two calls."""

import asyncio
from typing import Any, Never

from agent_framework import Executor, Message, WorkflowBuilder, WorkflowContext, handler
from agent_framework_openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


class Racer(Executor):
    def __init__(self, client: Any) -> None:
        super().__init__(id="racer")
        self.client = client

    @handler
    async def race(self, question: str, context: WorkflowContext[Never, str]) -> None:
        asked = [Message("system", [SYSTEM]), Message("user", [question])]

        async def ask() -> str:
            return (await self.client.get_response(asked)).text

        calls = [asyncio.create_task(ask()) for _ in range(2)]
        done, late = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in late:
            call.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await context.yield_output(done.pop().result())


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return WorkflowBuilder(start_executor=Racer(client)).build()


async def run(workflow: Any) -> str:
    return (await workflow.run(REQUEST)).get_outputs()[-1]
