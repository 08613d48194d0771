"""A flow with a crew as a step."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from pydantic import BaseModel
from spec import CHECKER, EDITOR, REQUEST, RESEARCHER


class State(BaseModel):
    answer: str = ""


class Paper(Flow[State]):
    def __init__(self, llm: LLM) -> None:
        super().__init__()
        self._editor = Agent(role="editor", goal="Write.", backstory=EDITOR, llm=llm)
        researcher = Agent(role="researcher", goal="Find.", backstory=RESEARCHER, llm=llm)
        checker = Agent(role="checker", goal="Check.", backstory=CHECKER, llm=llm)
        find = Task(description=REQUEST, expected_output="A fact.", agent=researcher)
        check = Task(description="Check the fact.", expected_output="A verdict.", agent=checker)
        self._research = Crew(name="research", agents=[researcher, checker], tasks=[find, check])

    @start()
    async def research(self) -> str:
        return (await self._research.akickoff()).raw

    @listen(research)
    async def edit(self, fact: str) -> None:
        self.state.answer = (await self._editor.kickoff_async(fact)).raw


def build(base_url: str, model: str) -> Paper:
    return Paper(LLM(model=f"openai/{model}", base_url=base_url))


def run(flow: Any) -> str:
    flow.kickoff()
    return flow.state.answer
