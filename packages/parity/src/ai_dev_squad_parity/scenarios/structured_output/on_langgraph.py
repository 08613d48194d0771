"""A graph whose model answers with an object."""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from spec import REQUEST, SYSTEM


class City(BaseModel):
    name: str
    country: str


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, system_prompt=SYSTEM, response_format=ProviderStrategy(City), name="clerk")


def run(agent: Any) -> str:
    result = agent.invoke({"messages": [("user", REQUEST)]})
    return result["structured_response"].country
