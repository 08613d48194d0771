"""An agent with a system prompt: one node of a graph."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, system_prompt=SYSTEM, name="assistant")


def run(agent: Any) -> str:
    result = agent.invoke({"messages": [("user", REQUEST)]})
    return result["messages"][-1].content
