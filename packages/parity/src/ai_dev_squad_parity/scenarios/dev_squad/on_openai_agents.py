"""Three agents in plain Python, in one trace, until the reviewer approves."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, trace
from openai import AsyncOpenAI
from pydantic import BaseModel
from spec import CODER, PLANNER, REQUEST, REVIEWER, read_file, run_tests


class Review(BaseModel):
    approved: bool
    feedback: str


def build(base_url: str, model: str) -> tuple[Agent, Agent, Agent]:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    tools = [function_tool(read_file), function_tool(run_tests)]
    planner = Agent(name="planner", instructions=PLANNER, model=chat)
    coder = Agent(name="coder", instructions=CODER, model=chat, tools=tools)
    reviewer = Agent(name="reviewer", instructions=REVIEWER, model=chat, output_type=Review)
    return planner, coder, reviewer


async def run(squad: Any) -> str:
    planner, coder, reviewer = squad
    with trace("dev squad"):
        plan = await Runner.run(planner, REQUEST)
        code = await Runner.run(coder, plan.final_output)
        while not (review := await Runner.run(reviewer, code.final_output)).final_output.approved:
            asked = {"role": "user", "content": review.final_output.feedback}
            code = await Runner.run(coder, [*code.to_input_list(), asked])
    return code.final_output
