"""An agent of the program that races two calls."""

import asyncio
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import TextMessage
from autogen_core.models import SystemMessage, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


class Racer(BaseChatAgent):
    produced_message_types = (TextMessage,)

    def __init__(self, client: Any) -> None:
        super().__init__("assistant", "takes the first answer of two")
        self.client = client

    async def on_messages(self, messages: Any, cancellation_token: Any) -> Response:
        asked = [SystemMessage(content=SYSTEM), UserMessage(content=REQUEST, source="user")]
        calls = [asyncio.create_task(self.client.create(asked)) for _ in range(2)]
        done, late = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in late:
            call.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return Response(chat_message=TextMessage(content=done.pop().result().content, source=self.name))

    async def on_reset(self, cancellation_token: Any) -> None:
        pass


def build(base_url: str, model: str) -> Racer:
    return Racer(OpenAIChatCompletionClient(model=model, base_url=base_url))


async def run(agent: Any) -> str:
    return (await agent.run(task=REQUEST)).messages[-1].content
