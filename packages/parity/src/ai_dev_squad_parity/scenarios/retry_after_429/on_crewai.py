"""A crew of one agent with one task."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    assistant = Agent(role="assistant", goal="Answer the question.", backstory=SYSTEM, llm=llm)
    task = Task(description=REQUEST, expected_output="One sentence.", agent=assistant)
    return Crew(agents=[assistant], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
