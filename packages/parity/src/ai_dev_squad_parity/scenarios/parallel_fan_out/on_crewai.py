"""A crew whose first tasks run at the same time."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from spec import EXPERTS, REQUEST, system


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)

    def task(name: str, question: str, **options: Any) -> Task:
        agent = Agent(role=name, goal="Answer.", backstory=system(name), llm=llm)
        return Task(description=question, expected_output="One sentence.", agent=agent, **options)

    said = [task(name, REQUEST, async_execution=True) for name in EXPERTS]
    summary = task("editor", "Sum up what the experts said.", context=said)
    return Crew(agents=[t.agent for t in (*said, summary)], tasks=[*said, summary])


def run(crew: Any) -> str:
    return crew.kickoff().raw
