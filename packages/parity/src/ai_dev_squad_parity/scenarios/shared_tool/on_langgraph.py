"""An agent that is asked four things in four threads."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import SYSTEM, WORDS, look_up


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, [look_up], system_prompt=SYSTEM, name="clerk")


def run(agent: Any) -> str:
    results = agent.batch([{"messages": [("user", f"What is a {word}?")]} for word in WORDS])
    return ", ".join(result["messages"][-1].content for result in results)
