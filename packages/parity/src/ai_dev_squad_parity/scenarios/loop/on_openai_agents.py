"""Two agents in a loop of the program, in one trace."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, trace
from openai import AsyncOpenAI
from spec import CRITIC, REQUEST, WRITER


def build(base_url: str, model: str) -> tuple[Agent, Agent]:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    writer = Agent(name="writer", instructions=WRITER, model=chat)
    critic = Agent(name="critic", instructions=CRITIC, model=chat)
    return writer, critic


async def run(squad: Any) -> str:
    writer, critic = squad
    with trace("loop"):
        draft = await Runner.run(writer, REQUEST)
        while "APPROVE" not in (review := await Runner.run(critic, draft.final_output)).final_output:
            asked = {"role": "user", "content": review.final_output}
            draft = await Runner.run(writer, [*draft.to_input_list(), asked])
    return draft.final_output
