"""An agent with a chat client of the program."""

from typing import Any

import httpx
from agent_framework import Agent, BaseChatClient, ChatResponse, Message
from spec import REQUEST, SYSTEM


class OurClient(BaseChatClient):
    def __init__(self, address: str, model: str) -> None:
        super().__init__()
        self.address, self.model = address, model

    def _inner_get_response(self, *, messages: Any, options: Any, **more: Any) -> Any:
        async def answer() -> ChatResponse:
            asked = [Message("system", [options["instructions"]]), *messages]
            body = {"model": self.model, "messages": [{"role": one.role, "content": one.text} for one in asked]}
            async with httpx.AsyncClient() as client:
                said = (await client.post(f"{self.address}/chat/completions", json=body)).raise_for_status().json()
            return ChatResponse(messages=[Message("assistant", [said["choices"][0]["message"]["content"]])])

        return answer()


def build(base_url: str, model: str) -> Agent:
    return Agent(OurClient(base_url, model), SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).text
