"""An agent whose answer is an object."""

from typing import Any

from crewai import LLM, Agent
from pydantic import BaseModel
from spec import REQUEST, SYSTEM


class City(BaseModel):
    name: str
    country: str


def build(base_url: str, model: str) -> Agent:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    return Agent(role="clerk", goal="Answer.", backstory=SYSTEM, llm=llm)


def run(agent: Any) -> str:
    return agent.kickoff(REQUEST, response_format=City).pydantic.country
