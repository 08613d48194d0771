"""A flow that goes back."""

from typing import Any

from crewai import LLM, Agent
from crewai.flow.flow import Flow, listen, or_, router, start
from pydantic import BaseModel
from spec import CRITIC, REQUEST, WRITER


class State(BaseModel):
    draft: str = ""
    verdict: str = REQUEST


class Review(Flow[State]):
    def __init__(self, llm: LLM) -> None:
        super().__init__()
        self._writer = Agent(role="writer", goal="Write.", backstory=WRITER, llm=llm)
        self._critic = Agent(role="critic", goal="Judge.", backstory=CRITIC, llm=llm)

    @start()
    def begin(self) -> None:
        """Nothing is written yet."""

    @listen(or_(begin, "again"))
    async def write(self) -> None:
        self.state.draft = (await self._writer.kickoff_async(self.state.verdict)).raw

    @router(write)
    async def judge(self) -> str:
        self.state.verdict = (await self._critic.kickoff_async(self.state.draft)).raw
        return "done" if "APPROVE" in self.state.verdict else "again"


def build(base_url: str, model: str) -> Review:
    return Review(LLM(model=f"openai/{model}", base_url=base_url))


def run(flow: Any) -> str:
    flow.kickoff()
    return flow.state.draft
