"""An assistant agent with a model client of the program."""

from typing import Any

import httpx
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo, RequestUsage
from spec import REQUEST, SYSTEM

NOTHING = RequestUsage(prompt_tokens=0, completion_tokens=0)


class OurClient(ChatCompletionClient):
    model_info = ModelInfo(
        vision=False, function_calling=False, json_output=False, structured_output=False, family="ours"
    )
    capabilities = model_info

    def __init__(self, address: str, model: str) -> None:
        self.address, self.model = address, model

    async def create(self, messages: Any, **kwargs: Any) -> CreateResult:
        said = [
            {"role": message.type.removesuffix("Message").lower(), "content": message.content} for message in messages
        ]
        async with httpx.AsyncClient() as client:
            body = {"model": self.model, "messages": said}
            answer = (await client.post(f"{self.address}/chat/completions", json=body)).raise_for_status().json()
        text = answer["choices"][0]["message"]["content"]
        return CreateResult(finish_reason="stop", content=text, usage=NOTHING, cached=False)

    async def create_stream(self, messages: Any, **kwargs: Any) -> Any:
        yield await self.create(messages)

    async def close(self) -> None:
        pass

    def actual_usage(self) -> RequestUsage:
        return NOTHING

    total_usage = actual_usage

    def count_tokens(self, messages: Any, **kwargs: Any) -> int:
        return 0

    remaining_tokens = count_tokens


def build(base_url: str, model: str) -> AssistantAgent:
    return AssistantAgent("assistant", OurClient(base_url, model), system_message=SYSTEM)


async def run(agent: Any) -> str:
    return (await agent.run(task=REQUEST)).messages[-1].content
