"""An agent with a model class of the program."""

from typing import Any

import httpx
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models import Model
from spec import REQUEST, SYSTEM


class OurModel(Model):
    system = "ours"

    def __init__(self, address: str, name: str) -> None:
        super().__init__()
        self.address, self.name = address, name

    @property
    def model_name(self) -> str:
        return self.name

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> ModelResponse:
        asked = messages[-1]
        said = [
            {"role": "system", "content": asked.instructions},
            {"role": "user", "content": asked.parts[-1].content},
        ]
        async with httpx.AsyncClient() as client:
            body = {"model": self.name, "messages": said}
            answer = (await client.post(f"{self.address}/chat/completions", json=body)).raise_for_status().json()
        return ModelResponse(parts=[TextPart(answer["choices"][0]["message"]["content"])], model_name=self.name)


def build(base_url: str, model: str) -> Agent:
    return Agent(OurModel(base_url, model), name="assistant", instructions=SYSTEM)


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output
