"""A flow that passes the question on to the agent that the first one names."""

from typing import Any

from crewai import LLM, Agent
from crewai.flow.flow import Flow, listen, router, start
from pydantic import BaseModel
from spec import BILLING, REQUEST, TRIAGE


class State(BaseModel):
    answer: str = ""


class Desk(Flow[State]):
    def __init__(self, llm: LLM) -> None:
        super().__init__()
        self._triage = Agent(role="triage", goal="Find who answers.", backstory=TRIAGE, llm=llm)
        self._billing = Agent(role="billing", goal="Answer.", backstory=BILLING, llm=llm)

    @start()
    async def ask(self) -> str:
        return (await self._triage.kickoff_async(REQUEST)).raw

    @router(ask)
    def hand_over(self, to: str) -> str:
        return to

    @listen("billing")
    async def answer(self) -> None:
        self.state.answer = (await self._billing.kickoff_async(REQUEST)).raw


def build(base_url: str, model: str) -> Desk:
    return Desk(LLM(model=f"openai/{model}", base_url=base_url))


def run(flow: Any) -> str:
    flow.kickoff()
    return flow.state.answer
