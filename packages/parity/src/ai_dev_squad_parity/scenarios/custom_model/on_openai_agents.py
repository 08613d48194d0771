"""An agent with a model of the program."""

from typing import Any

import httpx
from agents import Agent, Model, ModelResponse, Runner, Usage
from openai.types.responses import ResponseOutputMessage, ResponseOutputText
from spec import REQUEST, SYSTEM


class OurModel(Model):
    def __init__(self, address: str, model: str) -> None:
        self.address, self.model = address, model

    async def get_response(
        self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any  # noqa: A002
    ) -> ModelResponse:  # fmt: skip
        said = [{"role": "system", "content": system_instructions}, *input]
        async with httpx.AsyncClient() as client:
            body = {"model": self.model, "messages": said}
            answer = (await client.post(f"{self.address}/chat/completions", json=body)).raise_for_status().json()
        text = ResponseOutputText(text=answer["choices"][0]["message"]["content"], type="output_text", annotations=[])
        message = ResponseOutputMessage(
            id=answer["id"], content=[text], role="assistant", status="completed", type="message"
        )
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def build(base_url: str, model: str) -> Agent:
    return Agent(name="assistant", instructions=SYSTEM, model=OurModel(base_url, model))


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST)
    return result.final_output
