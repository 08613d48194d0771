"""An agent of the program that reads a part of its client's stream."""

from contextlib import aclosing
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import TextMessage
from autogen_core.models import SystemMessage, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


class Reader(BaseChatAgent):
    produced_message_types = (TextMessage,)

    def __init__(self, client: Any) -> None:
        super().__init__("assistant", "reads until it has enough")
        self.client = client

    async def on_messages(self, messages: Any, cancellation_token: Any) -> Response:
        answer = ""
        asked = [SystemMessage(content=SYSTEM), UserMessage(content=REQUEST, source="user")]
        async with aclosing(self.client.create_stream(asked)) as stream:
            async for piece in stream:
                answer += piece
                if len(answer) > 200:
                    break
        return Response(chat_message=TextMessage(content=answer, source=self.name))

    async def on_reset(self, cancellation_token: Any) -> None:
        pass


def build(base_url: str, model: str) -> Reader:
    return Reader(OpenAIChatCompletionClient(model=model, base_url=base_url))


async def run(agent: Any) -> str:
    return (await agent.run(task=REQUEST)).messages[-1].content
