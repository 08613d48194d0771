"""A crew of one agent with a tool."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from spec import REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    clerk = Agent(role="clerk", goal="Answer.", backstory=SYSTEM, llm=llm, tools=[tool(look_up)])
    task = Task(description=REQUEST, expected_output="One sentence.", agent=clerk)
    return Crew(agents=[clerk], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
