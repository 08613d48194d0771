"""A crew whose model is given five seconds."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from spec import PATIENCE_S, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url, timeout=PATIENCE_S, max_retries=0)
    assistant = Agent(role="assistant", goal="Answer.", backstory=SYSTEM, llm=llm, max_retry_limit=0)
    task = Task(description=REQUEST, expected_output="One sentence.", agent=assistant)
    return Crew(agents=[assistant], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
