"""An agent of the program that calls LiteLLM and runs what it asks for."""

import json
from typing import Any

import litellm
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import TextMessage
from autogen_core.tools import FunctionTool
from spec import MODEL, REQUEST, SYSTEM, look_up


class Clerk(BaseChatAgent):
    produced_message_types = (TextMessage,)

    def __init__(self, base_url: str) -> None:
        super().__init__("clerk", "looks words up")
        self.tool = FunctionTool(look_up, description="Look a word up.")
        self.asking = {"model": MODEL, "api_base": base_url, "api_key": "scripted"}

    async def on_messages(self, messages: Any, cancellation_token: Any) -> Response:
        asked: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": REQUEST}]
        tools = [{"type": "function", "function": {k: self.tool.schema[k] for k in ("name", "parameters")}}]
        while True:
            said = (await litellm.acompletion(messages=asked, tools=tools, **self.asking)).choices[0].message
            asked.append(said.model_dump(exclude_none=True))
            if not said.tool_calls:
                return Response(chat_message=TextMessage(content=said.content, source=self.name))
            for call in said.tool_calls:
                given = json.loads(call.function.arguments)
                found = await self.tool.run_json(given, cancellation_token, call_id=call.id)
                asked.append({"role": "tool", "tool_call_id": call.id, "content": found})

    async def on_reset(self, cancellation_token: Any) -> None:
        pass


def build(base_url: str, model: str) -> Clerk:
    return Clerk(base_url)


async def run(agent: Any) -> str:
    return (await agent.run(task=REQUEST)).messages[-1].content
