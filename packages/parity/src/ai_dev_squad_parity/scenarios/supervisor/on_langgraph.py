"""An agent whose tool is another agent."""

from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from spec import BOTANIST, REQUEST, SUPERVISOR


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    expert = create_agent(llm, system_prompt=BOTANIST, name="botanist")

    @tool
    def botanist(task: str) -> str:
        """Ask the botanist."""
        return expert.invoke({"messages": [("user", task)]})["messages"][-1].content

    return create_agent(llm, [botanist], system_prompt=SUPERVISOR, name="supervisor")


def run(agent: Any) -> str:
    result = agent.invoke({"messages": [("user", REQUEST)]})
    return result["messages"][-1].content
