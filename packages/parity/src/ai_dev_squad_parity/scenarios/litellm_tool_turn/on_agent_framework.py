"""An agent of the program that calls LiteLLM and runs what it asks for."""

import json
from typing import Any

import litellm
from agent_framework import AgentResponse, BaseAgent, Message, tool
from spec import MODEL, REQUEST, SYSTEM, look_up


class Clerk(BaseAgent):
    def __init__(self, base_url: str) -> None:
        super().__init__(name="clerk", description="looks words up")
        self.tool = tool(look_up)
        self.asking = {"model": MODEL, "api_base": base_url, "api_key": "scripted"}

    async def run(self, messages: Any = None, *, stream: bool = False, session: Any = None, **more: Any) -> Any:
        asked: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": messages}]
        tools = [self.tool.to_json_schema_spec()]
        while True:
            said = (await litellm.acompletion(messages=asked, tools=tools, **self.asking)).choices[0].message
            asked.append(said.model_dump(exclude_none=True))
            if not said.tool_calls:
                return AgentResponse(messages=[Message("assistant", [said.content])])
            for call in said.tool_calls:
                given = json.loads(call.function.arguments)
                found = await self.tool.invoke(arguments=given, tool_call_id=call.id)
                asked.append({"role": "tool", "tool_call_id": call.id, "content": found[0].text})


def build(base_url: str, model: str) -> Clerk:
    return Clerk(base_url)


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).text
