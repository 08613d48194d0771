"""An agent of the program that has four others work in threads, with one tool for all of them."""

import asyncio
from typing import Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import TextMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import SYSTEM, WORDS, look_up


class Desk(BaseChatAgent):
    produced_message_types = (TextMessage,)

    def __init__(self, clerks: list[AssistantAgent]) -> None:
        super().__init__("desk", "asks four clerks")
        self.clerks = clerks

    async def on_messages(self, messages: Any, cancellation_token: Any) -> Response:
        def ask(clerk: AssistantAgent, word: str) -> str:
            return asyncio.run(clerk.run(task=f"What is a {word}?")).messages[-1].content

        asked = zip(self.clerks, WORDS, strict=True)
        answers = await asyncio.gather(*(asyncio.to_thread(ask, clerk, word) for clerk, word in asked))
        return Response(chat_message=TextMessage(content=", ".join(answers), source=self.name))

    async def on_reset(self, cancellation_token: Any) -> None:
        pass


def build(base_url: str, model: str) -> Desk:
    tool = FunctionTool(look_up, description="Look a word up.")

    def clerk() -> AssistantAgent:
        client = OpenAIChatCompletionClient(model=model, base_url=base_url)
        return AssistantAgent("clerk", client, tools=[tool], reflect_on_tool_use=True, system_message=SYSTEM)

    return Desk([clerk() for _ in WORDS])


async def run(agent: Any) -> str:
    return (await agent.run(task="Ask around.")).messages[-1].content
