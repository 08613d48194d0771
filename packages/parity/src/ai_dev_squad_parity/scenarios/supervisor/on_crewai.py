"""A crew with a manager."""

from typing import Any

from crewai import LLM, Agent, Crew, Process, Task
from spec import BOTANIST, REQUEST, SUPERVISOR


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    supervisor = Agent(role="supervisor", goal="Answer.", backstory=SUPERVISOR, llm=llm, allow_delegation=True)
    botanist = Agent(role="botanist", goal="Answer.", backstory=BOTANIST, llm=llm)
    task = Task(description=REQUEST, expected_output="One sentence.")
    return Crew(agents=[botanist], tasks=[task], process=Process.hierarchical, manager_agent=supervisor)


def run(crew: Any) -> str:
    return crew.kickoff().raw
