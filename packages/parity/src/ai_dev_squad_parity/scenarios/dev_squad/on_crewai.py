"""A flow of three agents that goes back."""

from typing import Any

from crewai import LLM, Agent
from crewai.flow.flow import Flow, listen, or_, router, start
from crewai.tools import tool
from pydantic import BaseModel
from spec import CODER, PLANNER, REQUEST, REVIEWER, read_file, run_tests


class Review(BaseModel):
    approved: bool
    feedback: str


class State(BaseModel):
    task: str = ""
    code: str = ""


class DevSquad(Flow[State]):
    def __init__(self, llm: LLM) -> None:
        super().__init__()
        tools = [tool(read_file), tool(run_tests)]
        self._planner = Agent(role="planner", goal="Plan.", backstory=PLANNER, llm=llm)
        self._coder = Agent(role="coder", goal="Write code.", backstory=CODER, llm=llm, tools=tools)
        self._reviewer = Agent(role="reviewer", goal="Review.", backstory=REVIEWER, llm=llm)

    @start()
    async def plan(self) -> None:
        self.state.task = (await self._planner.kickoff_async(REQUEST)).raw

    @listen(or_(plan, "sent back"))
    async def code(self) -> None:
        self.state.code = (await self._coder.kickoff_async(self.state.task)).raw

    @router(code)
    async def review(self) -> str:
        review = (await self._reviewer.kickoff_async(self.state.code, response_format=Review)).pydantic
        self.state.task += f"\n{self.state.code}\n{review.feedback}"
        return "approved" if review.approved else "sent back"


def build(base_url: str, model: str) -> DevSquad:
    return DevSquad(LLM(model=f"openai/{model}", base_url=base_url))


def run(flow: Any) -> str:
    flow.kickoff()
    return flow.state.code
