"""An agent: a graph of a model and its tools."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, [look_up], system_prompt=SYSTEM, name="clerk")


def run(agent: Any) -> str:
    result = agent.invoke({"messages": [("user", REQUEST)]})
    return result["messages"][-1].content
