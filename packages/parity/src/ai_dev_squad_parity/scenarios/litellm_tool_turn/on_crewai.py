"""A crew of one agent with a tool, whose model is asked through LiteLLM."""

from typing import Any

import litellm  # noqa: F401 - CrewAI's own choice for a model that it has no client of
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from spec import MODEL, REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=MODEL, base_url=base_url, api_key="scripted")
    clerk = Agent(role="clerk", goal="Answer.", backstory=SYSTEM, llm=llm, tools=[tool(look_up)])
    task = Task(description=REQUEST, expected_output="One sentence.", agent=clerk)
    return Crew(agents=[clerk], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
