"""A flow whose state is kept, and that begins where it stopped."""

from typing import Any

from crewai import LLM, Agent
from crewai.flow.flow import Flow, start
from crewai.flow.persistence import SQLiteFlowPersistence, persist
from pydantic import BaseModel
from spec import CODER, PLANNER, REQUEST, kept


class State(BaseModel):
    id: str = "figs"
    plan: str = ""
    code: str = ""


@persist(SQLiteFlowPersistence(kept("flows.db")))
class Work(Flow[State]):
    def __init__(self, llm: LLM) -> None:
        super().__init__()
        self._llm = llm

    def _agent(self, role: str, prompt: str) -> Agent:
        return Agent(role=role, goal="Do your part.", backstory=prompt, llm=self._llm)

    @start()
    async def step(self) -> str:
        if not self.state.plan:
            self.state.plan = (await self._agent("planner", PLANNER).kickoff_async(REQUEST)).raw
            return self.state.plan
        self.state.code = (await self._agent("coder", CODER).kickoff_async(self.state.plan)).raw
        return self.state.code


def build(base_url: str, model: str) -> Work:
    return Work(LLM(model=f"openai/{model}", base_url=base_url))


def run(flow: Any) -> str:
    return flow.kickoff(inputs={"id": "figs"})


def resume(flow: Any) -> str:
    return flow.kickoff(inputs={"id": "figs"})
