"""A team of two agents of the program: one starts a call, the other waits for it."""

import asyncio
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import SystemMessage, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


class Part(BaseChatAgent):
    produced_message_types = (TextMessage,)

    async def on_reset(self, cancellation_token: Any) -> None:
        pass


class Begin(Part):
    def __init__(self, client: Any, calls: list[Any]) -> None:
        super().__init__("begin", "starts the call")
        self.client, self.calls = client, calls

    async def on_messages(self, messages: Any, cancellation_token: Any) -> Response:
        asked = [SystemMessage(content=SYSTEM), UserMessage(content=REQUEST, source="user")]
        self.calls.append(asyncio.create_task(self.client.create(asked)))
        await asyncio.sleep(0)
        return Response(chat_message=TextMessage(content="begun", source=self.name))


class Collect(Part):
    def __init__(self, calls: list[Any]) -> None:
        super().__init__("collect", "waits for it")
        self.calls = calls

    async def on_messages(self, messages: Any, cancellation_token: Any) -> Response:
        return Response(chat_message=TextMessage(content=(await self.calls.pop()).content, source=self.name))


def build(base_url: str, model: str) -> RoundRobinGroupChat:
    calls: list[Any] = []
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return RoundRobinGroupChat([Begin(client, calls), Collect(calls)], max_turns=2)


async def run(team: Any) -> str:
    return (await team.run(task=REQUEST)).messages[-1].content
